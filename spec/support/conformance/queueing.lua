-- In which order tasks run, and how many may wait: priority, max_queue.
-- luacheck: globals log_file log_path calls
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

-- A task that writes down that it ran.
local function note(path, text)
  local file = io.open(path, "ab")
  file:write(text, "\n")
  file:close()
end

local function read_lines(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

local function raised(fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok)
  return e
end

return function(kind)
  local make = kind.make

  it("takes any integer as a priority", function()
    local ex <close> = make()
    for _, priority in ipairs { 0, 1, -1, 100, math.maxinteger, math.mininteger } do
      assert.are.equal(7, ex:with({ priority = priority }):submit(echo, 7):result())
    end
  end)

  it("refuses a priority that is no integer, at the caller's line", function()
    local ex <close> = make()
    for wrong, found in pairs { [1.5] = "float", ["1"] = "string", [true] = "boolean" } do
      local e = raised(function()
        ex:with { priority = wrong }
      end)
      assert.is_truthy(e:find("queueing.lua:%d+: priority must be an integer, got " .. found))
    end
  end)

  it("keeps the priority in a view of a view, and the label", function()
    local ex <close> = make()
    local view = ex:with({ priority = 3 }):with({ label = "x" }):with { priority = 4 }
    assert.are.equal("x", view:submit(echo):label())
  end)

  it("maps and broadcasts with a priority", function()
    local ex <close> = make()
    local view = ex:with { priority = 9 }
    assert.are.same({ 1, 2, 3, n = 3 }, view:map(echo, { 1, 2, 3 }):totable())
    for _, f in ipairs(view:broadcast(echo, 5)) do
      assert.are.equal(5, f:result())
    end
  end)

  if not kind.concurrent then
    return
  end

  -- Calls body while the only worker of an executor is busy.
  local function with_held(options, body)
    options.max_workers = 1
    local ex <close> = make(options)
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    gate:await(1)
    body(ex, gate)
  end

  it("runs higher priorities first, and equals in the order of submits", function()
    local log = helper.temporary.file()
    with_held({}, function(ex, gate)
      local wanted = {}
      for i, priority in ipairs { 0, -5, 3, 0, 3, 10, -5, 0 } do
        ex:with({ priority = priority }):submit(note, log, ("%d of %d"):format(i, priority))
        wanted[i] = { text = ("%d of %d"):format(i, priority), priority = priority, i = i }
      end
      table.sort(wanted, function(a, b)
        return a.priority > b.priority or a.priority == b.priority and a.i < b.i
      end)
      gate:open()
      ex:shutdown()
      for i, line in ipairs(read_lines(log)) do
        assert.are.equal(wanted[i].text, line)
      end
    end)
  end)

  it("runs 10,000 tasks of 10 priorities in exact order on one worker", function()
    local log = helper.temporary.file()
    with_held({}, function(ex, gate)
      local views, wanted = {}, {}
      for priority = -5, 4 do
        views[priority] = ex:with { priority = priority }
      end
      for i = 1, 10000 do
        local priority = i * 7 % 10 - 5
        views[priority]:submit(function(path, n)
          log_file = log_file or io.open(path, "ab")
          log_file:write(n, "\n")
          log_file:flush()
        end, log, i)
        wanted[i] = { priority, i }
      end
      table.sort(wanted, function(a, b)
        return a[1] > b[1] or a[1] == b[1] and a[2] < b[2]
      end)
      gate:open()
      ex:shutdown()
      local lines = read_lines(log)
      assert.are.equal(10000, #lines)
      local wrong = 0
      for i, line in ipairs(lines) do
        wrong = wrong + (tonumber(line) == wanted[i][2] and 0 or 1)
      end
      assert.are.equal(0, wrong)
    end)
  end)

  it("lets a task go ahead of a map, and a map ahead of tasks", function()
    local log = helper.temporary.file()
    with_held({}, function(ex, gate)
      ex:submit(note, log, "task")
      ex:map(function(text)
        local file = io.open(log, "ab")
        file:write(text, "\n")
        file:close()
      end, { "low", "low" })
      ex:with({ priority = 1 }):map(function(text)
        local file = io.open(log, "ab")
        file:write(text, "\n")
        file:close()
      end, { "high", "high" })
      ex:with({ priority = 2 }):submit(note, log, "first")
      gate:open()
      ex:shutdown()
      assert.are.same({ "first", "high", "high", "task", "low", "low" }, read_lines(log))
    end)
  end)

  it("takes 64 priorities at a time, and new ones when old ones are done", function()
    with_held({}, function(ex, gate)
      local futures = {}
      for priority = 0, 63 do
        futures[#futures + 1] = ex:with({ priority = priority }):submit(echo, priority)
      end
      local e = raised(function()
        ex:with({ priority = 64 }):submit(echo)
      end)
      assert.is_true(lpool.is(e, "FullError"))
      assert.is_truthy(e.message:find("64 different priorities", 1, true))
      e = raised(function()
        ex:with({ priority = 64 }):map(echo, { 1 })
      end)
      assert.is_true(lpool.is(e, "FullError"))
      futures[#futures + 1] = ex:with({ priority = 63 }):submit(echo, 63)
      gate:open()
      for _, f in ipairs(futures) do
        f:result()
      end
      for priority = 100, 400 do
        assert.are.equal(priority, ex:with({ priority = priority }):submit(echo, priority):result())
      end
    end)
  end)

  it("cancels what waits at any priority", function()
    with_held({}, function(ex, gate)
      local futures = {}
      for i = 1, 30 do
        futures[i] = ex:with({ priority = i % 7 - 3 }):submit(helper.gate.visit, gate.path)
      end
      assert.is_true(futures[3]:cancel())
      ex:shutdown { wait = false, cancel_futures = true }
      for _, f in ipairs(futures) do
        assert.is_true(f:cancelled())
      end
      gate:open()
      ex:shutdown()
      assert.are.equal(1, gate:count())
    end)
  end)

  it("runs all priorities before it ends", function()
    with_held({}, function(ex, gate)
      for i = 1, 30 do
        ex:with({ priority = i % 7 - 3 }):submit(helper.gate.visit, gate.path)
      end
      gate:open()
      ex:shutdown()
      assert.are.equal(31, gate:count())
    end)
  end)

  it("stops at all priorities", function()
    with_held({}, function(ex, gate)
      local futures = {}
      for i = 1, 30 do
        futures[i] = ex:with({ priority = i % 7 - 3 }):submit(helper.gate.visit, gate.path)
      end
      gate:open() -- threads end what they run
      ex:terminate_workers()
      for _, f in ipairs(futures) do
        pcall(f.exception, f) -- an end of some kind
      end
    end)
  end)

  -- max_queue

  it("refuses a max_queue and an on_full that make no sense", function()
    for wrong, text in pairs {
      [{ max_queue = 0 }] = "max_queue must be >= 1",
      [{ max_queue = "3" }] = "max_queue must be an integer, got string",
      [{ max_queue = 2, on_full = "wait" }] = "on_full must be one of 'block', 'error', 'caller'",
      [{ on_full = "error" }] = "on_full without max_queue",
    } do
      local e = raised(function()
        make(wrong)
      end)
      assert.is_truthy(e:find("%.lua:%d+: "))
      assert.is_truthy(e:find(text, 1, true), e)
    end
  end)

  it("raises FullError with the limit, if that is asked", function()
    with_held({ max_queue = 2, on_full = "error" }, function(ex, gate)
      local first, second = ex:submit(echo, 1), ex:submit(echo, 2)
      local e = raised(ex.submit, ex, echo, 3)
      assert.is_true(lpool.is(e, "FullError"))
      assert.are.equal("the queue is full: 2 tasks are pending (max_queue)", e.message)
      gate:open()
      assert.are.equal(1, first:result())
      assert.are.equal(2, second:result())
      assert.are.equal(3, ex:submit(echo, 3):result())
    end)
  end)

  it("has room again for what is cancelled", function()
    with_held({ max_queue = 2, on_full = "error" }, function(ex, gate)
      local first = ex:submit(echo, 1)
      ex:submit(echo, 2)
      assert.is_false(pcall(ex.submit, ex, echo, 3))
      first:cancel()
      local third = ex:submit(echo, 3)
      assert.is_false(pcall(ex.submit, ex, echo, 4))
      gate:open()
      assert.are.equal(3, third:result())
    end)
  end)

  it("counts tasks of all priorities, and no items of maps", function()
    with_held({ max_queue = 3, on_full = "error" }, function(ex, gate)
      local results = ex:map(echo, lpool.range(1, 1000))
      for priority = 1, 3 do
        ex:with({ priority = priority }):submit(echo)
      end
      local view = ex:with { priority = 4 }
      assert.is_true(lpool.is(raised(view.submit, view, echo), "FullError"))
      gate:open()
      assert.are.equal(1000, results:totable().n)
    end)
  end)

  it("does not count what runs", function()
    local ex <close> = make { max_workers = 2, max_queue = 1, on_full = "error" }
    local gate <close> = helper.gate.new()
    for i = 1, 2 do
      ex:submit(helper.gate.hold, gate.path)
      gate:await(i)
    end
    ex:submit(echo)
    assert.is_true(lpool.is(raised(ex.submit, ex, echo), "FullError"))
  end)

  it("blocks a submit until a task has begun", function()
    with_held({ max_queue = 1 }, function(ex, gate)
      ex:submit(echo)
      -- A task of another executor opens the gate while this thread waits.
      local other <close> = make { max_workers = 1 }
      local opener = other:submit(function(path)
        require("lpool").sleep(0.02)
        io.open(path .. ".open", "w"):close()
      end, gate.path)
      assert.are.equal(5, ex:submit(echo, 5):result())
      opener:result()
    end)
  end)

  it("never has more pending than it may, for 2,000 blocking submits", function()
    local ex <close> = make { max_workers = 2, max_queue = 5 }
    local futures = {}
    for i = 1, 2000 do
      futures[i] = ex:with({ priority = i % 3 }):submit(echo, i)
      local pending = 0
      for j = math.max(1, i - 20), i do
        pending = pending + (futures[j]:state() == "pending" and 1 or 0)
      end
      assert.is_true(pending <= 5)
    end
    for i, f in ipairs(futures) do
      assert.are.equal(i, f:result())
    end
  end)

  it("runs callbacks while a submit waits", function()
    with_held({ max_queue = 1 }, function(ex, gate)
      ex:submit(echo)
      local other <close> = make { max_workers = 1 }
      local called
      other:submit(echo, 1):add_done_callback(function()
        called = true
        gate:open()
      end)
      ex:submit(echo):result()
      assert.is_true(called)
    end)
  end)

  it("raises from a submit that waits when the executor is shut down", function()
    with_held({ max_queue = 1 }, function(ex, gate)
      ex:submit(echo)
      local other <close> = make { max_workers = 1 }
      other:submit(echo, 1):add_done_callback(function()
        ex:shutdown { wait = false }
      end)
      assert.is_true(lpool.is(raised(ex.submit, ex, echo), "ShutdownError"))
      gate:open()
    end)
  end)

  it("raises from a submit that waits when the executor breaks", function()
    local ex <close> = make {
      max_workers = 1,
      max_queue = 1,
      initializer = function()
        require("lpool").sleep(0.02)
        error "no"
      end,
    }
    local e = raised(function()
      for _ = 1, 10 do
        ex:submit(echo)
      end
    end)
    assert.is_true(lpool.is(e, kind.broken))
  end)

  it("raises from a submit that waits on Ctrl-C", function()
    local done = helper.run(([[
      local lpool = require "lpool"
      local ex = lpool.%s { max_workers = 1, max_queue = 1 }
      local f = ex:submit(function() require "lpool".sleep(0.5) end)
      while not f:running() do lpool.sleep(0.001) end
      ex:submit(print)
      os.execute("(sleep 0.1; kill -INT " .. lpool.getpid() .. ") &")
      print(pcall(ex.submit, ex, print))
    ]]):format(kind.constructor))
    assert.is_truthy(done.out:find("^false\t[^\n]*interrupted!"), done.out .. done.err)
  end)

  it("goes past the limit for tasks that submit to their own executor", function()
    if not kind.same_process then
      return
    end
    local ex <close> = make { max_workers = 2, max_queue = 1 }
    local gate <close> = helper.gate.new()
    local function fan(own, path, depth)
      local gates = require "spec.support.gate"
      gates.arrive(path)
      for _ = 1, depth > 0 and 3 or 0 do
        own:submit(fan, own, path, depth - 1)
      end
    end
    for _ = 1, 4 do
      ex:submit(fan, ex, gate.path, 2):result()
    end
    gate:await(4 * (1 + 3 + 9))
  end)

  it("refuses tasks that submit to their own executor, if that is asked", function()
    if not kind.same_process then
      return
    end
    local ex <close> = make { max_workers = 1, max_queue = 1, on_full = "error" }
    local f = ex:submit(function(own)
      own:submit(print, "")
      return select(2, pcall(own.submit, own, error)).kind
    end, ex)
    local quiet = f:result()
    assert.are.equal("FullError", quiet)
  end)

  it("runs in the caller what it has no room for, if that is asked", function()
    with_held({ max_queue = 1, on_full = "caller" }, function(ex, gate)
      local waiting = ex:submit(echo, 1)
      local f = ex:submit(function(...)
        return lpool.getpid(), lpool.worker().name, ...
      end, 7, nil, 8)
      assert.is_true(f:done())
      assert.are.equal("pending", waiting:state())
      local pid, name, a, b, c = f:result()
      assert.are.equal(lpool.getpid(), pid)
      assert.is_truthy(name:find("_caller_0$"))
      assert.are.same({ 7, nil, 8 }, { a, b, c })
      local failed = ex:submit(error, { code = 5 })
      assert.are.equal(5, failed:exception().code)
      gate:open()
      assert.are.equal(1, waiting:result())
    end)
  end)

  it("runs in the caller in one state of its own, with initializer and finalizer", function()
    local log = helper.temporary.file()
    local counter = 0
    with_held({
      max_queue = 1,
      on_full = "caller",
      initializer = function(path)
        log_path = path
      end,
      initargs = { log },
      finalizer = function()
        local file = io.open(log_path, "ab")
        file:write(require("lpool").worker().name:match("caller") or "worker", "\n")
        file:close()
      end,
    }, function(ex, gate)
      ex:submit(echo)
      local function count()
        counter = counter + 1
        calls = (calls or 0) + 1
        return calls
      end
      for i = 1, 5 do
        assert.are.equal(i, ex:with({ label = "l" .. i }):submit(count):result())
      end
      assert.are.equal(0, counter)
      ex:shutdown { wait = false }
      assert.are.same({ "caller" }, read_lines(log))
      gate:open()
      ex:shutdown()
      assert.are.same({ "caller", "worker" }, read_lines(log))
    end)
  end)

  it("refuses in the caller what cannot travel, and after a shutdown everything", function()
    with_held({ max_queue = 1, on_full = "caller" }, function(ex, gate)
      ex:submit(echo)
      local e = raised(ex.submit, ex, echo, coroutine.create(echo))
      assert.is_true(lpool.is(e, "SerializationError"))
      assert.are.equal(1, ex:submit(echo, 1):result())
      ex:shutdown { wait = false }
      assert.is_true(lpool.is(raised(ex.submit, ex, echo), "ShutdownError"))
      gate:open()
    end)
  end)

  it("lets a task that runs in the caller submit to the same executor", function()
    if not kind.same_process then
      return
    end
    with_held({ max_queue = 1, on_full = "caller" }, function(ex, gate)
      ex:submit(echo)
      local inner = ex:submit(function(own, path)
        return own:submit(require("spec.support.gate").arrive, path):state()
      end, ex, gate.path):result()
      assert.are.equal("pending", inner)
      gate:open()
      gate:await(2)
    end)
  end)

  it("leaves futures of the caller's behind that outlive the executor", function()
    local f
    with_held({ max_queue = 1, on_full = "caller" }, function(ex, gate)
      ex:submit(echo)
      f = ex:submit(string.rep, "x", 100000)
      gate:open()
    end)
    collectgarbage()
    collectgarbage()
    assert.are.equal(100000, #f:result())
  end)

  it("closes the caller's state with an executor that is only collected", function()
    local gate <close> = helper.gate.new()
    do
      local ex = make { max_workers = 1, max_queue = 1, on_full = "caller" }
      ex:submit(helper.gate.hold, gate.path)
      gate:await(1)
      ex:submit(echo)
      assert.are.equal(1, ex:submit(echo, 1):result())
    end
    collectgarbage()
    collectgarbage()
    gate:open()
  end)
end
