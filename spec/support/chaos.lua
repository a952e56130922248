--- Tasks of all sorts, which are stopped at random moments in every way.
-- A round makes an executor, floods it, meddles, and then looks at each
-- future: it must have ended once, in a way that what was done to it allows.
-- After that the executor must do the next thousand tasks right. What a round
-- does follows from the seed alone; when it happens does not.
local lpool = require "lpool"

local chaos = {}

-- luacheck: globals failures kept

local PATIENCE = tonumber(os.getenv("LPOOL_PATIENCE")) or 1

-- How long what was stopped may go on.
local SETTLE_SECONDS = 20 * PATIENCE

-- Sorts of tasks -------------------------------------------------------------

-- Each has `run`, which gets a number, the executor if it may have it, and
-- whatever `more` draws; and says what may come of it besides:
-- * `wants` the result for that number, if it ends by itself; else it does not
-- * `raises` whether an error is the right one
-- * `weight` how often it is drawn
-- * `same_process` it needs the executor
local sorts = {
  tiny = {
    weight = 30,
    run = function(n)
      return 2 * n
    end,
    wants = function(n)
      return 2 * n
    end,
  },
  computes = {
    weight = 8,
    run = function(n)
      local sum = 0
      for i = 1, n do
        for _ = 1, 500 do
          sum = sum + i % 2
        end
      end
      return sum
    end,
    wants = function(n)
      return (n + 1) // 2 * 500
    end,
  },
  ["catches errors"] = {
    weight = 3,
    run = function(n)
      local caught = 0
      for i = 1, 10 * n do
        caught = caught + (pcall(error, i) and 0 or 1)
      end
      return caught
    end,
    wants = function(n)
      return 10 * n
    end,
  },
  ["uses coroutines"] = {
    weight = 3,
    run = function(n)
      local sum = 0
      for i in coroutine.wrap(function()
        for i = 1, n do
          coroutine.yield(i)
        end
      end) do
        sum = sum + i
      end
      return sum
    end,
    wants = function(n)
      return n * (n + 1) // 2
    end,
  },
  ["keeps a coroutine"] = {
    weight = 4,
    run = function(n)
      if not kept or coroutine.status(kept) ~= "suspended" then
        kept = coroutine.create(function(k)
          while true do
            k = coroutine.yield(k)
          end
        end)
      end
      local _, k = coroutine.resume(kept, n)
      return k
    end,
    wants = function(n)
      return n
    end,
  },
  sorts = {
    weight = 3,
    run = function(n)
      local list = {}
      for i = 1, 10 * n do
        list[i] = i * 7919 % 10007
      end
      table.sort(list, function(a, b)
        return a > b
      end)
      for i = 2, #list do
        if list[i - 1] < list[i] then
          return "not sorted"
        end
      end
      return n
    end,
    wants = function(n)
      return n
    end,
  },
  ["replaces in strings"] = {
    weight = 3,
    run = function(n)
      local text, count = ("ab"):rep(10 * n):gsub("a", function()
        return "c"
      end)
      return text, count
    end,
    wants = function(n)
      return ("cb"):rep(10 * n)
    end,
  },
  ["returns long strings"] = {
    weight = 3,
    run = function(n)
      return ("x"):rep(1000 * n)
    end,
    wants = function(n)
      return ("x"):rep(1000 * n)
    end,
  },
  ["sleeps a little"] = {
    weight = 4,
    run = function(n)
      require("lpool").sleep(n / 1e5)
      return n
    end,
    wants = function(n)
      return n
    end,
  },
  ["closes variables"] = {
    weight = 3,
    run = function(n)
      local closed = 0
      for _ = 1, n do
        local _ <close> = setmetatable({}, {
          __close = function()
            closed = closed + 1
          end,
        })
        setmetatable({}, { __gc = function() end })
      end
      return closed
    end,
    wants = function(n)
      return n
    end,
  },
  ["has an executor of its own"] = {
    weight = 1,
    run = function(n)
      local inner <close> = require("lpool").ThreadPoolExecutor(2)
      local f = inner:submit(math.abs, -n)
      local sum = 0
      for _, i in inner:map(math.abs, { -1, -2, -3 }) do
        sum = sum + i
      end
      return f:result() + sum
    end,
    wants = function(n)
      return n + 6
    end,
  },
  ["waits for its own executor"] = {
    weight = 4,
    same_process = true,
    run = function(n, ex)
      local f = ex:submit(math.abs, -n)
      -- Nobody looks at this one if the other fails, so it must not.
      local g = ex:submit(function(inner, k)
        local ok, value = pcall(function()
          return inner:submit(math.abs, -k):result()
        end)
        return ok and value or k
      end, ex, n)
      return f:result() + g:result()
    end,
    wants = function(n)
      return 2 * n
    end,
    raises = function(err)
      return lpool.is(err, "ShutdownError") or lpool.is(err, "CancelledError")
    end,
  },
  ["maps with its own executor"] = {
    weight = 2,
    same_process = true,
    run = function(n, ex)
      local sum = 0
      for _, i in ex:map(math.abs, require("lpool").range(-n, -1)) do
        sum = sum + i
      end
      return sum
    end,
    wants = function(n)
      return n * (n + 1) // 2
    end,
    raises = function(err)
      return lpool.is(err, "ShutdownError") or lpool.is(err, "CancelledError")
    end,
  },
  fails = {
    weight = 3,
    run = function(n)
      error({ number = n })
    end,
    raises = function(err, n)
      return type(err) == "table" and err.number == n
    end,
  },
  ["fails at first"] = {
    weight = 3,
    run = function(n)
      failures = (failures or 0) + 1
      if failures % 3 ~= 0 then
        error("again", 0)
      end
      return n
    end,
    wants = function(n)
      return n
    end,
    raises = function(err)
      return err == "again"
    end,
  },
  ["returns what cannot travel"] = {
    weight = 1,
    run = function()
      return coroutine.create(print)
    end,
    raises = function(err)
      return lpool.is(err, "SerializationError")
    end,
  },
  ["is greedy"] = {
    weight = 2,
    run = function(n)
      local text = ("x"):rep(64 << 20)
      return n, #text
    end,
    wants = function(n)
      return n
    end,
    raises = function(err)
      return lpool.is(err, "LimitError")
    end,
  },
  exits = {
    weight = 1,
    run = function()
      os.exit(3)
    end,
    raises = function(err)
      return lpool.is(err, "WorkerExitError")
    end,
  },

  -- Those below never end by themselves. They take memory for the thread
  -- sanitizer's sake, which lets signals through only there.
  ["computes for ever"] = {
    weight = 4,
    run = function()
      while true do
        local _ = {}
      end
    end,
  },
  ["catches errors for ever"] = {
    weight = 2,
    run = function()
      while true do
        pcall(function()
          while true do
            local _ = {}
          end
        end)
      end
    end,
  },
  ["switches coroutines for ever"] = {
    weight = 2,
    run = function()
      local other = coroutine.wrap(function()
        while true do
          pcall(coroutine.yield, {})
        end
      end)
      while true do
        other()
      end
    end,
  },
  ["sorts for ever"] = {
    weight = 2,
    run = function()
      while true do
        local list = {}
        for i = 1, 100 do
          list[i] = -i
        end
        table.sort(list, function(a, b)
          return a < b
        end)
      end
    end,
  },
  ["sleeps for ever"] = {
    weight = 2,
    run = function()
      require("lpool").sleep(1000)
    end,
  },
  ["sleeps in pcall for ever"] = {
    weight = 2,
    run = function()
      while true do
        pcall(require("lpool").sleep, 1000)
      end
    end,
  },
  ["waits for ever"] = {
    weight = 2,
    run = function()
      require("lpool").Future():result()
    end,
  },
  ["waits for many for ever"] = {
    weight = 1,
    run = function()
      local library = require "lpool"
      while true do
        pcall(library.wait, { library.Future(), library.Future() })
      end
    end,
  },
  ["closes for ever"] = {
    weight = 1,
    run = function()
      while true do
        local _ <close> = setmetatable({}, {
          __close = function()
            for _ = 1, 100 do
              local _ = {}
            end
          end,
        })
      end
    end,
  },
  ["is stuck in C"] = {
    weight = 0.1,
    run = function()
      local n = 20
      while true do
        -- Backtracking for half a second, which looks at no hook.
        local _ = ("a"):rep(n):find(("a?"):rep(n) .. ("a"):rep(n) .. ".-b")
      end
    end,
  },
}

-- Names in an order that is the same each time, and the sum of the weights.
local function names_of(kind)
  local names, total = {}, 0
  for name, sort in pairs(sorts) do
    if kind.same_process or not sort.same_process then
      names[#names + 1] = name
      total = total + sort.weight
    end
  end
  table.sort(names)
  return names, total
end

-- Drawing --------------------------------------------------------------------

local function chance(probability)
  return math.random() < probability
end

local function draw_sort(names, total)
  local at = math.random() * total
  for _, name in ipairs(names) do
    at = at - sorts[name].weight
    if at < 0 then
      return name
    end
  end
  return names[#names]
end

local function finalize()
  for _ = 1, 100 do
    local _ = {}
  end
end

local function draw_options()
  return {
    max_workers = math.random(1, 4),
    max_tasks_per_child = chance(0.2) and math.random(1, 50) or nil,
    max_queue = chance(0.2) and math.random(20, 200) or nil,
    memory_limit = chance(0.3) and 32 << 20 or nil,
    finalizer = chance(0.2) and finalize or nil,
  }
end

-- How a task is submitted: its sort, its number, and the view's options.
local function draw_task(round)
  local name = draw_sort(round.names, round.total)
  local sort = sorts[name]
  local view = {}
  -- Nobody interrupts what runs while the submitter waits for room.
  local waits = round.max_queue and not sort.wants
  if waits or chance(sort.wants and 0.2 or 0.4) then
    view.timeout = 10 ^ (-4 + 3 * math.random()) -- 0.1 to 100 ms
  end
  if chance(0.1) then
    view.retries = math.random(1, 3)
  end
  if chance(0.1) then
    view.priority = math.random(-2, 2)
  end
  return { name = name, sort = sort, n = math.random(1, 100), view = view }
end

-- One round ------------------------------------------------------------------

local function describe(task)
  local f = task.future
  local text = "%s (n = %d, timeout %s, retries %s, cancel %s, interrupt %s): "
    .. "%s, worker %s, pid %s"
  return text:format(task.name, task.n, task.view.timeout, task.view.retries, task.cancelled,
    task.interrupted, f:state(), f:worker(), f:pid())
end

local function submit(round)
  local task = draw_task(round)
  local ex = round.ex
  if next(task.view) then
    ex = ex:with(task.view)
  end
  if task.sort.same_process then
    task.future = ex:submit(task.sort.run, task.n, round.ex)
  else
    task.future = ex:submit(task.sort.run, task.n)
  end
  task.calls = 0
  task.future:add_done_callback(function(f)
    task.calls = task.calls + 1
    task.state = f:state()
  end)
  round.tasks[#round.tasks + 1] = task
end

-- Notes what cancel and interrupt said of it.
local function note_cancel(task, said)
  task.cancelled = task.cancelled or said
  task.asked = true
end

local function note_interrupt(task, said)
  task.interrupted = task.interrupted or said
  task.asked = true
end

local function kill(round)
  for _ = 1, 10 do
    local task = round.tasks[math.random(#round.tasks)]
    local pid = task.future:running() and task.future:pid()
    if pid and pid ~= lpool.getpid() then
      round.kills = true
      os.execute(("kill -9 %d 2>/dev/null"):format(pid))
      return
    end
  end
end

local function meddle(round)
  local what = math.random()
  local task = round.tasks[math.random(math.max(1, #round.tasks - 100), #round.tasks)]
  if what < 0.25 then
    note_cancel(task, task.future:cancel())
  elseif what < 0.75 then
    note_interrupt(task, task.future:interrupt())
  elseif what < 0.76 and not round.kind.same_process then
    kill(round)
  elseif what < 0.85 then
    lpool.wait({ task.future }, { timeout = math.random() / 1000 })
  elseif what < 0.9 then
    lpool.sleep(math.random() / 1000)
  else
    for _ = 1, math.random(1, 20000) do -- luacheck: ignore 542
    end
  end
end

-- Tasks of another executor meddle as well, with futures that they are sent.
local function meddle_elsewhere(round)
  local chosen, futures = {}, {}
  for i = 1, math.random(1, 50) do
    chosen[i] = round.tasks[math.random(#round.tasks)]
    chosen[i].asked = true
    futures[i] = chosen[i].future
  end
  local how = chance(0.3) and "cancel" or "interrupt"
  local future = round.meddlers:submit(function(list)
    local said = {}
    for i, f in ipairs(list) do
      said[i] = f[how](f)
    end
    return said
  end, futures)
  round.meddlings[#round.meddlings + 1] = { future = future, chosen = chosen, how = how }
end

-- A map goes on besides, and is left somewhere.
local function map_besides(round)
  local n = math.random(1, 3000)
  local view = chance(0.3) and round.ex:with { timeout = 1 } or round.ex
  round.map = view:map(function(i)
    return i + 1
  end, lpool.range(1, n), { chunksize = chance(0.3) and math.random(1, 100) or nil })
  round.map_size = n
end

local function finish_map(round)
  local upto = chance(0.5) and round.map_size or math.random(0, round.map_size)
  local ends_itself = upto == round.map_size
  for k = 1, upto do
    local ok, i, value = pcall(round.map)
    if ok then
      assert(i == k and value == k + 1, "a wrong result of a map")
    else
      assert(round.kills and lpool.is(i, "WorkerLostError")
        or round.closed and lpool.is(i, "CancelledError")
        or lpool.is(i, "TimeoutError") and PATIENCE > 1, tostring(i))
    end
  end
  assert(not ends_itself or round.map() == nil, "a map without end")
  round.map:close()
end

local function is_over(round)
  for _, task in ipairs(round.tasks) do
    if not task.future:done() then
      return false
    end
  end
  return true
end

-- What does not end by itself is interrupted until it does. Again and again,
-- because a worker that is killed takes the interrupt along.
local function end_all(round)
  local deadline = lpool.now() + SETTLE_SECONDS
  repeat
    local left = {}
    for _, task in ipairs(round.tasks) do
      if not task.future:done() then
        left[#left + 1] = task.future
        if not task.sort.wants then
          note_interrupt(task, task.future:interrupt())
        end
      end
    end
    lpool.wait(left, { timeout = 0.05 })
  until is_over(round) or lpool.now() > deadline
  for _, task in ipairs(round.tasks) do
    assert(task.future:done(), "does not end: " .. describe(task)
      .. (round.ex.dump and "\n" .. round.ex:dump() or ""))
  end
end

-- Whether a task may fail with this error, after what was done to it.
local function may_fail(round, task, err)
  if lpool.is(err, "CancelledError") and (task.asked or round.closed) then
    return true
  elseif task.cancelled then
    return false
  end
  return lpool.is(err, "TimeoutError") and task.view.timeout
    or lpool.is(err, "WorkerLostError") and (round.kills or round.stopped)
    or task.sort.raises and task.sort.raises(err, task.n)
end

local function is_allowed(round, task, ok, value)
  if not ok then
    return may_fail(round, task, value)
  end
  return not task.cancelled and task.sort.wants and value == task.sort.wants(task.n)
end

local function check(round)
  lpool.poll()
  for _, meddling in ipairs(round.meddlings) do
    local said = meddling.future:result(SETTLE_SECONDS)
    for i, task in ipairs(meddling.chosen) do
      if meddling.how == "cancel" then
        task.cancelled = task.cancelled or said[i]
      end
    end
  end
  for _, task in ipairs(round.tasks) do
    local f = task.future
    local state = f:state()
    local ok, value = pcall(f.result, f, 0)
    assert(is_allowed(round, task, ok, value), "not allowed: " .. describe(task) .. ", "
      .. tostring(value):sub(1, 300))
    assert(ok == (state == "finished"), state)
    assert(state ~= "cancelled" or lpool.is(value, "CancelledError"), state)
    assert(not task.cancelled or state == "cancelled", "cancel said true: " .. describe(task))
    assert(task.calls == 1, task.calls .. " callbacks: " .. describe(task))
    assert(task.state == state, "ended twice: " .. describe(task))
  end
end

local function do_right(round)
  local n = 500
  local ex = round.ex
  local futures = {}
  for i = 1, n do
    futures[i] = ex:submit(function(k)
      local sum = 0
      for j in coroutine.wrap(function()
        for j = 1, k % 10 do
          coroutine.yield(j)
        end
      end) do
        sum = sum + j
      end
      return sum + k
    end, i)
  end
  local k = 0
  for i, value in ex:map(function(i)
    return i * i
  end, lpool.range(1, n)) do
    k = k + 1
    assert(i == k and value == k * k, "the map after all that")
  end
  assert(k == n)
  for i, f in ipairs(futures) do
    local left = i % 10
    assert(f:result(SETTLE_SECONDS) == left * (left + 1) // 2 + i, "a task after all that")
  end
end

-- Shuts the executor down in the middle, in one of the ways there are.
local function close_early(round)
  round.closed = true
  local how = math.random(4)
  if how == 1 then
    round.ex:shutdown { wait = false, cancel_futures = chance(0.5) }
  elseif how == 2 then
    round.ex:shutdown { timeout = 0.01, cancel_futures = true }
  elseif how == 3 then
    round.stopped = true
    round.ex:terminate_workers()
  else
    round.stopped = true
    round.ex:kill_workers()
  end
end

local function run_round(kind, meddlers)
  local names, total = names_of(kind)
  local options = draw_options()
  local round = {
    kind = kind,
    max_queue = options.max_queue,
    names = names,
    total = total,
    meddlers = meddlers,
    meddlings = {},
    tasks = {},
    ex = kind.make(options),
  }
  if chance(0.3) then
    map_besides(round)
  end
  for _ = 1, math.random(10, 300) do
    submit(round)
    while chance(0.4) do
      meddle(round)
    end
    if chance(0.02) then
      meddle_elsewhere(round)
    end
  end
  if chance(0.2) then
    close_early(round)
  end
  for _ = 1, math.random(0, 300) do
    meddle(round)
  end
  end_all(round)
  if round.map then
    finish_map(round)
  end
  check(round)
  if not round.closed then
    do_right(round)
  end
  round.ex:shutdown()
end

--- Runs rounds for so many seconds; raises if something is not right.
-- @tparam table kind of spec.support.kinds
-- @tparam number seconds
-- @treturn integer how many rounds there were; the seed of each was printed
function chaos.run(kind, seconds)
  local seed = tonumber(os.getenv("LPOOL_SEED")) or os.time() * 1000 + lpool.getpid() % 1000
  local deadline = lpool.now() + seconds
  local rounds = 0
  local meddlers <close> = lpool.ThreadPoolExecutor(2)
  repeat
    -- Each round has a seed of its own, so that it can be repeated alone.
    rounds = rounds + 1
    math.randomseed(seed + rounds - 1)
    io.stdout:write(("LPOOL_SEED=%d\n"):format(seed + rounds - 1)):flush()
    run_round(kind, meddlers)
  until lpool.now() > deadline
  return rounds
end

return chaos
