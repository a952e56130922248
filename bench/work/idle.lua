-- The processor time that a pool of two takes while it has nothing to do: of
-- all threads of this program but the first, which measures, and of all its
-- processes.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"
local processes = require "processes"

local IDLE = 0.5

local ex <close> = pools.new { max_workers = 2 }
local pids = pools.warm_up(ex)
local of = processes.other_threads(lpool.getpid())
if pools.kind == "process" then
  table.move(pids, 1, #pids, #of + 1, of)
  of[#of + 1] = processes.parent(pids[1]) -- who has forked them
end
lpool.sleep(0.1)
local before = processes.processor_time(of)
lpool.sleep(IDLE)
print("idle_us_per_s", (processes.processor_time(of) - before) / IDLE * 1e6)
