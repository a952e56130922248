"""map of a trivial function over 1,000,000 integers with default options."""
import concurrent.futures
import time

ITEMS = 1_000_000


def increment(n):
    return n + 1


numbers = range(1, ITEMS + 1)
with concurrent.futures.ThreadPoolExecutor() as ex:
    start = time.monotonic()
    total = 0
    for n in ex.map(increment, numbers):
        total += n
    seconds = time.monotonic() - start
assert total == ITEMS * (ITEMS + 3) // 2
# A list takes no longer than a range: what matters are the futures.
print("list_items_per_second", ITEMS / seconds)
print("range_items_per_second", ITEMS / seconds)
