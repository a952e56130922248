"""How much memory this process has resident, from /proc."""
import gc
import re


def field(name):
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(name + r":\s*(\d+) kB", status.read()).group(1))


def resident():
    """Now, in KiB, after a full garbage collection."""
    gc.collect()
    return field("VmRSS")


def peak():
    """The most it ever was, in KiB."""
    return field("VmHWM")
