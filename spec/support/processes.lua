--- Processes as the system sees them, and ways for a task to end its own.
-- For specs of the process pool, and for the programs that they run.
local lfs = require "lfs"

local processes = {}

local function read_stat(pid)
  local file <close> = io.open(("/proc/%s/stat"):format(pid))
  local stat = file and file:read("a")
  local name, state, parent, group, session =
    (stat or ""):match("%((.*)%) (%a) (%d+) (%d+) (%d+)")
  return name and {
    pid = math.tointeger(tonumber(pid)),
    name = name,
    zombie = state == "Z" or state == "X",
    parent = tonumber(parent),
    group = tonumber(group),
    session = tonumber(session),
  }
end

--- All processes there are, as tables with pid, name, zombie, parent, group, session.
-- @treturn table
function processes.all()
  local found = {}
  for entry in lfs.dir("/proc") do
    local process = entry:find("^%d+$") and read_stat(entry)
    if process then
      found[#found + 1] = process
    end
  end
  return found
end

--- The children of a process, their children and so on, zombies too.
-- @tparam integer pid
-- @treturn table
function processes.below(pid)
  local children = {}
  for _, process in ipairs(processes.all()) do
    local list = children[process.parent] or {}
    children[process.parent] = list
    list[#list + 1] = process
  end
  local found = {}
  local function add(parent)
    for _, process in ipairs(children[parent] or {}) do
      found[#found + 1] = process
      add(process.pid)
    end
  end
  add(pid)
  return found
end

--- The live processes of a session; a program run by `setsid` has its own.
-- @tparam integer session
-- @treturn table
function processes.of_session(session)
  local found = {}
  for _, process in ipairs(processes.all()) do
    if process.session == session and not process.zombie then
      found[#found + 1] = process
    end
  end
  return found
end

--- Processes as text, for messages.
function processes.describe(list)
  local lines = {}
  for index, process in ipairs(list) do
    local state = process.zombie and ", zombie" or ""
    lines[index] = ("%d (%s, child of %d%s)"):format(process.pid, process.name, process.parent,
      state)
  end
  return table.concat(lines, ", ")
end

--- Whether a process is there and no zombie.
-- @tparam integer pid
function processes.alive(pid)
  local process = read_stat(pid)
  return process ~= nil and not process.zombie
end

--- The zygotes below a process.
function processes.zygotes(pid)
  local found = {}
  for _, process in ipairs(processes.below(pid)) do
    if process.name:find("^lpool zygote") then
      found[#found + 1] = process
    end
  end
  return found
end

--- Sends the process that calls it a signal; returns once it is sent.
-- A task function as it stands. io.popen, unlike os.execute, leaves all signals on.
-- @tparam string signal such as "KILL"
function processes.strike(signal)
  io.popen("env kill -" .. signal .. " $PPID"):close()
end

--- Like strike, and does not go on: for signals that end a process later. In
-- a sanitized program, too, the signal kills.
function processes.die(signal)
  require("crash").untrap()
  processes.strike(signal)
  require("lpool").sleep(100)
end

-- The C module of tasks that go wrong, made once for all specs.
local crash_source, crash_library = "spec/support/crash.c", "build/spec/crash.so"

--- Makes the module `crash` loadable: see crash.c.
-- @treturn table
function processes.crash()
  local root = lfs.currentdir()
  local made = lfs.attributes(crash_library, "modification") or 0
  if made < lfs.attributes(crash_source, "modification") then
    local command = ("mkdir -p build/spec && cc -O0 -shared -fPIC $(pkg-config --cflags %s) "
      .. "-o %s.tmp %s && mv %s.tmp %s"):format(os.getenv("LUA_PC") or "lua5.4", crash_library,
      crash_source, crash_library, crash_library)
    assert(os.execute(command), "spec/support/crash.c cannot be compiled")
  end
  local path = root .. "/build/spec/?.so;"
  if not package.cpath:find(path, 1, true) then
    package.cpath = path .. package.cpath
  end
  return require "crash"
end

return processes
