-- Notebook 000, example 3: one after the other, in threads, in processes.
--
--     lpool sequential_thread_process.lua [seconds per task, 2 by default]
--
-- Five tasks of two seconds take ten in sequence, and two in a pool of five.
--
-- The task waits, so in Python too the threads are as fast as the processes; a
-- task that computes would show its GIL. Lua has none: worker_sweep.lua in
-- choosing_a_pool/ lets threads compute. Python reads the clock with
-- time.time(), which jumps if someone sets it; lpool.now() only goes forward.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(2)

local function heavy_task(n)
  print(("Processing %d..."):format(n))
  lpool.sleep(seconds)
  return n * n
end

local numbers = { 1, 2, 3, 4, 5 }

-- Sequential execution
local start = lpool.now()
local results_seq = {}
for i, n in ipairs(numbers) do
  results_seq[i] = heavy_task(n)
end
print("Sequential results: " .. notebook.list(results_seq))
print(("Sequential time: %.2f seconds\n"):format(lpool.now() - start))

-- ThreadPoolExecutor
start = lpool.now()
local results_thread
do
  local executor <close> = lpool.ThreadPoolExecutor { max_workers = 5 }
  results_thread = executor:map(heavy_task, numbers):totable()
end
print("Thread pool results: " .. notebook.list(results_thread))
print(("Thread pool time: %.2f seconds\n"):format(lpool.now() - start))

-- ProcessPoolExecutor
start = lpool.now()
local results_process
do
  local executor <close> = lpool.ProcessPoolExecutor { max_workers = 5 }
  results_process = executor:map(heavy_task, numbers):totable()
end
print("Process pool results: " .. notebook.list(results_process))
print(("Process pool time: %.2f seconds"):format(lpool.now() - start))
