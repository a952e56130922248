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

local function median(count, measure)
  local times = {}
  for i = 1, count do
    times[i] = measure()
  end
  table.sort(times)
  return times[count // 2 + 1]
end

if arg[2] == "first" then
  print(milliseconds())
else
  milliseconds()
  print("next_ms", median(POOLS, milliseconds))
  print("first_ms", median(PROGRAMS, first_of_a_program))
end
