-- and_then and or_else.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

local function fail(value)
  error(value, 0)
end

return function(kind)
  local make = kind.make

  it("gives and_then's function all results", function()
    local ex <close> = make()
    local given
    ex:submit(echo, 1, nil, 3, nil):and_then(function(...)
      given = table.pack(...)
    end):result()
    assert.are.same({ 1, nil, 3, nil, n = 4 }, given)
  end)

  it("gives all that and_then's function returns", function()
    local ex <close> = make()
    local chained = ex:submit(echo, 1):and_then(function(n)
      return n + 1, nil, nil
    end)
    assert.are.same({ 2, nil, nil, n = 3 }, table.pack(chained:result()))
  end)

  it("makes a new future", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1)
    local chained = f:and_then(echo)
    assert.are_not.equal(f, chained)
    assert.are.equal(1, chained:result())
    assert.are.equal("finished", chained:state())
    assert.is_truthy(tostring(chained):find("^<Future #%d+ finished returned number>$"))
  end)

  it("runs the function in the owner state", function()
    local ex <close> = make()
    local worker = "not called"
    ex:submit(echo):and_then(function()
      worker = lpool.worker()
    end):result()
    assert.is_nil(worker)
  end)

  it("fails if and_then's function fails", function()
    local ex <close> = make()
    local value = { "unchanged" }
    local chained = ex:submit(echo, 1):and_then(function()
      error(value)
    end)
    assert.is_true(rawequal(value, helper.raised(chained.result, chained)))
    assert.are.equal("failed", chained:state())
    assert.is_string(chained:traceback())
  end)

  it("passes an error by and_then's function", function()
    local ex <close> = make()
    local called = false
    local chained = ex:submit(fail, { "no" }):and_then(function()
      called = true
    end)
    assert.are.same({ "no" }, helper.raised(chained.result, chained))
    assert.is_false(called)
  end)

  it("passes error(nil) by and_then's function", function()
    local ex <close> = make()
    local called = false
    local chained = ex:submit(fail, nil):and_then(function()
      called = true
    end)
    assert.is_nil(helper.raised(chained.result, chained))
    assert.is_false(called)
  end)

  it("gives or_else's function the error", function()
    local ex <close> = make()
    local given
    local chained = ex:submit(fail, { "no" }):or_else(function(err)
      given = err
      return "instead", nil
    end)
    assert.are.same({ "instead", nil, n = 2 }, table.pack(chained:result()))
    assert.are.same({ "no" }, given)
  end)

  it("passes results by or_else's function, to the last nil", function()
    local ex <close> = make()
    local called = false
    local chained = ex:submit(echo, 1, nil, nil):or_else(function()
      called = true
    end)
    assert.are.same({ 1, nil, nil, n = 3 }, table.pack(chained:result()))
    assert.is_false(called)
  end)

  it("fails if or_else's function fails", function()
    local ex <close> = make()
    local chained = ex:submit(fail, "first"):or_else(function(err)
      error(err .. " second", 0)
    end)
    assert.are.equal("first second", helper.raised(chained.result, chained))
  end)

  it("chains on and on", function()
    local ex <close> = make()
    local f = ex:submit(echo, 0)
    for _ = 1, 100 do
      f = f:and_then(function(n)
        return n + 1
      end)
    end
    assert.are.equal(100, f:result())
  end)

  it("branches", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1)
    local one = f:and_then(function(n)
      return n + 1
    end)
    local other = f:and_then(function(n)
      return n + 10
    end)
    assert.are.equal(2, one:result())
    assert.are.equal(11, other:result())
  end)

  it("follows a future that and_then's function returns", function()
    local ex <close> = make()
    local chained = ex:submit(echo, 20):and_then(function(n)
      return ex:submit(function(m)
        return m + 1, nil
      end, n)
    end)
    assert.are.same({ 21, nil, n = 2 }, table.pack(chained:result()))
  end)

  it("follows a future that or_else's function returns", function()
    local ex <close> = make()
    local chained = ex:submit(fail, "no"):or_else(function()
      return ex:submit(echo, "instead")
    end)
    assert.are.equal("instead", chained:result())
  end)

  it("follows a returned future into its error", function()
    local ex <close> = make()
    local chained = ex:submit(echo):and_then(function()
      return ex:submit(fail, { "later" })
    end)
    assert.are.same({ "later" }, helper.raised(chained.result, chained))
  end)

  it("follows futures that are followed by futures", function()
    local ex <close> = make()
    local chained = ex:submit(echo):and_then(function()
      return ex:submit(echo):and_then(function()
        return ex:submit(echo, "deep")
      end)
    end)
    assert.are.equal("deep", chained:result())
  end)

  it("chains on a future that is done", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1)
    f:result()
    assert.are.equal(1, f:and_then(echo):result())
  end)

  it("chains on a hand-made future", function()
    local f = lpool.Future()
    local chained = f:and_then(function(n)
      return n + 1
    end)
    f:set_result(1)
    assert.are.equal(2, chained:result(1))
  end)

  it("has done-callbacks as every future", function()
    local ex <close> = make()
    local given
    local chained = ex:submit(echo, 1):and_then(echo)
    chained:add_done_callback(function(future)
      given = future
    end)
    chained:result()
    lpool.poll()
    assert.are.equal(chained, given)
  end)

  it("can be waited for among other futures", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1)
    local chained = f:and_then(echo)
    local done = lpool.wait { f, chained }
    assert.are.equal(2, #done)
    local seen = 0
    for _ in lpool.as_completed { chained, f } do
      seen = seen + 1
    end
    assert.are.equal(2, seen)
  end)

  it("goes on when its executor is shut down", function()
    local ex = make()
    local chained = ex:submit(echo, 1):and_then(function(n)
      return n + 1
    end)
    ex:shutdown()
    assert.are.equal(2, chained:result())
  end)

  it("keeps its source, if nobody else does", function()
    local ex <close> = make()
    local result
    ex:submit(echo, 1):and_then(echo):and_then(function(n)
      result = n
    end)
    collectgarbage()
    collectgarbage()
    helper.eventually(function()
      return result == 1
    end, "the chain had ended")
  end)

  it("refuses what cannot be called", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    helper.misuse(function()
      f:and_then()
    end, "function")
    helper.misuse(function()
      f:or_else(42)
    end, "function")
    f:result()
  end)

  if not kind.concurrent then
    return
  end

  it("is pending until its source is done", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local chained = ex:submit(helper.gate.hold, gate.path, 1):and_then(echo)
    gate:await(1)
    assert.is_false(chained:done())
    helper.raises("TimeoutError", chained.result, chained, 0)
    gate:open()
    assert.are.equal(1, chained:result())
  end)

  it("ends in CancelledError if its source is cancelled", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    local f = ex:submit(echo)
    local called = false
    local chained = f:and_then(function()
      called = true
    end)
    f:cancel()
    helper.raises("CancelledError", chained.result, chained, 5)
    assert.is_false(called)
  end)
end
