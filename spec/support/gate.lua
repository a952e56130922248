--- A meeting place of tasks and the test: tasks arrive, the test opens.
-- It works between any two states, threads or processes, because it is made
-- of files: one that grows by a byte with each arrival, and one that exists
-- once the gate is open. A test makes a gate and sends its path:
--
--    local gates = require "spec.support.gate"
--    local ex <close> = make { max_workers = 1 }
--    local gate <close> = gates.new()        -- after the executor: opens before it closes
--    local f = ex:submit(gates.hold, gate.path, 42)
--    gate:await(1)                           -- the task runs now
--    gate:open()                             -- and ends now, with 42
--
-- Nobody waits for ever: past a deadline, waiting is an error.
local temporary = require "spec.support.temporary"

local gate = {}

local PATIENCE = 20 * (tonumber(os.getenv("LPOOL_PATIENCE")) or 1)

local function exists(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

local function wait_until(condition, what)
  local lpool = require "lpool"
  local deadline = lpool.now() + PATIENCE
  while not condition() do
    if lpool.now() > deadline then
      error("gave up waiting until " .. what)
    end
    lpool.sleep(0.001)
  end
end

--- Says that the caller got here. For tasks.
-- @tparam string path a gate's path
function gate.arrive(path)
  local file <close> = assert(io.open(path, "ab"))
  file:setvbuf("no")
  assert(file:write("."))
end

--- How often a caller arrived so far.
-- @tparam string path a gate's path
-- @treturn integer
function gate.count(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:seek("end")
end

--- Waits until the gate is open. For tasks.
-- @tparam string path a gate's path
function gate.pass(path)
  wait_until(function()
    return exists(path .. ".open")
  end, "a gate was open")
end

--- Waits until there were n arrivals. For tasks that meet each other.
-- @tparam string path a gate's path
-- @tparam integer n
function gate.meet(path, n)
  wait_until(function()
    return gate.count(path) >= n
  end, ("there were %d arrivals"):format(n))
end

--- Arrives, waits until the gate is open, and returns the other arguments.
-- A task function as it stands.
function gate.hold(path, ...)
  gate.arrive(path)
  gate.pass(path)
  return ...
end

--- Arrives and returns the other arguments. A task function as it stands.
function gate.visit(path, ...)
  gate.arrive(path)
  return ...
end

local methods = {}
local Gate = { __name = "gate", __index = methods }

--- Makes a closed gate; leaving its block opens it.
-- @treturn Gate with `path`, to be sent to tasks
function gate.new()
  local path = temporary.file()
  temporary.claim(path .. ".open")
  return setmetatable({ path = path }, Gate)
end

--- Lets through all who wait, and all who will.
function methods:open()
  assert(io.open(self.path .. ".open", "w")):close()
end

--- Waits until there were n arrivals.
function methods:await(n)
  gate.meet(self.path, n)
end

--- How often a task arrived so far.
function methods:count()
  return gate.count(self.path)
end

Gate.__close = methods.open

return gate
