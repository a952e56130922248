"""8 tasks of pure arithmetic, on one worker and on two."""
import time

import pools


def compute(n):
    total = 0
    for i in range(1, n + 1):
        total = (total + i * i) % 1000003
    return total


def seconds(workers):
    with pools.new(max_workers=workers) as ex:
        start = time.monotonic()
        futures = [ex.submit(compute, 400_000 + i) for i in range(8)]
        for f in futures:
            f.result()
        return time.monotonic() - start


print("speedup", seconds(1) / seconds(2))
