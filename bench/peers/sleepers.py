"""1,000 workers run 2,000 tasks that sleep for 50 ms."""
import concurrent.futures
import time

import memory

start = time.monotonic()
with concurrent.futures.ThreadPoolExecutor(1000) as ex:
    for _ in range(2000):
        ex.submit(time.sleep, 0.05)
print("seconds", time.monotonic() - start)
print("mib", memory.peak() / 1024)
