--- Many futures at once: as they are completed, all, some, or together.
local core = require "lpool.core"
local options = require "lpool.options"

local many = {
  FIRST_COMPLETED = "FIRST_COMPLETED",
  FIRST_EXCEPTION = "FIRST_EXCEPTION",
  ALL_COMPLETED = "ALL_COMPLETED",
}

-- The futures of a list, of a table keyed by futures, or of an iterator, as a list of our own;
-- without duplicates unless `all`.
local function collect(futures, name, all)
  local copy = type(futures) == "table" and core.copy_futures(futures)
  if copy and #copy > 0 then
    return copy
  end
  local list, known = {}, {}
  local function add(future, where)
    if not core.is_future(future) then
      error(("%s: %s is no future but a %s"):format(name, where, type(future)), 4)
    end
    if all or not known[future] then
      known[future] = true
      list[#list + 1] = future
    end
  end
  if type(futures) == "function" then
    for future in futures do
      add(future, "a value of the iterator")
    end
  elseif type(futures) ~= "table" then
    error(("%s: table or iterator of futures expected, got %s"):format(name, type(futures)), 3)
  elseif #futures > 0 then
    for i = 1, #futures do
      add(futures[i], "element " .. i)
    end
  else
    for future in next, futures do
      add(future, "a key of the table")
    end
  end
  return list
end

local function check_timeout(timeout, name)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout ~= timeout) then
    local found = timeout ~= timeout and "nan" or type(timeout)
    error(("%s: timeout must be a number of seconds, got %s"):format(name, found), 3)
  end
  return timeout and core.now() + timeout
end

local function time_left(deadline)
  return deadline and math.max(0, deadline - core.now())
end

--- Iterates over futures in the order in which they are completed; those that were completed
-- before come first, in the order of their ends. Duplicates come once. A cancelled future is
-- completed.
-- @param futures a list, a table keyed by futures, or an iterator function
-- @tparam[opt] number timeout seconds from this call
-- @return values for a generic `for`
-- @raise `TimeoutError` from the loop, when the timeout has passed and futures are left
function many.as_completed(futures, timeout)
  local deadline = check_timeout(timeout, "as_completed")
  local list = collect(futures, "as_completed")
  local count = #list
  local waiter <const> = core.waiter(list)
  local left = count
  local function next_completed()
    local future = waiter:next(time_left(deadline))
    if future == false then
      error(core.error("TimeoutError", ("%d (of %d) futures unfinished"):format(left, count)))
    elseif future then
      left = left - 1
    end
    return future
  end
  return next_completed, nil, nil, waiter
end

local function ended_badly(future)
  return future:state() == "failed"
end

local wait_options = {
  timeout = { type = "seconds" },
  return_when = { type = "string", default = many.ALL_COMPLETED },
}

-- Whether what is done is what the caller waits for.
local function is_enough(done, not_done, return_when)
  if #not_done == 0 or return_when == many.FIRST_COMPLETED and #done > 0 then
    return true
  end
  for i = 1, return_when == many.FIRST_EXCEPTION and #done or 0 do
    if ended_badly(done[i]) then
      return true
    end
  end
  return false
end

-- Waits until that is enough, or the deadline passes. Takes the list.
local function wait_until_enough(list, return_when, deadline)
  if return_when == many.ALL_COMPLETED then
    core.wait_all(list, time_left(deadline))
    return
  end
  local count <const> = #list
  local waiter <close> = core.waiter(list)
  for _ = 1, count do
    local future = waiter:next(time_left(deadline))
    if not future or return_when == many.FIRST_COMPLETED or ended_badly(future) then
      break
    end
  end
end

--- Waits for futures.
-- @param futures a list, a table keyed by futures, or an iterator function
-- @tparam[opt] table given `timeout` in seconds, and `return_when`: `lpool.FIRST_COMPLETED`,
-- `lpool.FIRST_EXCEPTION` or `lpool.ALL_COMPLETED` (the default)
-- @treturn table the futures that are done, in the given order
-- @treturn table the others
-- @raise on an unknown `return_when`; never on a timeout
function many.wait(futures, given)
  local condition = type(given) == "table" and given.return_when
  if condition and many[condition] ~= condition then
    error("Invalid return condition: " .. tostring(condition), 2)
  end
  local wish = options.check(given, wait_options, 2)
  local deadline = wish.timeout and core.now() + wish.timeout
  local list = collect(futures, "wait")
  core.poll()
  local done, not_done = core.split_futures(list)
  if is_enough(done, not_done, wish.return_when) then
    return done, not_done
  end
  wait_until_enough(not_done, wish.return_when, deadline)
  return core.split_futures(list)
end

--- A future of the first results of all futures, as a list with `n`.
-- The first failure fails it and cancels the rest.
-- @param futures a list, a table keyed by futures, or an iterator function
-- @return a future
function many.gather(futures)
  local list = collect(futures, "gather", true)
  local target = core.Future()
  local results, left = { n = #list }, #list
  if left == 0 then
    target:set_result(results)
  end
  for i = 1, #list do
    list[i]:add_done_callback(function(ended)
      if target:done() then
        return
      end
      local ok, value = pcall(ended.result, ended)
      if ok then
        results[i] = value
        left = left - 1
        if left == 0 then
          target:set_result(results)
        end
      else
        target:set_exception(value)
        for j = 1, #list do
          list[j]:cancel()
        end
      end
    end)
  end
  return target
end

return many
