-- map of a trivial function over 1,000,000 integers with default options.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local ITEMS = 1000000

local function increment(n)
  return n + 1
end

local function rate(input)
  local ex <close> = pools.new()
  local start = lpool.now()
  local sum = 0
  for _, n in ex:map(increment, input) do
    sum = sum + n
  end
  local seconds = lpool.now() - start
  assert(sum == ITEMS * (ITEMS + 3) // 2)
  return ITEMS / seconds
end

do -- what the program's first pool brings along is not measured
  local ex <close> = pools.new()
  pools.warm_up(ex)
end

local list = {}
for i = 1, ITEMS do
  list[i] = i
end

print("list_items_per_second", rate(list))
print("range_items_per_second", rate(lpool.range(1, ITEMS)))
