-- map of a trivial function over 1,000,000 integers with default options. Then
-- over fewer, several times, for the best of them.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local ITEMS = 1000000
local FEWER, TIMES = 50000, 20

local function increment(n)
  return n + 1
end

-- Items a second, since start.
local function rate(ex, input, count, start)
  local sum = 0
  for _, n in ex:map(increment, input) do
    sum = sum + n
  end
  local seconds = lpool.now() - start
  assert(sum == count * (count + 3) // 2)
  return count / seconds
end

local function measure(name, whole, part)
  local start = lpool.now()
  local ex <close> = pools.new()
  print(name .. "_items_per_second", rate(ex, whole, ITEMS, start))
  local best = 0
  for _ = 1, TIMES do
    best = math.max(best, rate(ex, part, FEWER, lpool.now()))
  end
  print("best_" .. name .. "_items_per_second", best)
end

do -- what the program's first pool brings along is not measured
  local ex <close> = pools.new()
  pools.warm_up(ex)
end

local list = {}
for i = 1, ITEMS do
  list[i] = i
end

measure("list", list, table.move(list, 1, FEWER, 1, {}))
measure("range", lpool.range(1, ITEMS), lpool.range(1, FEWER))
