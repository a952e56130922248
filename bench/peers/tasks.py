"""200,000 tasks that do nothing: submit each, then take each result."""
import concurrent.futures
import time

TASKS = 200_000


def nothing():
    pass


with concurrent.futures.ThreadPoolExecutor(max_workers=2) as ex:
    ex.submit(nothing).result()
    start = time.monotonic()
    futures = [ex.submit(nothing) for _ in range(TASKS)]
    for f in futures:
        f.result()
    print("tasks_per_second", TASKS / (time.monotonic() - start))
