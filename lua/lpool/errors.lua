--- The kinds of lpool's own errors.
local core = require "lpool.core"

local errors = {}

-- Each kind and what it is a special case of.
local parents = {
  CancelledError = true,
  TimeoutError = true,
  InvalidStateError = true,
  SerializationError = true,
  ShutdownError = true,
  FullError = true,
  DeadlockError = true,
  LimitError = true,
  WorkerExitError = true,
  BrokenExecutor = true,
  BrokenThreadPool = "BrokenExecutor",
  BrokenProcessPool = "BrokenExecutor",
  WorkerLostError = "BrokenExecutor",
}

--- Whether a value is an error of lpool's of this kind, or of a special case of it.
-- @param value anything
-- @tparam string kind such as `"TimeoutError"`
-- @treturn boolean
-- @raise if there is no such kind
function errors.is(value, kind)
  if not parents[kind] then
    error(("unknown kind of error '%s'"):format(tostring(kind)), 2)
  end
  local found = core.error_kind(value)
  while found do
    if found == kind then
      return true
    end
    found = parents[found]
    if found == true then
      return false
    end
  end
  return false
end

return errors
