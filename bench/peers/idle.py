"""The processor time that two idle workers and their program take."""
import time

import pools
import processes

IDLE = 0.5


def processor_time():
    return time.process_time() + processes.processor_time()


with pools.new(max_workers=2) as ex:
    pools.warm_up(ex)
    time.sleep(0.1)
    before = processor_time()
    time.sleep(IDLE)
    print("idle_us_per_s", (processor_time() - before) / IDLE * 1e6)
