-- Notebook 001, example 2: processes that say who they are.
--
--     lpool process_squares.lua [seconds per square, 1 by default [items...]]
--
-- Three processes share the five squares, so there are three process ids, and
-- none is the script's. With items that have no square, such as
--
--     lpool process_squares.lua 1 2 three 4
--
-- the error is caught in the task, as in the notebook. Its result is None in
-- Python and nil in Lua: a hole in the list, which totable() bridges by
-- counting in `n`. Python's try and except are pcall. No guard is needed here.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.to_seconds(arg[1] or 1)
  or notebook.usage("[seconds per square, 1 by default [items...]]")

local function square(n)
  local ok, result = pcall(function()
    print(("Process %d computing square of %s"):format(lpool.getpid(), n))
    lpool.sleep(seconds)
    return n * n
  end)
  if ok then
    return result
  end
  print(("Error in process %d: %s"):format(lpool.getpid(), result))
end

local numbers = { 1, 2, 3, 4, 5 }
if #arg > 1 then
  numbers = {}
  for i = 2, #arg do
    numbers[i - 1] = tonumber(arg[i]) or arg[i]
  end
end

local results
do
  local executor <close> = lpool.ProcessPoolExecutor { max_workers = 3 }
  results = executor:map(square, numbers)
end

print("Squares: " .. notebook.list(results:totable()))
