-- Makes a pool of two, runs one task, closes it: the first time in a program,
-- and later. For the first times it runs itself, with a second argument.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local pools = require "pools"

local PROGRAMS = 21
local POOLS = 101

local function milliseconds()
  local start = lpool.now()
  do
    local ex <close> = pools.new { max_workers = 2 }
    assert(ex:submit(math.max, 1, 2):result() == 2)
  end
  return (lpool.now() - start) * 1e3
end

local function first_of_a_program()
  local command = ("%s %s %s first"):format(arg[-1], arg[0], pools.kind)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("n")
end

local function sorted(count, measure)
  local times = {}
  for i = 1, count do
    times[i] = measure()
  end
  table.sort(times)
  return times
end

if arg[2] == "first" then
  print(milliseconds())
else
  milliseconds()
  local times = sorted(POOLS, milliseconds)
  print("next_ms", times[POOLS // 2 + 1])
  print("next_p10_ms", times[POOLS // 10])
  print("first_ms", sorted(PROGRAMS, first_of_a_program)[PROGRAMS // 2 + 1])
end
