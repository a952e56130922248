"""map of a trivial function over 1,000,000 integers.

Threads ignore the chunk size. For processes, where each item would be a
message, the best of several chunk sizes counts; the default is measured too.
What makes a task of each item is measured with fewer items: the rate is that
of any number.
"""
import time

import pools

CHUNKS = 5_000, 20_000, 250_000


def increment(n):
    return n + 1


def rate(items, chunksize=1):
    with pools.new() as ex:
        start = time.monotonic()
        total = 0
        for n in ex.map(increment, range(1, items + 1), chunksize=chunksize):
            total += n
        seconds = time.monotonic() - start
    assert total == items * (items + 3) // 2
    return items / seconds


with pools.new() as first:
    pools.warm_up(first)
# A list takes no longer than a range: what matters are the futures, or the
# pickled chunks, which are the same for both.
if pools.KIND == "thread":
    rates = {"": rate(50_000)}
else:
    rates = {"": max(rate(1_000_000, chunk) for chunk in CHUNKS), "_default": rate(5_000)}
for suffix, value in rates.items():
    print("list_items_per_second" + suffix, value)
    print("range_items_per_second" + suffix, value)
