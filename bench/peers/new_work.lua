-- The same rows by luv's new_work: libuv's pool of threads, each task in a Lua
-- state of its thread. Values may be nil, booleans, numbers and strings.
--
--     UV_THREADPOOL_SIZE=2 lua5.4 bench/peers/new_work.lua <row>
package.path = "bench/?.lua;" .. package.path
local uv = require "luv"
local memory = require "memory"

local function now()
  return uv.hrtime() / 1e9
end

local function processor_time()
  local usage = uv.getrusage()
  return usage.utime.sec + usage.stime.sec + (usage.utime.usec + usage.stime.usec) / 1e6
end

local function show(key, value)
  print(key, value)
end

local function nothing() end

-- Runs a task often, each argument by itself, and counts the results.
local function run(fn, count)
  local ended = 0
  local work = uv.new_work(fn, function() ended = ended + 1 end)
  for i = 1, count do
    work:queue(i)
  end
  uv.run()
  assert(ended == count)
end

-- Runs a task time after time, the next one when the last has answered; gives
-- how long each took, sorted.
local function trips(fn, count, argument)
  local times, start, work = {}, nil, nil
  work = uv.new_work(fn, function()
    times[#times + 1] = now() - start
    if #times == count then return end
    start = now()
    work:queue(argument)
  end)
  start = now()
  work:queue(argument)
  uv.run()
  table.sort(times)
  return times
end

local rows = {}

-- The first round, in fresh memory, and the median of those after it.
function rows.tasks()
  local count, rounds, rates = 200000, 5, {}
  local function rate()
    local start = now()
    run(nothing, count)
    return count / (now() - start)
  end
  run(nothing, 1000)
  show("first_tasks_per_second", rate())
  for i = 1, rounds do
    rates[i] = rate()
  end
  table.sort(rates)
  show("tasks_per_second", rates[rounds // 2 + 1])
end

function rows.map()
  local count, sum = 1000000, 0
  run(nothing, 1000)
  local work = uv.new_work(function(n) return n + 1 end, function(n) sum = sum + n end)
  local start = now()
  for i = 1, count do
    work:queue(i)
  end
  uv.run()
  assert(sum == count * (count + 3) // 2)
  show("list_items_per_second", count / (now() - start))
  show("range_items_per_second", count / (now() - start))
end

function rows.round_trip()
  local count = 20000
  trips(nothing, 1000)
  local wall, cpu = now(), processor_time()
  local times = trips(nothing, count)
  show("cpu_per_wall", (processor_time() - cpu) / (now() - wall))
  show("p50_us", times[count // 2] * 1e6)
  show("p99_us", times[count * 99 // 100] * 1e6)
end

function rows.long_string()
  local times = trips(function(value) return value end, 26, ("0123456789abcdef"):rep(1 << 20))
  show("ms", times[13] * 1e3)
end

-- The size of libuv's pool is read when it starts: a program for each.
function rows.arithmetic()
  local function seconds(workers)
    local pipe <close> = assert(io.popen(("UV_THREADPOOL_SIZE=%d %s %s compute"):format(
      workers, arg[-1], arg[0])))
    return pipe:read("n")
  end
  show("speedup", seconds(1) / seconds(2))
end

function rows.compute()
  run(nothing, 100)
  local start = now()
  run(function(n)
    local sum = 0
    for i = 1, 2000000 + n do
      sum = (sum + i * i) % 1000003
    end
    return sum
  end, 8)
  print(now() - start)
end

function rows.pending_future()
  local count = 100000
  local work = uv.new_work(nothing, nothing)
  uv.new_work(function() require("luv").sleep(1000) end, nothing):queue()
  uv.new_work(function() require("luv").sleep(1000) end, nothing):queue()
  local before = memory.resident()
  for _ = 1, count do
    work:queue()
  end
  show("bytes", (memory.resident() - before) * 1024 / count)
  uv.run()
end

function rows.sleepers()
  local start = now()
  local work = uv.new_work(function() require("luv").sleep(50) end, nothing)
  for _ = 1, 2000 do
    work:queue()
  end
  uv.run()
  show("seconds", now() - start)
  show("mib", memory.peak() / 1024)
end

function rows.idle()
  run(nothing, 1000)
  local timer = uv.new_timer()
  local before = processor_time()
  timer:start(500, 0, function() timer:close() end)
  uv.run()
  show("idle_us_per_s", (processor_time() - before) * 1e6 / 0.5)
end

function rows.first()
  run(nothing, 1)
end

assert(rows[arg[1]], "no such row")()
