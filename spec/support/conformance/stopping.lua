-- Ending tasks that run: interrupt, terminate_workers and kill_workers. For
-- kinds that can: see `interrupts` in spec.support.kinds.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

-- Tasks that never end by themselves. They take memory for the thread
-- sanitizer's sake, which lets signals through only there.
local endless = {
  ["sleeps"] = function(path)
    require("spec.support.gate").arrive(path)
    lpool.sleep(1000)
  end,
  ["computes"] = function(path)
    require("spec.support.gate").arrive(path)
    while true do local _ = {} end
  end,
  ["catches every error"] = function(path)
    require("spec.support.gate").arrive(path)
    while true do
      pcall(function()
        while true do local _ = {} end
      end)
    end
  end,
  ["computes in a coroutine"] = function(path)
    require("spec.support.gate").arrive(path)
    coroutine.wrap(function()
      while true do local _ = {} end
    end)()
  end,
  ["waits for a future"] = function(path)
    require("spec.support.gate").arrive(path)
    lpool.Future():result()
  end,
}

return function(kind)
  local make = kind.make

  if not kind.interrupts then
    return
  end

  it("does not interrupt what is done", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1)
    f:result()
    assert.is_false(f:interrupt())
    assert.are.equal(1, f:result())
  end)

  it("does not interrupt what was cancelled", function()
    local f = lpool.Future()
    assert.is_true(f:cancel())
    assert.is_false(f:interrupt())
    assert.are.equal("cancelled", f:state())
  end)

  if not kind.concurrent then
    return
  end

  it("interrupts what is pending, as cancel does", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    local f = ex:submit(helper.gate.visit, gate.path)
    gate:await(1)
    assert.is_true(f:interrupt())
    assert.are.equal("cancelled", f:state())
    assert.is_false(f:interrupt())
    gate:open()
    ex:shutdown()
    assert.are.equal(1, gate:count())
  end)

  for what, task in pairs(endless) do
    it("interrupts a task that " .. what, function()
      local ex <close> = make { max_workers = 1 }
      local gate <close> = helper.gate.new()
      local f = ex:submit(task, gate.path)
      gate:await(1)
      assert.is_true(f:interrupt())
      helper.raises("CancelledError", f.result, f, 10)
      assert.are.equal("cancelled", f:state())
      assert.are.equal("on", ex:submit(echo, "on"):result(10))
    end)
  end

  for _, stop in ipairs { "terminate_workers", "kill_workers" } do
    for what, task in pairs(endless) do
      it(("%s ends a task that %s"):format(stop, what), function()
        local ex = make { max_workers = 1 }
        local gate <close> = helper.gate.new()
        local f = ex:submit(task, gate.path)
        gate:await(1)
        ex[stop](ex)
        local err = helper.raised(f.result, f, 10)
        assert.is_true(lpool.is(err, kind.same_process and "CancelledError" or "WorkerLostError"))
        ex:shutdown()
      end)
    end
  end
end
