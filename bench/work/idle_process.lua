-- What one idle worker process costs: time to start, and memory of its own.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"
local processes = require "processes"

local WORKERS = 50
local STARTS = 51

local function nothing() end

-- From submit to the first result, of an executor that has no worker yet, in
-- microseconds; and what a later one takes.
local function start_one()
  local ex <close> = pools.new(1)
  local start = lpool.now()
  ex:submit(nothing):result()
  local first = lpool.now() - start
  local trips = {}
  for i = 1, 11 do
    start = lpool.now()
    ex:submit(nothing):result()
    trips[i] = lpool.now() - start
  end
  table.sort(trips)
  return (first - trips[6]) * 1e6
end

start_one() -- what a program's first pool brings along is not counted
local times = {}
for i = 1, STARTS do
  times[i] = start_one()
end
table.sort(times)
print("one_us", times[STARTS // 2 + 1])

local ex <close> = pools.new { max_workers = WORKERS }
local start = lpool.now()
local pids = pools.warm_up(ex)
print("each_us", (lpool.now() - start) / WORKERS * 1e6)

lpool.sleep(0.1)
print("pss_kib", processes.memory(pids, "Pss"))
print("dirty_kib", processes.memory(pids, "Private_Dirty"))
