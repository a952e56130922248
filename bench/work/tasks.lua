-- 200,000 tasks that do nothing: submit each, then take each result.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local TASKS = 200000

local function nothing() end

local ex <close> = pools.new { max_workers = 2 }
pools.warm_up(ex)

local start = lpool.now()
local futures = {}
for i = 1, TASKS do
  futures[i] = ex:submit(nothing)
end
for i = 1, TASKS do
  futures[i]:result()
end
print("tasks_per_second", TASKS / (lpool.now() - start))
