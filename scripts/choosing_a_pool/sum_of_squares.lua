-- Notebook 004, example 2: a pool of processes for what computes.
--
--     lpool sum_of_squares.lua [integers, up to 1000000000]
--
-- 55 million squares are added up, by as many processes as there are processors.
--
-- All five sums pass 2^64. Python's integers grow by themselves; Lua's wrap round
-- and its floats would round. So the sum is kept in two integers, as
-- high * 10^18 + low, and stays exact. The same loop in CPython takes five times
-- as long: scripts/README.md has the measurement.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

local function cpu_bound_calculation(n)
  local high, low, base = 0, 0, 1000000000000000000
  for i = 0, n - 1 do
    low = low + i * i
    if low >= base then
      high, low = high + 1, low - base
    end
  end
  return high == 0 and ("%d"):format(low) or ("%d%018d"):format(high, low)
end

local numbers = { 10000000, 12000000, 11000000, 9000000, 13000000 }
if #arg > 0 then
  numbers = {}
  for i, text in ipairs(arg) do
    local n = text:find("^%d+$") and tonumber(text)
    if not n or n > 1000000000 then
      notebook.usage("[integers, up to 1000000000]")
    end
    numbers[i] = n
  end
end

local start_time = lpool.now()
local results
do
  local executor <close> = lpool.ProcessPoolExecutor { max_workers = lpool.cpu_count() }
  results = executor:map(cpu_bound_calculation, numbers)
end
local end_time = lpool.now()

print(("ProcessPoolExecutor Execution Time: %.4f seconds"):format(end_time - start_time))
for i, result in results do
  print(("Calculation for %d: %s"):format(numbers[i], result))
end
