-- Measures what it takes to stop tasks: cancelling 10,000 that are pending,
-- how much longer than its limit a busy loop runs, and how long an interrupt
-- takes to end one.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local TASKS = 10000
local ROUNDS = 11
local STOPS = 50
local LIMIT = 0.02

-- It takes memory for the thread sanitizer's sake, which lets signals through
-- only there.
local function busy()
  while true do
    local _ = {}
  end
end

-- Gives the median and the most, in milliseconds.
local function summary(times)
  table.sort(times)
  return times[#times // 2 + 1] * 1e3, times[#times] * 1e3
end

local function cancel_pending(ex)
  local blocker = ex:submit(busy)
  while not blocker:running() do
    lpool.sleep(0.001)
  end
  local futures = {}
  for i = 1, TASKS do
    futures[i] = ex:submit(math.abs, -i)
  end
  local start = lpool.now()
  for i = 1, TASKS do
    futures[i]:cancel()
  end
  local taken = lpool.now() - start
  for i = 1, TASKS do
    assert(futures[i]:cancelled())
  end
  blocker:interrupt()
  lpool.wait { blocker }
  return taken
end

local function overrun(ex)
  ex:submit(math.abs, 1):result() -- the worker is there, and idle
  local start = lpool.now()
  local f = ex:with({ timeout = LIMIT }):submit(busy)
  assert(lpool.is(f:exception(), "TimeoutError"))
  return lpool.now() - start - LIMIT
end

local function interrupt(ex)
  local f = ex:submit(busy)
  while not f:running() do
    lpool.sleep(0.001)
  end
  local start = lpool.now()
  f:interrupt()
  lpool.wait { f }
  local taken = lpool.now() - start
  assert(f:cancelled())
  return taken
end

local function repeated(ex, count, measure)
  local times = {}
  for i = 1, count do
    times[i] = measure(ex)
  end
  return summary(times)
end

local ex <close> = pools.new { max_workers = 1 }
print("cancel_ms", (repeated(ex, ROUNDS, cancel_pending)))
local p50, most = repeated(ex, STOPS, overrun)
print("timeout_p50_ms", p50)
print("timeout_max_ms", most)
p50, most = repeated(ex, STOPS, interrupt)
print("interrupt_p50_ms", p50)
print("interrupt_max_ms", most)
