"""map of a trivial function over 1,000,000 integers.

With default options for threads; for processes, where each item would be a
message, with the best of several chunk sizes.
"""
import time

import pools

ITEMS = 1_000_000
CHUNKS = {"thread": [1], "process": [1_000, 5_000, 20_000, 100_000, 250_000]}


def increment(n):
    return n + 1


def rate(numbers, chunksize):
    with pools.new() as ex:
        start = time.monotonic()
        total = 0
        for n in ex.map(increment, numbers, chunksize=chunksize):
            total += n
        seconds = time.monotonic() - start
    assert total == ITEMS * (ITEMS + 3) // 2
    return ITEMS / seconds


with pools.new() as first:
    pools.warm_up(first)
# A list takes no longer than a range: what matters are the futures, or the
# pickled chunks, which are the same for both.
rates = {chunk: rate(range(1, ITEMS + 1), chunk) for chunk in CHUNKS[pools.KIND]}
best = max(rates, key=rates.get)
print("list_items_per_second", rates[best])
print("range_items_per_second", rates[best])
print("best_chunksize", best)
