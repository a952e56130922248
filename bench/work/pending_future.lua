-- What one pending future costs, in bytes: 100,000 of them in a list, behind
-- workers that are busy.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local memory = require "memory"
local pools = require "pools"

local FUTURES = 100000

local function nothing() end

local ex <close> = pools.new { max_workers = 2 }
ex:broadcast(nothing)
ex:submit(nothing):result()
for _, f in ipairs(ex:broadcast(lpool.sleep, 1)) do
  repeat
    lpool.sleep(0.001)
  until f:running()
end

local before = memory.resident()
local futures = {}
for i = 1, FUTURES do
  futures[i] = ex:submit(nothing)
end
local after = memory.resident()
assert(not futures[1]:done(), "the workers were not busy for long enough")

print("bytes", (after - before) * 1024 / FUTURES)
ex:shutdown { cancel_futures = true }
