"""What one idle worker process costs: time to start, and memory."""
import time

import pools
import processes

WORKERS = 50
STARTS = 11


def microseconds(ex):
    start = time.monotonic()
    ex.submit(pools.nothing).result()
    return (time.monotonic() - start) * 1e6


def start_one():
    with pools.new(1) as ex:
        first = microseconds(ex)
        return first - sorted(microseconds(ex) for _ in range(11))[5]


start_one()
print("one_us", sorted(start_one() for _ in range(STARTS))[STARTS // 2])

with pools.new(WORKERS) as ex:
    # The first submit forks all.
    print("each_us", microseconds(ex) / WORKERS)
    pools.warm_up(ex)
    time.sleep(0.1)
    print("pss_kib", processes.memory("Pss"))
    print("dirty_kib", processes.memory("Private_Dirty"))
