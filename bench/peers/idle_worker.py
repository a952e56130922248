"""What one idle worker costs: resident memory and time to start."""
import concurrent.futures
import threading
import time

import memory

WORKERS = 500

with concurrent.futures.ThreadPoolExecutor(1) as ex:
    ex.submit(int).result()

with concurrent.futures.ThreadPoolExecutor(WORKERS) as ex:
    barrier = threading.Barrier(WORKERS)
    before = memory.resident()
    start = time.monotonic()
    futures = [ex.submit(barrier.wait) for _ in range(WORKERS)]
    for f in futures:
        f.result()
    seconds = time.monotonic() - start
    print("us", seconds / WORKERS * 1e6)
    print("kib", (memory.resident() - before) / WORKERS)
