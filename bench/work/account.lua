-- What one task costs whom: time of submit and of result, and processor time of
-- the caller and of the workers, in nanoseconds. Once in fresh memory, which
-- is that of the first tasks of a program, and then the median of rounds.
--
--     lpool bench/work/account.lua <kind> [rounds [tasks]]
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"
local processes = require "processes"

local TASKS = tonumber(arg[3]) or 100000
local ROUNDS = tonumber(arg[2]) or 11

local function nothing() end

local ex <close> = pools.new { max_workers = 2 }
local pids = pools.warm_up(ex)
local me = lpool.getpid()
local workers = pools.kind == "process" and pids or processes.other_threads(me)

local function round()
  local caller, others = processes.processor_time { me }, processes.processor_time(workers)
  local faults = processes.faults(me)
  local times = { lpool.now() }
  local futures = {}
  for i = 1, TASKS do
    futures[i] = ex:submit(nothing)
  end
  times[2] = lpool.now()
  for i = 1, TASKS do
    futures[i]:result()
  end
  times[3] = lpool.now()
  return {
    submit_ns = (times[2] - times[1]) / TASKS * 1e9,
    result_ns = (times[3] - times[2]) / TASKS * 1e9,
    caller_cpu_ns = (processes.processor_time { me } - caller) / TASKS * 1e9,
    worker_cpu_ns = (processes.processor_time(workers) - others) / TASKS * 1e9,
    faults_per_1000 = (processes.faults(me) - faults) / TASKS * 1e3,
  }
end

local first = round()
print("first_submit_ns", first.submit_ns)
print("first_faults_per_1000", first.faults_per_1000)

local rounds = {}
for i = 1, ROUNDS do
  collectgarbage()
  rounds[i] = round()
end
for key in pairs(first) do
  table.sort(rounds, function(a, b) return a[key] < b[key] end)
  print(key, rounds[ROUNDS // 2 + 1][key])
end
