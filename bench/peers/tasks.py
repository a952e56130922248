"""200,000 tasks that do nothing: submit each, then take each result."""
import time

import pools

TASKS = 200_000


def nothing():
    pass


with pools.new(max_workers=2) as ex:
    pools.warm_up(ex)
    start = time.monotonic()
    futures = [ex.submit(nothing) for _ in range(TASKS)]
    for f in futures:
        f.result()
    print("tasks_per_second", TASKS / (time.monotonic() - start))
