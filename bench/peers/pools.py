"""Pools of the kind that a measurement was asked for: "thread" or "process"."""
import concurrent.futures
import multiprocessing
import sys

KIND = sys.argv[1] if len(sys.argv) > 1 else "thread"

new = {
    "thread": concurrent.futures.ThreadPoolExecutor,
    "process": concurrent.futures.ProcessPoolExecutor,
}[KIND]


def nothing():
    pass


def warm_up(ex):
    """Start the workers: processes are forked all at the first submit."""
    for f in [ex.submit(nothing) for _ in range(100)]:
        f.result()


def kill():
    """End all workers that are processes."""
    for child in multiprocessing.active_children():
        child.kill()
