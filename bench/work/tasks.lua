-- 200,000 tasks that do nothing: submit each, then take each result. Then fewer,
-- several times, for the best of them.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local TASKS = 200000
local FEWER, TIMES = 20000, 10

local function nothing() end

-- Tasks a second.
local function rate(ex, count)
  local start = lpool.now()
  local futures = {}
  for i = 1, count do
    futures[i] = ex:submit(nothing)
  end
  for i = 1, count do
    futures[i]:result()
  end
  return count / (lpool.now() - start)
end

local ex <close> = pools.new { max_workers = 2 }
pools.warm_up(ex)
print("tasks_per_second", rate(ex, TASKS))

local best = 0
for _ = 1, TIMES do
  best = math.max(best, rate(ex, FEWER))
end
print("best_tasks_per_second", best)
