-- How long programs take from start to end: two shell commands, and lua5.4.
-- A shell starts each many times; its part is in all of them.
--
--     lpool bench/work/start.lua <kind> <command that does nothing> <command>
local lpool = require "lpool"

local SECONDS = 0.25 -- for each
local LOOP = "i=0; while [ $i -lt %d ]; do %s; i=$((i+1)); done >/dev/null"

local function seconds(command, times)
  local start = lpool.now()
  assert(os.execute(LOOP:format(times, command)))
  return (lpool.now() - start) / times
end

local function milliseconds(command)
  local once = seconds(command, 1)
  return seconds(command, math.max(1, math.ceil(SECONDS / once))) * 1e3
end

local lua = milliseconds("lua5.4 -e ''")
local empty = milliseconds(arg[2])
local first = milliseconds(arg[3])

print("empty_ms", empty)
print("empty_times_lua", empty / lua)
print("first_ms", first)
print("first_times_lua", first / lua)
