"""Makes a pool of two, runs one task, closes it: first, and later."""
import time

import pools

POOLS = 21


def milliseconds():
    start = time.monotonic()
    with pools.new(max_workers=2) as ex:
        assert ex.submit(max, 1, 2).result() == 2
    return (time.monotonic() - start) * 1e3


print("first_ms", milliseconds())
times = sorted(milliseconds() for _ in range(POOLS))
print("next_ms", times[POOLS // 2])
