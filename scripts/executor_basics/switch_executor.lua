-- Notebook 001, the syntax: one word makes processes of threads.
--
--     lpool switch_executor.lua [seconds per task, 0.5 by default]
--
-- The same lines run with both executors: the same results in the same time, in
-- one process or in four.
--
-- In Python the word decides more: threads share variables and take turns at the
-- interpreter, processes do neither, and a function must be importable to reach
-- them. In lpool both kinds share nothing, both compute in parallel, and either
-- takes any function.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(0.5)

local function func(x)
  lpool.sleep(seconds)
  return x * x, lpool.getpid()
end

local data = { 1, 2, 3, 4, 5, 6, 7, 8 }

local function run(PoolExecutor)
  local executor <close> = PoolExecutor { max_workers = 4 }
  local results = executor:map(func, data)

  local squares, processes, seen = {}, 0, {}
  for i, square, pid in results do
    squares[i] = square
    if not seen[pid] then
      seen[pid], processes = true, processes + 1
    end
  end
  return squares, processes
end

for _, name in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor" } do
  local start = lpool.now()
  local squares, processes = run(lpool[name]) -- the one word
  print(("%s: %s"):format(name, notebook.list(squares)))
  print(("  in %d process%s, %.2f seconds"):format(
    processes, processes == 1 and "" or "es", lpool.now() - start))
end
