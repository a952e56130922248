-- How long programs take from start to end: lua5.4, lpool, lpool with a pool.
-- A shell starts each many times; its part is in all of them.
local lpool = require "lpool"

local STARTS = 200

local POOL = [[
local lpool = require "lpool"
local ex <close> = lpool.ThreadPoolExecutor(2)
assert(ex:submit(math.max, 1, 2):result() == 2)
]]

local program = arg[-1] -- the lpool that runs this

local function milliseconds(command)
  local start = lpool.now()
  assert(os.execute(("i=0; while [ $i -lt %d ]; do %s; i=$((i+1)); done"):format(STARTS, command)))
  return (lpool.now() - start) / STARTS * 1e3
end

local script = os.tmpname()
local file <close> = assert(io.open(script, "w"))
file:write(POOL)
file:close()

local lua = milliseconds("lua5.4 -e ''")
local start = milliseconds(program .. " -e ''")
local pool = milliseconds(program .. " " .. script)
os.remove(script)

print("start_ms", start)
print("start_times_lua", start / lua)
print("pool_ms", pool)
print("pool_times_lua", pool / lua)
