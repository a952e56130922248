-- How the cost of one task grows: with the number of tasks before it, with the
-- number of workers, with the number of tasks pending; and what as_completed
-- and wait take for each of so many futures. In nanoseconds.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local PENDING = 1000 -- at a time, if nothing else is said

local function nothing() end

local function show(series, x, seconds)
  print(("%s_%d"):format(series, x), seconds * 1e9)
end

-- Submit so many, then take each result.
local function run(ex, count)
  local futures = {}
  for i = 1, count do
    futures[i] = ex:submit(nothing)
  end
  for i = 1, count do
    futures[i]:result()
  end
end

local function run_often(ex, count)
  for _ = 1, count // PENDING do
    run(ex, PENDING)
  end
end

do -- what comes after the first 10^6 tasks costs what the first did
  local ex <close> = pools.new { max_workers = 2 }
  pools.warm_up(ex)
  local ended = 0
  for _, x in ipairs { 1000, 10000, 100000, 1000000, 10000000 } do
    local before = lpool.now()
    run_often(ex, x - ended)
    show("tasks", x, (lpool.now() - before) / (x - ended))
    ended = x
  end
end

for _, x in ipairs { 1, 10, 100, 1000 } do
  local ex <close> = pools.new { max_workers = x }
  pools.warm_up(ex)
  run_often(ex, 10000)
  local start = lpool.now()
  run_often(ex, 50000)
  show("workers", x, (lpool.now() - start) / 50000)
end

local function pending(ex, futures, x)
  local start = lpool.now()
  run(ex, x)
  show("pending", x, (lpool.now() - start) / x)
  for i = 1, x do
    futures[i] = ex:submit(nothing)
  end
  start = lpool.now()
  for f in lpool.as_completed(futures) do
    f:result()
  end
  show("as_completed", x, (lpool.now() - start) / x)
  start = lpool.now()
  lpool.wait(futures)
  show("wait", x, (lpool.now() - start) / x)
end

for _, x in ipairs { 1000, 10000, 100000, 1000000 } do
  local ex <close> = pools.new { max_workers = 2 }
  pools.warm_up(ex)
  pending(ex, {}, x)
  collectgarbage()
end
