-- Notebook 004, the last question: how to choose max_workers?
--
--     lpool worker_sweep.lua [seconds per waiting task, 0.01 by default]
--
-- "Experimentation and profiling", says the notebook; here they are. 128 tasks
-- that wait, and 128 that compute, are run by 1, 2, 4, ... 128 workers.
--
-- Waiting tasks gain from further workers until starting those costs more than it
-- saves. Computing tasks gain up to the number of processors, and no further. In
-- Python the right column would need processes: its threads take turns at
-- computing, and would not gain at all.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local TASKS <const> = 128

local seconds = notebook.seconds(0.01)

local function wait()
  lpool.sleep(seconds)
end

local function compute()
  local sum = 0
  for i = 1, 200000 do
    sum = sum + i * i
  end
  return sum
end

local function time_of(task, workers)
  local start = lpool.now()
  do
    local executor <close> = lpool.ThreadPoolExecutor { max_workers = workers }
    executor:map(task, lpool.range(1, TASKS))
  end
  return lpool.now() - start
end

print(("%d tasks on %d processors"):format(TASKS, lpool.cpu_count()))
print("workers       waiting            computing")
local wait_alone, compute_alone
for power = 0, 7 do
  local workers = 1 << power
  local waited, computed = time_of(wait, workers), time_of(compute, workers)
  wait_alone, compute_alone = wait_alone or waited, compute_alone or computed
  print(("%7d  %7.3f s %5.1f x  %7.3f s %5.1f x"):format(
    workers, waited, wait_alone / waited, computed, compute_alone / computed))
end
