"""Tasks that do nothing: submit each, then take each result.

The first round, in fresh memory, and the median of those after it. A round is
as many tasks as take about half a second: the rate is that of any number.
"""
import statistics
import time

import pools

TASKS = {"thread": 40_000, "process": 10_000}[pools.KIND]
ROUNDS = 5


def nothing():
    pass


def rate(ex):
    """Tasks a second."""
    start = time.monotonic()
    futures = [ex.submit(nothing) for _ in range(TASKS)]
    for f in futures:
        f.result()
    return TASKS / (time.monotonic() - start)


with pools.new(max_workers=2) as ex:
    pools.warm_up(ex)
    print("first_tasks_per_second", rate(ex))
    print("tasks_per_second", statistics.median(rate(ex) for _ in range(ROUNDS)))
