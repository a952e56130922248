--- Scenarios of the stress specs, each in a program of its own.
-- The usual run is short; `make stress` sets LPOOL_STRESS=full for the full
-- numbers.
local assert = require "luassert"
local helper = require "spec.helper"

local load = {}

--- Whether this is the run with the full numbers.
load.FULL = os.getenv("LPOOL_STRESS") == "full"

-- Lua for these programs: what the process holds, and what it held before.
local measures = [[
  local lpool = require "lpool"
  local processes = require "spec.support.processes"
  local inventory = require "spec.support.inventory"
  local crash = processes.crash()
  local LOAD, FULL = tonumber((...)), select(2, ...) == "true"
  local function resident()
    collectgarbage()
    collectgarbage()
    for line in io.lines("/proc/self/status") do
      local kilobytes = line:match("^VmRSS:%s*(%d+)")
      if kilobytes then return tonumber(kilobytes) * 1024 end
    end
  end
  local function held()
    return {
      descriptors = inventory.count(inventory.descriptors()),
      threads = inventory.count(inventory.threads()),
      processes = #processes.below(lpool.getpid()),
    }
  end
  local function zombies()
    local n = 0
    for _, process in ipairs(processes.below(lpool.getpid())) do
      n = n + (process.zombie and 1 or 0)
    end
    return n
  end
  -- Waits until no more is held than before; memory is compared at full load.
  local function check_settled(before, memory, most)
    local deadline = lpool.now() + 10
    local now, more
    repeat
      collectgarbage()
      lpool.poll()
      now, more = held(), nil
      for what, n in pairs(now) do
        if n > before[what] then more = ("%d %s, %d before"):format(n, what, before[what]) end
      end
    until not more or lpool.now() > deadline
    assert(not more, more)
    assert(zombies() == 0, "zombies")
    local grown = resident() - memory
    assert(not FULL or grown < most, grown .. " bytes more")
  end
  local function median(list)
    table.sort(list)
    return list[#list // 2 + 1]
  end
  local function square(n) return n * n end
  local function spin(n)
    local sum = 0
    for i = 1, n do sum = sum + i end
    return sum
  end
]]

--- Runs such a program, which must put out "ok".
-- @tparam integer small its load in the usual run
-- @tparam integer full its load in that of `make stress`
-- @tparam number seconds how long it may take then
-- @tparam string source
-- @tparam[opt] table options as for helper.run
function load.program(small, full, seconds, source, options)
  local n = load.FULL and full or math.max(1, math.ceil(small / helper.patience))
  seconds = load.FULL and seconds or 30
  helper.limit(seconds + 10)
  local strict = load.FULL and helper.patience == 1
  local result = helper.run(measures .. source, {
    args = ("%d %s"):format(n, strict),
    limit = seconds,
    env = options and options.env,
  })
  assert.are.equal("", result.err:sub(1, 4000))
  assert.are.equal("ok\n", result.out)
  assert.are.equal(0, result.code)
end

return load
