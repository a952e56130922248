-- add_done_callback: called once, in order, in the state that added it.
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

  -- A future that is done once gate is open.
  local function held(ex, gate)
    if kind.concurrent then
      return ex:submit(helper.gate.hold, gate.path, 1)
    end
    return ex:submit(echo, 1)
  end

  it("calls with the future itself, and nothing else", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = held(ex, gate)
    local given
    f:add_done_callback(function(...)
      given = table.pack(...)
    end)
    gate:open()
    f:result()
    lpool.poll()
    assert.are.equal(1, given.n)
    assert.is_true(rawequal(f, given[1]))
  end)

  it("calls in the order of addition", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = held(ex, gate)
    local order = {}
    for i = 1, 20 do
      f:add_done_callback(function()
        order[#order + 1] = i
      end)
    end
    gate:open()
    f:result()
    lpool.poll()
    for i = 1, 20 do
      assert.are.equal(i, order[i])
    end
    assert.are.equal(20, #order)
  end)

  it("calls exactly once, however often lpool is entered", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = held(ex, gate)
    local calls = 0
    f:add_done_callback(function()
      calls = calls + 1
    end)
    gate:open()
    f:result()
    f:result()
    lpool.wait { f }
    lpool.poll()
    ex:shutdown()
    lpool.poll()
    assert.are.equal(1, calls)
  end)

  it("calls at once if the future is already done", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    f:result()
    local called = false
    f:add_done_callback(function()
      called = true
    end)
    assert.is_true(called)
  end)

  it("calls the same function twice if it was added twice", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = held(ex, gate)
    local calls = 0
    local function callback()
      calls = calls + 1
    end
    f:add_done_callback(callback)
    f:add_done_callback(callback)
    gate:open()
    f:result()
    lpool.poll()
    assert.are.equal(2, calls)
  end)

  it("calls for a failed task", function()
    local ex <close> = make()
    local f = ex:submit(error, { "no" })
    local seen
    f:add_done_callback(function(future)
      seen = future:exception()
    end)
    f:exception()
    lpool.poll()
    assert.are.same({ "no" }, seen)
  end)

  it("sees a future that is done", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1)
    local seen
    f:add_done_callback(function(future)
      seen = future:done() and future:result(0)
    end)
    f:result()
    lpool.poll()
    assert.are.equal(1, seen)
  end)

  -- Where the owner may let callbacks in.
  local doors = {
    ["result"] = function(f)
      f:result()
    end,
    ["exception"] = function(f)
      f:exception()
    end,
    ["the result of another future"] = function(_, ex)
      ex:submit(echo):result()
    end,
    ["wait"] = function(f)
      lpool.wait { f }
    end,
    ["as_completed"] = function(f)
      for _ in lpool.as_completed { f } do end -- luacheck: ignore 542
    end,
    ["gather"] = function(f)
      lpool.gather({ f }):result()
    end,
    ["map"] = function(_, ex)
      ex:map(echo, { 1 }, { chunksize = 1 }):totable()
    end,
    ["shutdown"] = function(_, ex)
      ex:shutdown()
    end,
    ["poll"] = function()
      lpool.poll()
    end,
  }

  for name, enter in pairs(doors) do
    it("calls when the owner has entered " .. name, function()
      local ex <close> = make { max_workers = 1 }
      local gate <close> = helper.gate.new()
      local f = held(ex, gate)
      local called = false
      f:add_done_callback(function()
        called = true
      end)
      gate:open()
      repeat
        local done = f:done()
      until done
      enter(f, ex)
      assert.is_true(called)
    end)
  end

  it("calls when the executor is closed at the end of its block", function()
    local called = false
    do
      local ex <close> = make()
      ex:submit(echo):add_done_callback(function()
        called = true
      end)
    end
    assert.is_true(called)
  end)

  it("keeps a future that nobody else keeps until it was called with it", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local given
    held(ex, gate):add_done_callback(function(future)
      given = future:result()
    end)
    collectgarbage()
    collectgarbage()
    gate:open()
    ex:shutdown()
    assert.are.equal(1, given)
  end)

  it("goes on with the others after one has failed", function()
    local result = helper.script(kind, [[
      local ex <close> = make()
      local f = ex:submit(function() return 1 end)
      local text = "none"
      f:add_done_callback(function() error("first") end)
      f:add_done_callback(function() error({}) end)
      f:add_done_callback(function() text = "third" end)
      local result = f:result()
      lpool.poll()
      print(text .. ", and the result " .. result)
    ]])
    assert.are.equal("third, and the result 1\n", result.out)
    assert.are.equal(0, result.code)
  end)

  it("logs an error in a callback, with the future and the place", function()
    local result = helper.script(kind, [[
      local ex <close> = make()
      local f = ex:submit(function() return 1 end)
      f:add_done_callback(function() error("wrong turn") end)
      f:result()
      f:add_done_callback(function() error("too late") end)
      lpool.poll()
    ]])
    assert.are.equal(0, result.code)
    helper.contains("wrong turn", result.err)
    helper.contains("too late", result.err)
    assert.is_truthy(result.err:find("<Future #%d+ finished returned number>"))
  end)

  it("lets a callback submit to the same executor", function()
    local ex <close> = make { max_workers = 1 }
    local second
    local f = ex:submit(echo, 20)
    f:add_done_callback(function(future)
      second = ex:submit(echo, future:result() + 1)
    end)
    f:result()
    lpool.poll()
    assert.are.equal(21, second:result())
  end)

  it("lets a callback wait for another future", function()
    local ex <close> = make { max_workers = 1 }
    local g
    local f = ex:submit(echo, 1)
    local seen
    f:add_done_callback(function()
      g = ex:submit(echo, 2)
      seen = g:result()
    end)
    f:result()
    lpool.poll()
    assert.are.equal(2, seen)
  end)

  it("lets a callback shut the executor down", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    f:add_done_callback(function()
      ex:shutdown()
    end)
    f:result()
    lpool.poll()
    helper.raises("ShutdownError", ex.submit, ex, echo)
  end)

  it("lets a callback add a callback", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    local order = {}
    f:add_done_callback(function(future)
      order[#order + 1] = "outer"
      future:add_done_callback(function()
        order[#order + 1] = "inner"
      end)
    end)
    f:result()
    lpool.poll()
    assert.are.same({ "outer", "inner" }, order)
  end)

  it("refuses what cannot be called", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    helper.misuse(function()
      f:add_done_callback(42)
    end, "function")
    f:result()
  end)

  it("runs a long chain of callbacks that submit", function()
    local ex <close> = make { max_workers = 1 }
    local left = 1000
    local function step(future)
      future:result()
      left = left - 1
      if left > 0 then
        ex:submit(echo, left):add_done_callback(step)
      end
    end
    ex:submit(echo, left):add_done_callback(step)
    helper.eventually(function()
      return left == 0
    end, "the chain had ended")
  end)

  if not kind.concurrent then
    return
  end

  it("does not call before the task is done", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    local called = false
    f:add_done_callback(function()
      called = true
    end)
    gate:await(1)
    lpool.poll()
    assert.is_false(called)
  end)

  it("calls for futures in the order in which they finish", function()
    local ex <close> = make { max_workers = 2 }
    local first_gate <close> = helper.gate.new()
    local second_gate <close> = helper.gate.new()
    local order = {}
    local f = ex:submit(helper.gate.hold, first_gate.path)
    local g = ex:submit(helper.gate.hold, second_gate.path)
    f:add_done_callback(function()
      order[#order + 1] = "f"
    end)
    g:add_done_callback(function()
      order[#order + 1] = "g"
    end)
    second_gate:open()
    g:result()
    first_gate:open()
    f:result()
    lpool.poll()
    assert.are.same({ "g", "f" }, order)
  end)

  it("is called for a cancelled future's dependants too", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    local f = ex:submit(echo)
    local state
    f:add_done_callback(function(future)
      state = future:state()
    end)
    ex:shutdown { wait = false, cancel_futures = true }
    lpool.poll()
    assert.are.equal("cancelled", state)
  end)
end
