-- Notebook 001, example 3: both kinds of pool, with as many workers as they
-- choose themselves.
--
--     lpool mixed_timing.lua [seconds per task, 1 by default]
--
-- Threads are 5 for each processor, so five tasks take one second; processes are
-- one for each, so on two processors they take three. lpool.cpu_count() says how
-- many there are.
--
-- The output that the notebook shows belongs to its example 2; this prints what
-- its code does. Five threads for each processor, as the notebook has it, was
-- Python's default from 3.5 to 3.7; it is lpool's.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(1)

local function task(n)
  print(("Working on %d"):format(n))
  lpool.sleep(seconds)
  return n * n
end

local data = lpool.range(0, 4)

local start = lpool.now()
do
  local executor <close> = lpool.ThreadPoolExecutor()
  executor:map(task, data):totable()
end
print("Thread time : " .. (lpool.now() - start))

start = lpool.now()
do
  local executor <close> = lpool.ProcessPoolExecutor()
  executor:map(task, data):totable()
end
print("Process time: " .. (lpool.now() - start))
