-- 8 tasks of pure Lua arithmetic, on one worker and on two.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local function compute(n)
  local sum = 0
  for i = 1, n do
    sum = (sum + i * i) % 1000003
  end
  return sum
end

local function seconds(workers)
  local ex <close> = pools.new { max_workers = workers }
  local start = lpool.now()
  local futures = {}
  for i = 1, 8 do
    futures[i] = ex:submit(compute, 4000000 + i)
  end
  for i = 1, 8 do
    futures[i]:result()
  end
  return lpool.now() - start
end

print("speedup", seconds(1) / seconds(2))

-- What the machine gives at this moment: as many processes of lua5.4. If that
-- is less than two, others use it, and no pool can do better.
local command = "lua5.4 -e 'local s = 0 for i = 1, 8000000 do s = (s + i * i) % 1000003 end'"

local function shell_seconds(line)
  local start = lpool.now()
  assert(os.execute(line))
  return lpool.now() - start
end

local one_by_one = shell_seconds(command .. "; " .. command)
print("machine", one_by_one / shell_seconds(command .. " & " .. command .. "; wait"))
