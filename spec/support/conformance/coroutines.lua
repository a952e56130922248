-- lpool inside of coroutines: waiting blocks them all, and nothing depends on
-- the coroutine that asked.
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

  it("submits and waits in a coroutine", function()
    local ex <close> = make()
    assert.are.equal(3, coroutine.wrap(function()
      return ex:submit(math.max, 1, 3):result()
    end)())
  end)

  it("raises a task's error in the coroutine that asks", function()
    local ex <close> = make()
    local f = ex:submit(error, { "no" })
    local ok, err = coroutine.resume(coroutine.create(function()
      f:result()
    end))
    assert.is_false(ok)
    assert.are.same({ "no" }, err)
  end)

  it("uses a future in another coroutine than the one that submitted", function()
    local ex <close> = make()
    local f = coroutine.wrap(function()
      return ex:submit(echo, 1)
    end)()
    collectgarbage()
    assert.are.equal(1, coroutine.wrap(function()
      return f:result()
    end)())
  end)

  it("calls a callback that was added by a coroutine that has ended", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local seen
    coroutine.wrap(function()
      local f = kind.concurrent and ex:submit(helper.gate.hold, gate.path, 1) or ex:submit(echo, 1)
      f:add_done_callback(function(future)
        seen = future:result()
      end)
    end)()
    collectgarbage()
    collectgarbage()
    gate:open()
    ex:shutdown()
    assert.are.equal(1, seen)
  end)

  it("maps over a generator that is a coroutine", function()
    local ex <close> = make()
    assert.are.same({ 1, 4, 9, n = 3 }, ex:map(function(n)
      return n * n
    end, coroutine.wrap(function()
      for i = 1, 3 do
        coroutine.yield(i)
      end
    end)):totable())
  end)

  it("lets a coroutine yield in a loop over map and as_completed", function()
    local ex <close> = make()
    local seen = {}
    for value in coroutine.wrap(function()
      for _, result in ex:map(echo, { 1, 2 }) do
        coroutine.yield(result)
      end
      for f in lpool.as_completed { ex:submit(echo, 3) } do
        coroutine.yield(f:result())
      end
    end) do
      seen[#seen + 1] = value
    end
    assert.are.same({ 1, 2, 3 }, seen)
  end)

  it("lets a coroutine be left suspended in a loop over map", function()
    local ex <close> = make()
    do
      local step = coroutine.wrap(function()
        for _, result in ex:map(echo, lpool.range(1, 100)) do
          coroutine.yield(result)
        end
      end)
      assert.are.equal(1, step())
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal("on", ex:submit(echo, "on"):result())
  end)

  it("closes an executor when the coroutine that holds it is closed", function()
    local kept
    local co = coroutine.create(function()
      local ex <close> = make()
      kept = ex
      ex:submit(echo):result()
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    helper.raises("ShutdownError", kept.submit, kept, echo)
  end)

  it("runs lpool in coroutines of tasks", function()
    local ex <close> = make { max_workers = 1 }
    assert.are.equal(6, ex:submit(function()
      local sum = 0
      for value in coroutine.wrap(function()
        local inner <close> = lpool.SerialExecutor()
        for _, result in inner:map(math.abs, { -1, -2, -3 }) do
          coroutine.yield(result)
        end
      end) do
        sum = sum + value
      end
      return sum
    end):result())
  end)

  it("logs a callback that yields, and goes on", function()
    local result = helper.script(kind, [[
      local ex <close> = make()
      local f = ex:submit(math.max, 1)
      f:add_done_callback(function() coroutine.yield() end)
      coroutine.wrap(function() f:result() lpool.poll() end)()
      print("on")
    ]])
    assert.are.equal("on\n", result.out)
    helper.contains("yield", result.err)
    assert.are.equal(0, result.code)
  end)
end
