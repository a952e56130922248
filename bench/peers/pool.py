"""Makes a pool of two, runs one task, closes it: first, and later."""
import statistics
import subprocess
import sys
import time

import pools

PROGRAMS = 5
POOLS = 21


def milliseconds():
    start = time.monotonic()
    with pools.new(max_workers=2) as ex:
        assert ex.submit(max, 1, 2).result() == 2
    return (time.monotonic() - start) * 1e3


def first_of_a_program():
    command = [sys.executable, sys.argv[0], pools.KIND, "first"]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


if len(sys.argv) > 2:
    print(milliseconds())
else:
    milliseconds()
    print("next_ms", statistics.median(milliseconds() for _ in range(POOLS)))
    print("first_ms", statistics.median(first_of_a_program() for _ in range(PROGRAMS)))
