-- What one idle worker costs: resident memory and time to start.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local memory = require "memory"

local WORKERS = 500

local function nothing() end

-- What the first worker of a program brings along is not counted.
do
  local ex <close> = lpool.ThreadPoolExecutor(1)
  ex:submit(nothing):result()
end

local ex <close> = lpool.ThreadPoolExecutor { max_workers = WORKERS }
local before = memory.resident()
local start = lpool.now()
for _, f in ipairs(ex:broadcast(nothing)) do
  f:result()
end
local seconds = lpool.now() - start

print("us", seconds / WORKERS * 1e6)
print("kib", (memory.resident() - before) / WORKERS)
