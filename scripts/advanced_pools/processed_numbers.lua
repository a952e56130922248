-- Notebook 003, example 1: a map keeps the order of its input.
--
--     lpool processed_numbers.lua [seconds per number, 1 by default]
--
-- Ten numbers on three workers take four seconds. No thread is started or joined
-- by hand; three of them serve all ten.
--
-- In Python and here map returns at once, and leaving the block waits. Results
-- come as `i, result`: the number of the item stands in front, so that a result
-- of nil does not end the loop.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local seconds = notebook.seconds(1)

local function print_number(number)
  lpool.sleep(seconds) -- Simulates an I/O-bound task
  return ("Processed Number: %d"):format(number)
end

local numbers = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }

-- max_workers defines the number of threads running concurrently
local results
do
  local executor <close> = lpool.ThreadPoolExecutor { max_workers = 3 }
  -- :map() applies the function to every item in the list across the threads
  results = executor:map(print_number, numbers)
end

for _, result in results do
  print(result)
end
