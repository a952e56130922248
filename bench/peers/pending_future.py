"""What one pending future costs, in bytes: many of them in a list."""
import os
import time

import memory
import pools

FUTURES = {"thread": 100_000, "process": 20_000}[pools.KIND]

with pools.new(2) as ex:
    pools.warm_up(ex)
    # More than two: a process pool sends some ahead.
    for _ in range(8):
        ex.submit(time.sleep, 10)
    before = memory.resident()
    futures = [ex.submit(pools.nothing) for _ in range(FUTURES)]
    print("bytes", (memory.resident() - before) * 1024 / FUTURES, flush=True)
    pools.kill()
    os._exit(0)
