-- Notebook 003, the entry point: why lpool needs no guard.
--
--     lpool no_entry_guard.lua [seconds per task, 0.1 by default]
--
-- A pool of processes is started at the top level of the script, and the first
-- line is printed once.
--
-- Where Python starts processes afresh, as on Windows, each imports the main
-- script to find its functions. Without `if __name__ == "__main__":` it would start
-- the pool again: it dies of a RuntimeError, and the pool is broken. A worker of
-- lpool never runs the script; it is sent the function itself.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(0.1)

print(("The script runs in process %d."):format(lpool.getpid()))

local function task(number)
  lpool.sleep(seconds)
  return ("Task %d runs in process %d, worker %s."):format(
    number, lpool.getpid(), lpool.worker().name)
end

local executor <close> = lpool.ProcessPoolExecutor { max_workers = 3 }
for _, result in executor:map(task, { 1, 2, 3 }) do
  print(result)
end

-- What Python asks of __name__, a function can ask of lpool.worker(): it is nil
-- in the script.
print(("The script is %s worker."):format(lpool.worker() and "a" or "no"))
