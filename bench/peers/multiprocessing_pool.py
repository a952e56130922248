"""The same rows by multiprocessing.Pool.

At its best: `map` and `apply_async` with chunks or without, whichever the row
allows; where the default differs it is measured too.
"""
import multiprocessing
import statistics
import sys
import time

import processes


def nothing(_=None):
    pass


def increment(n):
    return n + 1


def echo(value):
    return value


def compute(n):
    total = 0
    for i in range(1, n + 1):
        total = (total + i * i) % 1000003
    return total


def warm_up(pool):
    pool.map(nothing, range(200), chunksize=1)


def tasks():
    """The first round, in fresh memory, and the median of those after it."""
    count, rounds = 20_000, 5

    def round_rate():
        start = time.monotonic()
        results = [pool.apply_async(nothing) for _ in range(count)]
        for result in results:
            result.get()
        return count / (time.monotonic() - start)

    with multiprocessing.Pool(2) as pool:
        warm_up(pool)
        print("first_tasks_per_second", round_rate())
        print("tasks_per_second", statistics.median(round_rate() for _ in range(rounds)))


def rate(pool, items, chunksize):
    start = time.monotonic()
    total = sum(pool.map(increment, range(1, items + 1), chunksize=chunksize))
    assert total == items * (items + 3) // 2
    return items / (time.monotonic() - start)


def map_items():
    with multiprocessing.Pool() as pool:
        warm_up(pool)
        default = rate(pool, 1_000_000, None)  # an eighth of each worker's part
        best = max(default, *(rate(pool, 1_000_000, chunk) for chunk in (5_000, 20_000, 250_000)))
    for source in "list", "range":
        print(f"{source}_items_per_second", best)
        print(f"{source}_items_per_second_default", default)


def round_trip():
    trips = 10_000
    with multiprocessing.Pool(2) as pool:
        warm_up(pool)
        times = []
        wall, cpu = time.monotonic(), time.process_time() + processes.processor_time()
        for _ in range(trips):
            start = time.monotonic()
            pool.apply(nothing)
            times.append(time.monotonic() - start)
        wall = time.monotonic() - wall
        cpu = time.process_time() + processes.processor_time() - cpu
    times.sort()
    print("p50_us", times[trips // 2] * 1e6)
    print("p99_us", times[trips * 99 // 100] * 1e6)
    print("cpu_per_wall", cpu / wall)


def trips(value):
    with multiprocessing.Pool(2) as pool:
        times = []
        for _ in range(16):
            start = time.monotonic()
            pool.apply(echo, (value,))
            times.append(time.monotonic() - start)
    print("ms", statistics.median(times[5:]) * 1e3)


def records():
    trips([{"id": i, "name": f"name {i}", "score": i / 7} for i in range(10_000)])


def long_string():
    trips(b"0123456789abcdef" * (1 << 20))


def seconds(workers):
    with multiprocessing.Pool(workers) as pool:
        warm_up(pool)
        start = time.monotonic()
        pool.map(compute, range(400_000, 400_008), chunksize=1)
        return time.monotonic() - start


def arithmetic():
    print("speedup", seconds(1) / seconds(2))


def once():
    start = time.monotonic()
    with multiprocessing.Pool(2) as pool:
        assert pool.apply(max, (1, 2)) == 2
    return (time.monotonic() - start) * 1e3


def next_pool():
    once()
    print("next_ms", statistics.median(once() for _ in range(11)))


def idle():
    with multiprocessing.Pool(2) as pool:
        warm_up(pool)
        time.sleep(0.1)
        before = time.process_time() + processes.processor_time()
        time.sleep(0.5)
        spent = time.process_time() + processes.processor_time() - before
    print("idle_us_per_s", spent / 0.5 * 1e6)


def idle_process():
    with multiprocessing.Pool(50) as pool:
        warm_up(pool)
        time.sleep(0.1)
        print("pss_kib", processes.memory("Pss"))
        print("dirty_kib", processes.memory("Private_Dirty"))


ROWS = {
    "tasks": tasks,
    "map": map_items,
    "round_trip": round_trip,
    "records": records,
    "long_string": long_string,
    "arithmetic": arithmetic,
    "pool": next_pool,
    "idle": idle,
    "idle_process": idle_process,
    "first": once,
}

if __name__ == "__main__":
    ROWS[sys.argv[1]]()
