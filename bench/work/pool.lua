-- Makes a pool of two, runs one task, closes it: the first time in a program,
-- and later.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local POOLS = 101

local function milliseconds()
  local start = lpool.now()
  do
    local ex <close> = pools.new { max_workers = 2 }
    assert(ex:submit(math.max, 1, 2):result() == 2)
  end
  return (lpool.now() - start) * 1e3
end

print("first_ms", milliseconds())
local times = {}
for i = 1, POOLS do
  times[i] = milliseconds()
end
table.sort(times)
print("next_ms", times[POOLS // 2 + 1])
