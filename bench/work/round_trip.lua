-- One submit and its result, one after another.
local lpool = require "lpool"

local TRIPS = 20000

local function nothing() end

local ex <close> = lpool.ThreadPoolExecutor { max_workers = 2 }
for _ = 1, 1000 do
  ex:submit(nothing):result()
end

local times = {}
local wall, cpu = lpool.now(), os.clock() -- of all threads of the process
for i = 1, TRIPS do
  local start = lpool.now()
  ex:submit(nothing):result()
  times[i] = lpool.now() - start
end
wall, cpu = lpool.now() - wall, os.clock() - cpu

table.sort(times)
print("p50_us", times[TRIPS // 2] * 1e6)
print("p99_us", times[TRIPS * 99 // 100] * 1e6)
print("cpu_per_wall", cpu / wall)
