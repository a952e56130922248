"""Tasks that do nothing: submit each, then take each result.

As many as take about a second: the rate is that of any number.
"""
import time

import pools

TASKS = {"thread": 40_000, "process": 10_000}[pools.KIND]


def nothing():
    pass


with pools.new(max_workers=2) as ex:
    pools.warm_up(ex)
    start = time.monotonic()
    futures = [ex.submit(nothing) for _ in range(TASKS)]
    for f in futures:
        f.result()
    print("tasks_per_second", TASKS / (time.monotonic() - start))
