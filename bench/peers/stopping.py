"""Cancels 10,000 pending tasks; running ones cannot be stopped."""
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

TASKS = 10000
ROUNDS = 11


def cancel_pending(ex):
    gate = threading.Event()
    ex.submit(gate.wait)
    futures = [ex.submit(abs, -i) for i in range(TASKS)]
    start = time.monotonic()
    for f in futures:
        f.cancel()
    taken = time.monotonic() - start
    gate.set()
    return taken * 1e3


# Pending tasks are the same for both kinds of pool.
with ThreadPoolExecutor(max_workers=1) as executor:
    print("cancel_ms", statistics.median(cancel_pending(executor) for _ in range(ROUNDS)))
