"""How long a value takes to a worker and back.

Threads of CPython share their objects, so nothing would be copied. The peer of
lpool's copying threads is therefore CPython's pool of processes.
"""
import concurrent.futures
import time


def echo(value):
    return value


def median(value):
    """The median of several trips, in milliseconds."""
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as ex:
        for _ in range(3):
            ex.submit(echo, value).result()
        times = []
        for _ in range(11):
            start = time.monotonic()
            ex.submit(echo, value).result()
            times.append(time.monotonic() - start)
    times.sort()
    return times[5] * 1e3
