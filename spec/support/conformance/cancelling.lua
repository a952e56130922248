-- cancel. For running tasks see stopping.
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

  it("does not cancel what is finished", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1)
    f:result()
    assert.is_false(f:cancel())
    assert.is_false(f:cancelled())
    assert.are.equal(1, f:result())
  end)

  it("does not cancel what has failed", function()
    local ex <close> = make()
    local f = ex:submit(error, "no")
    f:exception()
    assert.is_false(f:cancel())
    assert.are.equal("failed", f:state())
  end)

  if not kind.concurrent then
    return
  end

  -- Calls body with a pending future, behind a running one.
  local function with_pending(body)
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local running = ex:submit(helper.gate.hold, gate.path, "ran")
    gate:await(1)
    body(ex:submit(helper.gate.visit, gate.path), running, gate, ex)
  end

  it("cancels what is pending", function()
    with_pending(function(f)
      assert.is_true(f:cancel())
      assert.is_true(f:cancelled())
      assert.is_true(f:done())
      assert.is_false(f:running())
      assert.are.equal("cancelled", f:state())
    end)
  end)

  it("says true when asked to cancel again", function()
    with_pending(function(f)
      f:cancel()
      assert.is_true(f:cancel())
    end)
  end)

  it("does not cancel what runs", function()
    with_pending(function(_, running, gate)
      assert.is_false(running:cancel())
      gate:open()
      assert.are.equal("ran", running:result())
    end)
  end)

  it("never runs what was cancelled", function()
    with_pending(function(f, _, gate, ex)
      f:cancel()
      gate:open()
      ex:shutdown()
      assert.are.equal(1, gate:count())
    end)
  end)

  it("raises CancelledError from result and exception at once", function()
    with_pending(function(f)
      f:cancel()
      helper.raises("CancelledError", f.result, f)
      helper.raises("CancelledError", f.result, f, 0)
      helper.raises("CancelledError", f.exception, f)
      helper.raises("CancelledError", f.exception, f, 0)
    end)
  end)

  it("is shown as cancelled", function()
    with_pending(function(f)
      f:cancel()
      assert.is_truthy(tostring(f):find("^<Future #%d+ cancelled>$"))
    end)
  end)

  it("makes it done for wait at once", function()
    with_pending(function(f, running)
      f:cancel()
      local done, not_done = lpool.wait({ running, f }, { timeout = 0 })
      assert.are.same({ f }, done)
      assert.are.same({ running }, not_done)
    end)
  end)

  it("makes it done for as_completed at once", function()
    with_pending(function(f)
      f:cancel()
      local seen = {}
      for future in lpool.as_completed({ f }, 0) do
        seen[#seen + 1] = future
      end
      assert.are.same({ f }, seen)
    end)
  end)

  it("fails a gather at once", function()
    with_pending(function(f, running)
      local all = lpool.gather { running, f }
      f:cancel()
      helper.raises("CancelledError", all.result, all, 5)
    end)
  end)

  it("calls the callbacks", function()
    with_pending(function(f)
      local seen = {}
      f:add_done_callback(function(future)
        seen[#seen + 1] = future
      end)
      f:cancel()
      lpool.poll()
      lpool.poll()
      assert.are.same({ f }, seen)
    end)
  end)

  it("leaves the others in the queue alone", function()
    with_pending(function(f, _, gate, ex)
      local after = ex:submit(echo, "after")
      f:cancel()
      gate:open()
      assert.are.equal("after", after:result())
    end)
  end)

  it("cancels thousands in the middle of a queue", function()
    with_pending(function(_, _, gate, ex)
      local futures = {}
      for i = 1, 3000 do
        futures[i] = ex:submit(echo, i)
      end
      for i = 1, 3000, 2 do
        assert.is_true(futures[i]:cancel())
      end
      gate:open()
      for i = 2, 3000, 2 do
        assert.are.equal(i, futures[i]:result())
      end
    end)
  end)
end
