-- One submit and its result, one after another.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"
local processes = require "processes"

local TRIPS = 20000

local function nothing() end

local ex <close> = pools.new { max_workers = 2 }
local pids = pools.warm_up(ex)
for _ = 1, 1000 do
  ex:submit(nothing):result()
end

-- Of all threads of this process, and of the workers if they are others.
local function processor_time()
  return os.clock() + (pools.kind == "process" and processes.processor_time(pids) or 0)
end

local times = {}
local wall, cpu = lpool.now(), processor_time()
for i = 1, TRIPS do
  local start = lpool.now()
  ex:submit(nothing):result()
  times[i] = lpool.now() - start
end
wall, cpu = lpool.now() - wall, processor_time() - cpu

table.sort(times)
print("p10_us", times[TRIPS // 10] * 1e6)
print("p50_us", times[TRIPS // 2] * 1e6)
print("p99_us", times[TRIPS * 99 // 100] * 1e6)
print("cpu_per_wall", cpu / wall)
