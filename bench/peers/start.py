"""How long python3 takes from start to end, and with a pool and one task."""
import subprocess
import sys
import time

STARTS = 20

POOL = """
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(2) as ex:
    assert ex.submit(max, 1, 2).result() == 2
"""


def milliseconds(program):
    start = time.monotonic()
    for _ in range(STARTS):
        subprocess.run([sys.executable, "-c", program], check=True)
    return (time.monotonic() - start) / STARTS * 1e3


print("start_ms", milliseconds(""))
print("pool_ms", milliseconds(POOL))
