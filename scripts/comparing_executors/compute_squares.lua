-- Notebook 000, example 2: a pool of processes.
--
--     lpool compute_squares.lua [seconds per square, 1 by default]
--
-- Five squares on three workers take two seconds. Only the name of the executor
-- tells this from a pool of threads.
--
-- Python must "protect the entry point": its new processes may import the main
-- script, which would start the pool again. A worker of lpool never runs the
-- script; it gets compute_square and nothing else. So there is no guard.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(1)

local function compute_square(n)
  print(("Computing square of %d"):format(n))
  lpool.sleep(seconds)
  return n * n
end

local function run_process_pool()
  local numbers = { 1, 2, 3, 4, 5 }
  local executor <close> = lpool.ProcessPoolExecutor { max_workers = 3 }
  local results = executor:map(compute_square, numbers):totable()
  print("Squares: " .. notebook.list(results))
end

run_process_pool()
