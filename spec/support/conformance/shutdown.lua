-- shutdown, terminate_workers and kill_workers.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

return function(kind)
  local make = kind.make

  it("refuses submits afterwards", function()
    local ex = make()
    ex:shutdown()
    local err = helper.raises("ShutdownError", ex.submit, ex, echo)
    assert.are.equal("cannot schedule new futures after shutdown", err.message)
  end)

  it("refuses broadcasts afterwards", function()
    local ex = make()
    ex:shutdown()
    helper.raises("ShutdownError", ex.broadcast, ex, echo)
  end)

  it("refuses submits afterwards, whatever the way", function()
    for _, options in ipairs { { wait = true }, { wait = false }, { cancel_futures = true },
      { wait = false, cancel_futures = true }, { timeout = 10 } } do
      local ex = make()
      ex:submit(echo):result()
      ex:shutdown(options)
      helper.raises("ShutdownError", ex.submit, ex, echo)
      ex:shutdown()
    end
  end)

  it("can be called again, in any order of options", function()
    local ex = make()
    local f = ex:submit(echo, 1)
    ex:shutdown { wait = false }
    ex:shutdown { wait = true }
    ex:shutdown()
    ex:shutdown { cancel_futures = true }
    ex:shutdown { wait = false }
    assert.are.equal(1, f:result())
  end)

  it("can be called on an executor that was never used", function()
    local ex = make()
    ex:shutdown()
    ex:shutdown { cancel_futures = true }
  end)

  it("runs all that is queued first", function()
    local ex = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    for _ = 1, 100 do
      ex:submit(helper.gate.arrive, gate.path)
    end
    ex:shutdown()
    assert.are.equal(100, gate:count())
  end)

  it("leaves every future done", function()
    local ex = make()
    local futures = {}
    for i = 1, 100 do
      futures[i] = ex:submit(echo, i)
    end
    ex:shutdown()
    for i = 1, 100 do
      assert.are.equal("finished", futures[i]:state())
    end
  end)

  it("says true when all is over within the time limit", function()
    local ex = make()
    ex:submit(echo)
    assert.is_true(ex:shutdown { timeout = 20 })
  end)

  it("refuses unknown options", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:shutdown { cancel = true }
    end, "cancel")
    helper.contains("cancel_futures", helper.raised(ex.shutdown, ex, { cancel = true }))
    assert.are.equal(1, ex:submit(echo, 1):result())
  end)

  it("refuses options of another type", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:shutdown { timeout = "soon" }
    end, "timeout")
    helper.misuse(function()
      ex:shutdown { wait = 1 }
    end, "wait")
    helper.misuse(function()
      ex:shutdown(true)
    end, "")
  end)

  for _, stop in ipairs { "terminate_workers", "kill_workers" } do
    it(stop .. " does nothing to an executor that was never used", function()
      local ex = make()
      ex[stop](ex)
      helper.raises("ShutdownError", ex.submit, ex, echo)
    end)

    it(stop .. " can be called again, and after shutdown", function()
      local ex = make()
      ex:submit(echo):result()
      ex[stop](ex)
      ex[stop](ex)
      ex:shutdown()
      ex[stop](ex)
    end)

    it(stop .. " leaves finished futures alone", function()
      local ex = make()
      local f = ex:submit(echo, 1)
      f:result()
      ex[stop](ex)
      assert.are.equal(1, f:result())
      ex:shutdown()
    end)
  end

  if not kind.concurrent then
    return
  end

  -- An executor with one worker, which is held, and so many tasks pending.
  local function busy(gate, pending)
    local ex = make { max_workers = 1 }
    local running = ex:submit(helper.gate.hold, gate.path, "ran")
    local futures = {}
    for i = 1, pending do
      futures[i] = ex:submit(helper.gate.visit, gate.path, i)
    end
    gate:await(1)
    return ex, running, futures
  end

  it("returns at once without wait, and the queue still runs", function()
    local gate <close> = helper.gate.new()
    local ex, running, futures = busy(gate, 20)
    ex:shutdown { wait = false }
    assert.are.equal("running", running:state())
    gate:open()
    for i = 1, 20 do
      assert.are.equal(i, futures[i]:result())
    end
  end)

  it("cancels what is pending and waits for what runs", function()
    local gate <close> = helper.gate.new()
    local ex, running, futures = busy(gate, 20)
    gate:open()
    -- One worker: what has begun meanwhile is at the head of the queue.
    ex:shutdown { cancel_futures = true }
    assert.are.equal("ran", running:result(0))
    local states = {}
    for i = 1, 20 do
      states[i] = futures[i]:state()
      assert.is_true(states[i] == "finished" or states[i] == "cancelled")
      assert.is_false(states[i] == "finished" and states[i - 1] == "cancelled")
    end
  end)

  it("cancels what is pending at once without wait", function()
    local gate <close> = helper.gate.new()
    local ex, running, futures = busy(gate, 20)
    ex:shutdown { wait = false, cancel_futures = true }
    for i = 1, 20 do
      assert.are.equal("cancelled", futures[i]:state())
    end
    assert.are.equal("running", running:state())
    gate:open()
    ex:shutdown()
    assert.are.equal("ran", running:result(0))
    assert.are.equal(1, gate:count())
  end)

  it("cancels pending tasks in a second shutdown", function()
    local gate <close> = helper.gate.new()
    local ex, _, futures = busy(gate, 3)
    ex:shutdown { wait = false }
    ex:shutdown { wait = false, cancel_futures = true }
    for i = 1, 3 do
      assert.are.equal("cancelled", futures[i]:state())
    end
  end)

  it("says false when work goes on past the time limit", function()
    local gate <close> = helper.gate.new()
    local ex, running = busy(gate, 1)
    assert.is_false(ex:shutdown { timeout = 0.01 })
    assert.are.equal("running", running:state())
    helper.raises("ShutdownError", ex.submit, ex, echo)
    gate:open()
    assert.is_true(ex:shutdown { timeout = 20 })
    assert.are.equal("ran", running:result(0))
  end)

  it("really waits after a shutdown that did not", function()
    local gate <close> = helper.gate.new()
    local ex, running = busy(gate, 1)
    ex:shutdown { wait = false }
    gate:open()
    ex:shutdown { wait = true }
    assert.are.equal("finished", running:state())
  end)

  it("leaves no worker thread when it returns", function()
    local before = helper.inventory.count(helper.inventory.threads())
    local ex = make { max_workers = 4 }
    for _, f in ipairs(ex:broadcast(echo)) do
      f:result()
    end
    ex:shutdown()
    assert.is_true(helper.inventory.count(helper.inventory.threads()) <= before)
  end)

  for _, stop in ipairs { "terminate_workers", "kill_workers" } do
    it(stop .. " cancels what is pending", function()
      local gate <close> = helper.gate.new()
      local ex, _, futures = busy(gate, 3)
      ex[stop](ex)
      for i = 1, 3 do
        assert.are.equal("cancelled", futures[i]:state())
      end
      gate:open()
      ex:shutdown()
      assert.are.equal(1, gate:count())
    end)

    it(stop .. " leaves every future done once the executor is shut down", function()
      local gate <close> = helper.gate.new()
      local ex, running, futures = busy(gate, 3)
      ex[stop](ex)
      gate:open()
      ex:shutdown()
      futures[4] = running
      local _, not_done = lpool.wait(futures, { timeout = 0 })
      assert.are.same({}, not_done)
    end)
  end

  for _, stop in ipairs { "terminate_workers", "kill_workers" } do
    for name, fn in pairs {
      ["waits"] = function() lpool.sleep(1000) end,
      -- Allocates, because the thread sanitizer holds signals back until its own code runs.
      ["computes"] = function() while true do local _ = {} end end,
    } do
      it(("%s ends a worker whose initializer %s"):format(stop, name), function()
        if not kind.concurrent then
          return
        end
        local ex = make { max_workers = 1, initializer = fn }
        local f = ex:submit(echo)
        ex[stop](ex)
        ex:shutdown()
        assert.is_true(f:done())
      end)

      it(("%s ends a worker whose finalizer %s"):format(stop, name), function()
        if not kind.concurrent then
          return
        end
        local ex = make { max_workers = 1, finalizer = fn }
        ex:submit(echo):result()
        assert.is_false(ex:shutdown { timeout = 0.1 })
        ex[stop](ex)
        ex:shutdown()
      end)
    end
  end
end
