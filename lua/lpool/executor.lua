--- Executors: their constructors, and the methods that are not hot.
local core = require "lpool.core"
local options = require "lpool.options"
local range = require "lpool.range"

local executor = {}

local methods = core.executor_methods

-- What each kind's constructor accepts.
local thread_options = {
  max_workers = { type = "count" },
  thread_name_prefix = { type = "string" },
  initializer = { type = "function" },
  initargs = { type = "table" },
  finalizer = { type = "function" },
  max_tasks_per_child = { type = "count" },
  memory_limit = { type = "bytes", least = core.MIN_MEMORY_LIMIT },
  timeout = { type = "limit" },
  preload = { type = "names" },
  max_queue = { type = "count" },
  on_full = { type = "choice", choices = { "block", "error", "caller" } },
}

-- What a process has besides; its workers are named by the kind alone.
local process_options = {
  max_workers = { type = "count" },
  initializer = { type = "function" },
  initargs = { type = "table" },
  finalizer = { type = "function" },
  max_tasks_per_child = { type = "count" },
  memory_limit = { type = "bytes", least = core.MIN_MEMORY_LIMIT },
  timeout = { type = "limit" },
  preload = { type = "names" },
  max_queue = { type = "count" },
  on_full = { type = "choice", choices = { "block", "error", "caller" } },
  on_crash = { type = "choice", choices = { "isolate", "break" } },
}

-- The serial kind has one worker, which nothing can replace.
local serial_options = {
  timeout = { type = "limit" },
  initializer = { type = "function" },
  initargs = { type = "table" },
  finalizer = { type = "function" },
  memory_limit = { type = "bytes", least = core.MIN_MEMORY_LIMIT },
}

-- Arguments that a call can have.
local MOST_ARGUMENTS <const> = 100000

-- Whether the `n` of a list is absent, or a number of elements.
local function is_count(n, most)
  return n == nil or math.type(n) == "integer" and n >= 0 and n <= most
end

-- What is wrong with options that are right one by one; nil if nothing is.
local function find_problem(checked)
  local initargs = checked.initargs
  if checked.max_workers and checked.max_workers > core.MAX_WORKERS then
    return ("max_workers must be at most %d"):format(core.MAX_WORKERS)
  elseif initargs and not checked.initializer then
    return "initargs without an initializer"
  elseif initargs and not is_count(initargs.n, MOST_ARGUMENTS) then
    return ("initargs.n must be an integer from 0 to %d"):format(MOST_ARGUMENTS)
  elseif checked.on_full and not checked.max_queue then
    return "on_full without max_queue"
  end
end

-- Tail-called by the constructors, so that the caller of this is the user's code.
local function open(kind, given, schema)
  if type(given) == "number" then
    given = { max_workers = given }
  elseif given ~= nil and type(given) ~= "table" then
    error(("max_workers must be an integer, got %s"):format(type(given)), 2)
  end
  local checked = options.check(given, schema, 2)
  local problem = find_problem(checked)
  if problem then
    error(problem, 2)
  end
  local made
  made, problem = core.open(kind, checked)
  if not made then
    error(problem, 2)
  end
  return made
end

--- An executor whose workers are threads, each with a Lua state of its own.
-- @tparam[opt] table|integer given options, or just `max_workers` (default: 5 for each CPU)
-- @return an executor
-- @raise on an unknown option or a wrong value
-- @usage local ex <close> = lpool.ThreadPoolExecutor { max_workers = 3 }
function executor.ThreadPoolExecutor(given)
  return open(core.THREADS, given, thread_options)
end

--- An executor whose workers are processes: one that crashes fails its own task, and is replaced.
-- @tparam[opt] table|integer given options, or just `max_workers` (default: one for each CPU);
-- `on_crash = "break"` fails all that is pending when one dies; `preload`ed modules are shared
-- @return an executor
-- @raise on an unknown option or a wrong value
-- @usage local ex <close> = lpool.ProcessPoolExecutor { on_crash = "break" }
function executor.ProcessPoolExecutor(given)
  return open(core.PROCESSES, given, process_options)
end

--- An executor that runs each task at once in the caller's thread, but in a state of its own and
-- with the same copying: for debugging.
-- @tparam[opt] table given options
-- @return an executor
-- @raise on an unknown option or a wrong value
function executor.SerialExecutor(given)
  return open(core.SERIAL, given, serial_options)
end

local with_options = {
  label = { type = "string" },
  priority = { type = "integer" },
  timeout = { type = "limit" },
  retries = { type = "natural" },
}

--- A view of the same executor whose submits and maps have these options.
-- @tparam table given `label`: a name for the tasks, in errors and reports; `priority` (default 0):
-- higher ones run first, equal ones in the order of their submits; `timeout` in seconds: a task
-- that runs longer is stopped and fails with `TimeoutError`; `retries`: how often a task that
-- failed, or whose worker died, is run again
-- @return an executor
function methods:with(given)
  local checked = options.check(given, with_options, 2)
  return core.with_options(self, checked)
end

local shutdown_options = {
  wait = { type = "boolean", default = true },
  cancel_futures = { type = "boolean", default = false },
  timeout = { type = "seconds" },
}

--- Takes no more work. What is queued runs first, unless it is cancelled.
-- @tparam[opt] table given `wait` (default true): return when the workers have ended;
-- `cancel_futures` (default false): cancel what has not begun; `timeout` in seconds for the wait
-- @treturn boolean false if the timeout passed and work is still going on
function methods:shutdown(given)
  local wish = options.check(given, shutdown_options, 2)
  local worker = wish.wait and core.works_for(self)
  if worker then
    error("a task cannot wait for the end of the executor that runs it; use wait = false", 2)
  end
  return core.shutdown(self, wish.wait, wish.cancel_futures, wish.timeout)
end

local map_options = {
  timeout = { type = "seconds" },
  chunksize = { type = "count" },
  buffersize = { type = "count" },
  ordered = { type = "boolean", default = true },
}

-- Items ahead of the consumer to begin with, if he does not say.
local FIRST_WINDOW <const> = 16

local function length_of(input)
  return range.is_range(input) and input.count or input.n or #input
end

-- A function or a list as it is; or a copy, if its items are behind metamethods; or nil, if its n
-- is no number of items.
local function plain(input)
  if type(input) == "function" or range.is_range(input) then
    return input
  elseif getmetatable(input) == nil then
    return is_count(input.n, math.maxinteger) and input
  end
  local n <const> = input.n or #input
  if math.type(n) ~= "integer" or n < 0 then
    return nil
  end
  local copy <const> = { n = n }
  for i = 1, n do
    copy[i] = input[i]
  end
  return copy
end

-- Gives the results their items: whole, or as the consumer goes on.
local function feed(results, input, spread, lazy)
  if lazy then
    core.read_from(results, input, type(input) == "table" and length_of(input), spread)
  elseif range.is_range(input) then
    core.add_range(results, input.first, input.step, input.count)
  else
    core.add_list(results, input, length_of(input), spread)
  end
end

-- Tail-called by the methods, so that the caller of this is the user's code.
local function run_map(self, fn, input, given, spread, name)
  if not options.is_callable(fn) then
    error(("bad argument #1 to '%s' (function expected, got %s)"):format(name, type(fn)), 2)
  elseif type(input) ~= "table" and type(input) ~= "function" then
    local text = "bad argument #2 to '%s' (list, range or iterator expected, got %s)"
    error(text:format(name, type(input)), 2)
  elseif rawequal(input, next) then
    local text = "bad argument #2 to '%s': pairs(t) gives three values, but a map takes a function "
      .. "that returns the next item"
    error(text:format(name), 2)
  end
  local items <const> = plain(input)
  if not items then
    error(("bad argument #2 to '%s': n must be an integer >= 0"):format(name), 2)
  end
  local wish = options.check(given, map_options, 2)
  local results = core.map(self, fn, {
    ordered = wish.ordered,
    chunksize = wish.chunksize,
    timeout = wish.timeout,
    window = wish.buffersize or FIRST_WINDOW,
    strict = wish.buffersize ~= nil,
  })
  feed(results, items, spread, type(items) == "function" or wish.buffersize ~= nil)
  return results, nil, nil, results
end

--- Calls `fn` with each item of the input, in the workers.
-- @tparam function fn
-- @param input a sequence (its `n` counts if present), `lpool.range(...)`, or an iterator function,
-- which is called until it returns nil first; all its values are the arguments
-- @tparam[opt] table given `timeout` in seconds from this call; `chunksize`: items a worker takes
-- at a time (default: by what they cost); `buffersize`: items read ahead of the consumer;
-- `ordered` (default true)
-- @return results, to be called or used in a generic `for`: number of the item, then its results
-- @raise `ShutdownError`; `SerializationError`
-- @usage for i, square in ex:map(function(n) return n * n end, { 1, 2, 3 }) do print(i, square) end
function methods:map(fn, input, given)
  return run_map(self, fn, input, given, false, "map")
end

--- As `map`, for a list of argument lists.
-- @tparam function fn
-- @param lists a sequence of lists of arguments (their `n` counts if present)
-- @tparam[opt] table given as for `map`
-- @return results
function methods:starmap(fn, lists, given)
  if type(lists) == "table" and not range.is_range(lists) then
    for i = 1, lists.n or #lists do
      if type(lists[i]) ~= "table" then
        error(("starmap: item %d must be a list of arguments, got %s"):format(i, type(lists[i])), 2)
      end
    end
  end
  return run_map(self, fn, lists, given, true, "starmap")
end

return executor
