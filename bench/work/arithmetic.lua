-- 8 tasks of pure Lua arithmetic, on one worker and on two.
local lpool = require "lpool"

local function compute(n)
  local sum = 0
  for i = 1, n do
    sum = (sum + i * i) % 1000003
  end
  return sum
end

local function seconds(workers)
  local ex <close> = lpool.ThreadPoolExecutor { max_workers = workers }
  local start = lpool.now()
  local futures = {}
  for i = 1, 8 do
    futures[i] = ex:submit(compute, 10000000 + i)
  end
  for i = 1, 8 do
    futures[i]:result()
  end
  return lpool.now() - start
end

print("speedup", seconds(1) / seconds(2))
