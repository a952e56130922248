-- A round is 200,000 tasks that do nothing: submit each, then take each result.
-- The first, in fresh memory, and the median of those after it.
--
--     lpool bench/work/tasks.lua <kind> [best]
--
-- best: after the first, shorter rounds, and the best of them: for bench-check.
-- In the same program they would change each other's memory.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local TASKS, ROUNDS = 200000, 5
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

local function median_rate(ex)
  local rates = {}
  for i = 1, ROUNDS do
    rates[i] = rate(ex, TASKS)
  end
  table.sort(rates)
  return rates[ROUNDS // 2 + 1]
end

local function best_rate(ex)
  local best = 0
  for _ = 1, TIMES do
    best = math.max(best, rate(ex, FEWER))
  end
  return best
end

local ex <close> = pools.new { max_workers = 2 }
pools.warm_up(ex)
print("first_tasks_per_second", rate(ex, TASKS))
if arg[2] == "best" then
  print("best_tasks_per_second", best_rate(ex))
else
  print("tasks_per_second", median_rate(ex))
end
