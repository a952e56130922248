-- Notebook 002, example 2: large numbers in a pool of processes.
--
--     lpool factorial_digits.lua
--
-- Numbers of up to 27,753 digits, computed by four processes.
--
-- Python's integers grow as needed; Lua's have 64 bits, so the factorials are
-- OpenSSL's bignums. Those stay in the state that made them, and the task returns
-- the decimal digits, which any state can have. Python as the notebook has it
-- stops here: since 3.11, str() refuses integers of more than 4,300 digits.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local bignum = require "openssl.bignum"
local lpool = require "lpool"
local notebook = require "notebook"

if #arg > 0 then
  notebook.usage("(no arguments)")
end

-- Compute factorial (CPU-intensive)
local function compute_factorial(n)
  local result = bignum.new(1)
  for i = 1, n do
    result = result * i
  end
  return tostring(result)
end

local numbers = { 5000, 6000, 7000, 8000 }

-- Using ProcessPoolExecutor for CPU-bound tasks
do
  local executor <close> = lpool.ProcessPoolExecutor { max_workers = 4 }
  local results = executor:map(compute_factorial, numbers)

  for i, digits in results do
    print(("Factorial of %d = %d digits"):format(numbers[i], #digits))
  end
end
