"""What one pending future costs, in bytes: 200,000 of them in a list."""
import concurrent.futures
import threading

import memory

FUTURES = 200_000


def nothing():
    pass


with concurrent.futures.ThreadPoolExecutor(2) as ex:
    gate = threading.Event()
    ex.submit(gate.wait)
    ex.submit(gate.wait)
    before = memory.resident()
    futures = [ex.submit(nothing) for _ in range(FUTURES)]
    after = memory.resident()
    print("bytes", (after - before) * 1024 / FUTURES)
    ex.shutdown(wait=False, cancel_futures=True)
    gate.set()
