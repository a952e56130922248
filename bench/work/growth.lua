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

-- Seconds of three things with x futures: submit and take; as_completed of
-- new ones; wait of those.
local function futures(ex, x)
  local times, list = { lpool.now() }, {}
  run(ex, x)
  times[2] = lpool.now()
  for i = 1, x do
    list[i] = ex:submit(nothing)
  end
  times[3] = lpool.now()
  for f in lpool.as_completed(list) do
    f:result()
  end
  times[4] = lpool.now()
  lpool.wait(list)
  return {
    pending = times[2] - times[1],
    as_completed = times[4] - times[3],
    wait = lpool.now() - times[4],
  }
end

-- A small number takes so little time that once is not enough.
local function repeated(ex, x)
  local rounds = {}
  for i = 1, math.max(1, math.min(21, 100000 // x)) do
    rounds[i] = futures(ex, x)
  end
  for _, series in ipairs { "pending", "as_completed", "wait" } do
    table.sort(rounds, function(a, b) return a[series] < b[series] end)
    show(series, x, rounds[#rounds // 2 + 1][series] / x)
  end
end

for _, x in ipairs { 1000, 10000, 100000, 1000000 } do
  local ex <close> = pools.new { max_workers = 2 }
  pools.warm_up(ex)
  run(ex, 10000)
  repeated(ex, x)
  collectgarbage()
end
