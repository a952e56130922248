-- Executors that are closed by their block, or collected.
local busted = require "busted"
local assert = require "luassert"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

return function(kind)
  local make = kind.make

  it("is shut down when its block is left", function()
    local kept
    do
      local ex <close> = make()
      kept = ex
    end
    helper.raises("ShutdownError", kept.submit, kept, echo)
  end)

  it("has run everything when its block is left", function()
    local gate <close> = helper.gate.new()
    do
      local ex <close> = make()
      for _ = 1, 50 do
        ex:submit(helper.gate.arrive, gate.path)
      end
    end
    assert.are.equal(50, gate:count())
  end)

  it("is closed by break, goto and return too", function()
    local kept = {}
    for _ = 1, 3 do
      local ex <close> = make()
      kept[#kept + 1] = ex
      if #kept == 2 then
        break
      end
    end
    local function leave()
      local ex <close> = make()
      kept[#kept + 1] = ex
      return 1
    end
    leave()
    assert.are.equal(3, #kept)
    for _, ex in ipairs(kept) do
      helper.raises("ShutdownError", ex.submit, ex, echo)
    end
  end)

  it("can be shut down before its block is left", function()
    local ex <close> = make()
    ex:shutdown()
  end)

  it("lets the error that leaves its block through unchanged", function()
    local value = { "unchanged" }
    local kept
    local err = helper.raised(function()
      local ex <close> = make()
      kept = ex
      ex:submit(echo)
      error(value)
    end)
    assert.is_true(rawequal(value, err))
    helper.raises("ShutdownError", kept.submit, kept, echo)
  end)

  it("lets an error in a worker through unchanged when that leaves its block", function()
    assert.are.equal("from the task", helper.raised(function()
      local ex <close> = make()
      ex:submit(error, "from the task", 0):result()
    end))
  end)

  it("runs what is queued although nobody holds it any more", function()
    local gate <close> = helper.gate.new()
    local function leave()
      local ex = make()
      for _ = 1, 50 do
        ex:submit(helper.gate.arrive, gate.path)
      end
    end
    leave()
    collectgarbage()
    collectgarbage()
    helper.eventually(function()
      return gate:count() == 50
    end, "all tasks had run")
  end)

  it("leaves readable results although it was collected", function()
    local futures = {}
    local function leave()
      local ex = make()
      for i = 1, 50 do
        futures[i] = ex:submit(echo, i)
      end
    end
    leave()
    collectgarbage()
    collectgarbage()
    for i = 1, 50 do
      assert.are.equal(i, futures[i]:result())
    end
  end)

  it("leaves a view working although only that is held", function()
    local function view_of()
      return make():with { label = "x" }
    end
    local view = view_of()
    collectgarbage()
    collectgarbage()
    assert.are.equal(1, view:submit(echo, 1):result())
    view:shutdown()
  end)

  it("leaves no thread behind when it is collected unused", function()
    for _ = 1, 20 do
      make()
    end
    collectgarbage()
  end)

  it("leaves nothing behind when it is made and closed many times", function()
    for _ = 1, 20 do
      local ex <close> = make()
      ex:submit(echo):result()
    end
  end)

  if not kind.concurrent then
    return
  end

  it("cancels what is pending when an error leaves its block", function()
    local gate <close> = helper.gate.new()
    local running, pending
    helper.raised(function()
      local ex <close> = make { max_workers = 1 }
      running = ex:submit(function(path)
        local gates = require "spec.support.gate"
        gates.arrive(path)
        gates.pass(path)
        return "ran"
      end, gate.path)
      pending = ex:submit(helper.gate.arrive, gate.path)
      gate:await(1)
      pending:add_done_callback(function()
        gate:open()
      end)
      error("leave")
    end)
    assert.are.equal("cancelled", pending:state())
    assert.are.equal("ran", running:result(0))
    assert.are.equal(1, gate:count())
  end)

  it("waits for what runs when its block is left", function()
    local gate <close> = helper.gate.new()
    local f
    do
      local ex <close> = make()
      f = ex:submit(helper.gate.hold, gate.path, "ran")
      gate:await(1)
      gate:open()
    end
    assert.are.equal("ran", f:result(0))
  end)

  it("runs tasks in the background after it was collected", function()
    local gate <close> = helper.gate.new()
    local function leave()
      local ex = make { max_workers = 1 }
      return ex:submit(helper.gate.hold, gate.path, 1), ex:submit(helper.gate.visit, gate.path, 2)
    end
    local f, g = leave()
    collectgarbage()
    collectgarbage()
    gate:open()
    assert.are.equal(1, f:result())
    assert.are.equal(2, g:result())
  end)

  it("does not wait when it is collected", function()
    local gate <close> = helper.gate.new()
    local function leave()
      make():submit(helper.gate.hold, gate.path)
    end
    leave()
    collectgarbage()
    collectgarbage()
    gate:await(1) -- would never come back from the collection otherwise
  end)
end
