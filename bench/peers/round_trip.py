"""One submit and its result, one after another."""
import time

import pools
import processes

TRIPS = {"thread": 20_000, "process": 5_000}[pools.KIND]


def nothing():
    pass


def processor_time():
    """Of all threads of this process, and of the workers if they are others."""
    return time.process_time() + processes.processor_time()


with pools.new(max_workers=2) as ex:
    for _ in range(1000):
        ex.submit(nothing).result()

    times = []
    wall, cpu = time.monotonic(), processor_time()
    for _ in range(TRIPS):
        start = time.monotonic()
        ex.submit(nothing).result()
        times.append(time.monotonic() - start)
    wall, cpu = time.monotonic() - wall, processor_time() - cpu

times.sort()
print("p50_us", times[TRIPS // 2] * 1e6)
print("p99_us", times[TRIPS * 99 // 100] * 1e6)
print("cpu_per_wall", cpu / wall)
