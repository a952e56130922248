--- What futures can do besides what is written in C: chaining.
local core = require "lpool.core"
local options = require "lpool.options"

local methods = core.future_methods

-- Ends `target` as `source` has ended.
local function follow(source, target)
  source:add_done_callback(function(ended)
    local state = ended:state()
    if target:done() then
      return
    elseif state == "finished" then
      target:set_result(ended:result())
    elseif state == "cancelled" then
      target:cancel()
    else
      target:set_exception((ended:exception()))
    end
  end)
end

-- Ends `target` with what fn(...) returns or raises; a returned future is followed.
local function settle(target, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if target:done() then
    return -- fn has cancelled it
  elseif not results[1] then
    target:set_exception(results[2])
  elseif results.n == 2 and core.is_future(results[2]) then
    follow(results[2], target)
  else
    local sent, message = pcall(target.set_result, target, table.unpack(results, 2, results.n))
    if not sent then
      target:set_exception(message)
    end
  end
end

local function check_callable(fn, name)
  if not options.is_callable(fn) then
    error(("bad argument #1 to '%s' (function expected, got %s)"):format(name, type(fn)), 3)
  end
end

--- A future of what `fn` returns for the results of this one; a failure passes through.
-- `fn` runs in this state, when it next waits in lpool; a future that it returns is followed.
-- @tparam function fn
-- @return a future
function methods:and_then(fn)
  check_callable(fn, "and_then")
  local target = core.Future()
  self:add_done_callback(function(ended)
    local state = ended:state()
    if target:done() then
      return
    elseif state == "finished" then
      settle(target, fn, ended:result())
    elseif state == "cancelled" then
      target:cancel()
    else
      target:set_exception((ended:exception()))
    end
  end)
  return target
end

--- A future of what `fn` returns for the error of this one; results pass through.
-- `fn` gets the error value; a cancelled future gives it a `CancelledError`.
-- @tparam function fn
-- @return a future
function methods:or_else(fn)
  check_callable(fn, "or_else")
  local target = core.Future()
  self:add_done_callback(function(ended)
    if target:done() then
      return
    elseif ended:state() == "finished" then
      target:set_result(ended:result())
    else
      settle(target, fn, (select(2, pcall(ended.result, ended))))
    end
  end)
  return target
end

return methods
