--- A second process that kills the run when a test takes too long.
-- A test that hangs cannot fail by itself; so a small shell script is told
-- when each test starts and how long it may take. See watchdog.sh.
local watchdog = {}

local script = "spec/support/watchdog.sh"
local pipe

local function own_pid()
  local file <close> = assert(io.open("/proc/self/stat"))
  return file:read("n")
end

--- Starts the watching process. It ends by itself when this one does.
function watchdog.start()
  pipe = assert(io.popen(("exec bash %s %d"):format(script, own_pid()), "w"))
  pipe:setvbuf("line")
end

--- Gives the test of this name so many seconds from now on.
-- @tparam number seconds
-- @tparam string name
function watchdog.arm(seconds, name)
  pipe:write(("%d %s\n"):format(math.ceil(seconds), (name:gsub("%s+", " "))))
end

--- Says that no test is going on.
function watchdog.rest()
  pipe:write("0 -\n")
end

return watchdog
