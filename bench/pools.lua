--- Pools of the kind that a measurement was asked for: its first argument,
-- "thread" or "process".
local lpool = require "lpool"

local makers = { thread = lpool.ThreadPoolExecutor, process = lpool.ProcessPoolExecutor }
local pools = { kind = arg[1] or "thread" }

--- Makes an executor of that kind.
-- @param options as the executor takes them
pools.new = assert(makers[pools.kind], "the kind is 'thread' or 'process'")

--- Starts an executor's workers, and what the program's first pool brings along.
-- @param ex
-- @treturn {number,...} the workers' process ids
function pools.warm_up(ex)
  local pids = {}
  for i, f in ipairs(ex:broadcast(lpool.getpid)) do
    pids[i] = f:result()
  end
  return pids
end

return pools
