"""What the processes of a pool use, from /proc."""
import multiprocessing
import re


def pids():
    return [child.pid for child in multiprocessing.active_children()]


def contents(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="ascii") as file:
        return file.read()


def processor_time():
    """Of all children of this process, their main threads, in seconds."""
    return sum(int(contents(pid, "schedstat").split()[0]) for pid in pids()) / 1e9


def memory(field):
    """The mean over all children, in KiB."""
    pattern = re.compile(rf"\n{field}:\s*(\d+) kB")
    sizes = [int(pattern.search(contents(pid, "smaps_rollup")).group(1)) for pid in pids()]
    return sum(sizes) / len(sizes)
