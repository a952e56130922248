-- Notebook 003, example 2: a map over processes.
--
--     lpool calculate_squares.lua [seconds per number, 2 by default]
--
-- Eight numbers on three workers take six seconds: three, three, and two.
--
-- Python needs processes to "side-step the GIL". Lua has no such lock, and its
-- threads compute in parallel as well; what processes add is that one of them can
-- crash without the others. main() is called without a guard: see
-- no_entry_guard.lua.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(2)

local function calculate_square(number)
  lpool.sleep(seconds) -- Simulates a heavy computational load
  return ("Square of %d: %d"):format(number, number * number)
end

local function main()
  local numbers = { 1, 2, 3, 4, 5, 11, 12, 14 }

  -- Utilizing multiple CPU cores
  local results
  do
    local executor <close> = lpool.ProcessPoolExecutor { max_workers = 3 }
    results = executor:map(calculate_square, numbers)
  end

  for _, result in results do
    print(result)
  end
end

main()
