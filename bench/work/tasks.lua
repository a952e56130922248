-- 200,000 tasks that do nothing: submit each, then take each result.
local lpool = require "lpool"

local TASKS = 200000

local function nothing() end

local ex <close> = lpool.ThreadPoolExecutor { max_workers = 2 }
for _, f in ipairs(ex:broadcast(nothing)) do
  f:result()
end

local start = lpool.now()
local futures = {}
for i = 1, TASKS do
  futures[i] = ex:submit(nothing)
end
for i = 1, TASKS do
  futures[i]:result()
end
print("tasks_per_second", TASKS / (lpool.now() - start))
