-- What an executor says of itself: stats and dump.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

local function fail()
  error("on purpose", 0)
end

-- The counts that make up `submitted`.
local parts = { "pending", "running", "completed", "failed", "cancelled", "lost" }

local function assert_counts(expected, stats)
  local sum = 0
  for _, name in ipairs(parts) do
    assert.are.equal("integer", math.type(stats[name]))
    assert.are.equal(expected[name] or 0, stats[name], name)
    sum = sum + stats[name]
  end
  assert.are.equal(sum, stats.submitted)
end

local function assert_times(times)
  local before = 0
  for _, name in ipairs { "p50", "p90", "p99", "max" } do
    assert.are.equal("float", math.type(times[name]))
    assert.is_true(times[name] >= before, name .. " is less than the one before")
    before = times[name]
  end
end

return function(kind)
  local make = kind.make

  it("counts nothing before the first task", function()
    local ex <close> = make()
    local stats = ex:stats()
    assert_counts({}, stats)
    assert.are.equal(0, stats.idle)
    assert.are.equal(kind.knows.max_workers and 2 or 1, stats.max_workers)
    for _, times in ipairs { stats.run, stats.wait } do
      assert.are.same({ p50 = 0.0, p90 = 0.0, p99 = 0.0, max = 0.0 }, times)
    end
  end)

  it("counts tasks by how they ended", function()
    local ex <close> = make()
    for i = 1, 5 do
      ex:submit(echo, i):result()
    end
    for _ = 1, 3 do
      ex:submit(fail):exception()
    end
    ex:submit(function() return coroutine.create(print) end):exception()
    assert_counts({ completed = 5, failed = 4 }, ex:stats())
    ex:shutdown()
    assert_counts({ completed = 5, failed = 4 }, ex:stats())
  end)

  it("counts items of maps as tasks", function()
    local ex <close> = make()
    local results = ex:map(function(n)
      return n % 10 == 0 and error("ten", 0) or n
    end, lpool.range(1, 100))
    repeat
      local ok, item = pcall(results)
    until ok and not item
    assert_counts({ completed = 90, failed = 10 }, ex:stats())
  end)

  it("has its statistics in views too", function()
    local ex <close> = make()
    ex:with { label = "x" }:submit(echo):result()
    assert_counts({ completed = 1 }, ex:with({ label = "y" }):stats())
  end)

  it("counts as failed what passed its time limit", function()
    local ex <close> = make()
    local f = ex:with({ timeout = 0.01 }):submit(lpool.sleep, 1000)
    helper.raises("TimeoutError", f.result, f)
    assert_counts({ failed = 1 }, ex:stats())
  end)

  it("measures how long tasks ran", function()
    local ex <close> = make()
    ex:submit(lpool.sleep, 0.05):result()
    local stats = ex:stats()
    assert_times(stats.run)
    assert_times(stats.wait)
    assert.is_true(stats.run.p50 >= 0.05)
    assert.is_true(stats.run.max < 5)
  end)

  it("says that it has no work", function()
    local ex <close> = make { max_workers = 1 }
    ex:submit(echo):result()
    local text = ex:dump()
    assert.matches("open max_workers=1>: 1 workers, 1 idle; 0 pending, 0 running, 1 completed",
      text)
    assert.matches("_0[^\n]*: idle for %d+%.%d+ s$", text)
  end)

  it("says that it was shut down", function()
    local ex = make()
    ex:submit(echo):result()
    ex:shutdown()
    assert.matches("^<%a+ shut down max_workers=%d>: 0 workers, 0 idle; [^\n]*$", ex:dump())
  end)

  if not kind.concurrent then
    return
  end

  it("counts what is pending, running and cancelled", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    local last
    for _ = 1, 5 do
      last = ex:submit(echo)
    end
    gate:await(1)
    assert_counts({ pending = 5, running = 1 }, ex:stats())
    assert.is_true(last:cancel())
    local stats = ex:stats()
    assert_counts({ pending = 4, running = 1, cancelled = 1 }, stats)
    assert.are.equal(1, stats.workers)
    assert.are.equal(0, stats.idle)
    gate:open()
    ex:shutdown { cancel_futures = true }
    stats = ex:stats()
    assert.are.equal(6, stats.completed + stats.cancelled)
    assert.are.equal(0, stats.workers)
  end)

  it("counts items that were cancelled with their map", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local results = ex:map(helper.gate.hold, { gate.path, gate.path, gate.path }, { chunksize = 1 })
    gate:await(1)
    results:close()
    gate:open()
    ex:shutdown()
    assert_counts({ completed = 1, cancelled = 2 }, ex:stats())
  end)

  it("measures how long tasks waited", function()
    local ex <close> = make { max_workers = 1 }
    local first = ex:submit(lpool.sleep, 0.05)
    local second = ex:submit(echo)
    second:result()
    assert.is_true(first:done())
    assert.is_true(ex:stats().wait.max >= 0.04)
  end)

  it("counts an interrupted task as cancelled", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    gate:await(1)
    f:interrupt()
    helper.raises("CancelledError", f.result, f, 10)
    assert_counts({ cancelled = 1 }, ex:stats())
  end)

  -- What runs, and lines of its stack. They take memory for the thread
  -- sanitizer's sake, which lets signals through only there.
  local places = {
    ["computes"] = {
      function(path)
        local function inner()
          require("spec.support.gate").arrive(path)
          while true do local _ = {} end
        end
        inner()
      end,
      "overview%.lua:%d+: in local 'inner'\n%s+[^\n]*overview%.lua:%d+: in function <",
    },
    ["sleeps"] = {
      function(path)
        require("spec.support.gate").arrive(path)
        lpool.sleep(1000)
      end,
      "%[C%]: in [^\n]*'sleep'\n%s+[^\n]*overview%.lua:%d+: in function <",
    },
    ["waits in a coroutine"] = {
      function(path)
        local function inside()
          require("spec.support.gate").arrive(path)
          lpool.sleep(1000)
        end
        coroutine.wrap(inside)()
      end,
      "'sleep'\n%s+[^\n]*overview%.lua:%d+: in function <[^\n]*\n"
        .. "%s+%(in a coroutine, resumed by%)\n",
    },
    ["waits for a future"] = {
      function(path)
        require("spec.support.gate").arrive(path)
        lpool.Future():result()
      end,
      "%[C%]: in [^\n]*result'\n",
    },
  }
  for what, place in pairs(places) do
    it("shows where a task is that " .. what, function()
      local ex <close> = make { max_workers = 1 }
      local gate <close> = helper.gate.new()
      local line = debug.getinfo(1, "l").currentline + 1
      local f = ex:with({ label = "a name" }):submit(place[1], gate.path)
      gate:await(1)
      -- It may be on its way from there into the loop.
      local text
      helper.eventually(function()
        text = ex:dump()
        return text:find(place[2]) ~= nil
      end, "the stack was right")
      local expected = "runs task #%%d+ 'a name', submitted at [^\n]*overview.lua:%d, "
        .. "for %%d+%%.%%d+ s"
      assert.matches(expected:format(line), text)
      assert.matches(kind.same_process and "%(thread %d+%)" or "%(pid %d+%)", text)
      -- It goes on, and can still be stopped.
      assert.are.equal("running", f:state())
      f:interrupt()
      helper.raises("CancelledError", f.result, f, 10)
      assert.are.equal("on", ex:submit(echo, "on"):result(10))
    end)
  end

  it("leaves the task alone that it looks at, however often", function()
    local ex <close> = make { max_workers = 1 }
    local f = ex:submit(function()
      local sum, list = 0, {}
      for i = 1, 300000 do
        list[i % 100] = tostring(i)
        sum = sum + #list[i % 100]
      end
      return sum
    end)
    while not f:done() do
      ex:dump()
    end
    assert.are.equal(1688895, f:result())
  end)

  it("puts back the debug hook of the task that it looks at", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(function(path)
      local gates = require "spec.support.gate"
      local lines = 0
      debug.sethook(function() lines = lines + 1 end, "l")
      gates.hold(path)
      local before = lines
      local _ = 1
      local hooked = lines > before and debug.gethook() ~= nil
      debug.sethook()
      return hooked
    end, gate.path)
    gate:await(1)
    for _ = 1, 5 do
      ex:dump()
    end
    gate:open()
    assert.is_true(f:result(10))
  end)

  it("lists what comes next, the first of it", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    gate:await(1)
    for i = 1, 10 do
      ex:with({ label = "n" .. i }):submit(echo, i)
    end
    local found = {}
    for label in ex:dump():gmatch("\n  pending: task #%d+ '(%w+)', submitted at") do
      found[#found + 1] = label
    end
    assert.are.same({ "n1", "n2", "n3", "n4", "n5" }, found)
    gate:open()
  end)

  it("says which items of which map run", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local line = debug.getinfo(1, "l").currentline + 1
    local results = ex:map(helper.gate.hold, { gate.path, gate.path }, { chunksize = 1 })
    gate:await(1)
    local text = ex:dump()
    helper.contains(("overview.lua:%d, for "):format(line), text)
    assert.matches(": runs item 1 of a map, submitted at [^\n]*, for %d+%.%d+ s\n", text)
    assert.matches(" s\n%s+stack traceback:\n", text)
    gate:open()
    results:totable()
    local second <close> = helper.gate.new()
    local paths = { second.path, second.path, second.path }
    results = ex:with({ label = "held" }):map(helper.gate.hold, paths, { chunksize = 2 })
    second:await(1)
    assert.matches(": runs items? 1[^\n]* of map 'held', submitted at ", ex:dump())
    second:open()
    results:totable()
  end)

  if not kind.same_process then
    it("counts what was lost with its worker", function()
      local ex <close> = make { max_workers = 1 }
      local f = ex:submit(function()
        os.execute("kill -KILL " .. lpool.getpid())
        lpool.sleep(10)
      end)
      helper.raises("WorkerLostError", f.result, f, 10)
      ex:submit(echo):result(10)
      assert_counts({ completed = 1, lost = 1 }, ex:stats())
    end)
    return
  end

  it("may be asked for by its own task", function()
    local ex <close> = make { max_workers = 1 }
    local text = ex:submit(function(own) return own:dump() end, ex):result(10)
    assert.matches("runs task #%d+, submitted at [^\n]*\n    %(asks for this%)$", text)
  end)

  it("says which task another one waits for", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local inner = ex:submit(helper.gate.hold, gate.path)
    local outer = ex:submit(function(f, path)
      require("spec.support.gate").arrive(path)
      return f:result()
    end, inner, gate.path)
    gate:await(2)
    helper.eventually(function()
      return ex:dump():find("; waits for task #%d+\n") ~= nil
    end, "it waited")
    gate:open()
    outer:result(10)
  end)
end
