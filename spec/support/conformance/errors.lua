-- Errors: those of tasks cross unchanged, those of lpool are objects.
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

  -- What result() raises after fn has failed in a task.
  local function raised_by(fn, ...)
    local ex <close> = make { max_workers = 1 }
    local f = ex:submit(fn, ...)
    return helper.raised(f.result, f)
  end

  it("raises a string with its place, unchanged", function()
    local message = raised_by(function()
      error("went wrong")
    end)
    assert.is_truthy(message:find("conformance/errors.lua:%d+: went wrong$"))
  end)

  it("raises a string without a place, unchanged", function()
    assert.are.equal("plain", raised_by(error, "plain", 0))
  end)

  it("raises a runtime error's message, unchanged", function()
    local message = raised_by(function()
      local missing = rawget({}, 1)
      return missing.field
    end)
    helper.contains("attempt to index a nil value (local 'missing')", message)
  end)

  it("raises tables, with all that is in them", function()
    assert.are.same({ code = 7, list = { 1, 2 } }, raised_by(error, { code = 7, list = { 1, 2 } }))
  end)

  it("raises numbers, keeping their subtype", function()
    assert.are.equal("integer", math.type(raised_by(error, 42)))
    assert.are.equal("float", math.type(raised_by(error, 42.0)))
  end)

  it("raises nil, false and true", function()
    assert.is_nil(raised_by(error, nil))
    assert.is_nil(raised_by(error))
    assert.is_false(raised_by(error, false))
    assert.is_true(raised_by(error, true))
  end)

  it("counts error(nil) and error(false) as failures", function()
    local ex <close> = make()
    local f, g = ex:submit(error, nil), ex:submit(error, false)
    lpool.wait { f, g }
    assert.are.equal("failed", f:state())
    assert.are.equal("failed", g:state())
    f:exception()
    g:exception()
  end)

  it("raises functions", function()
    assert.are.equal(5, raised_by(error, echo)(5))
  end)

  it("raises the same value each time", function()
    local ex <close> = make()
    local f = ex:submit(error, { 1 })
    assert.are.same({ 1 }, helper.raised(f.result, f))
    assert.are.same({ 1 }, helper.raised(f.result, f))
    assert.are.same({ 1 }, (f:exception()))
  end)

  it("takes an error object that is returned for a result", function()
    local ex <close> = make()
    local f = ex:submit(function()
      local _, err = pcall(function()
        lpool.Future():result(0)
      end)
      return err
    end)
    local err = f:result()
    assert.are.equal("finished", f:state())
    assert.is_true(lpool.is(err, "TimeoutError"))
  end)

  it("keeps the kind of lpool's own errors raised in a task", function()
    local err = raised_by(function()
      lpool.Future():result(0)
    end)
    assert.is_true(lpool.is(err, "TimeoutError"))
    assert.are.equal("TimeoutError", err.kind)
    assert.are.equal(err.message, tostring(err))
  end)

  it("fails a stack overflow alone", function()
    local message = raised_by(function()
      local function deeper(n)
        return 1 + deeper(n + 1)
      end
      return deeper(1)
    end)
    helper.contains("stack overflow", message)
  end)

  it("fails a C stack overflow alone", function()
    local message = raised_by(function()
      local function deeper(s)
        return (s:gsub(".", deeper))
      end
      return deeper("x")
    end)
    helper.contains("overflow", tostring(message))
  end)

  it("fails an allocation that cannot be alone", function()
    local message = raised_by(function()
      return ("x"):rep(1 << 46)
    end)
    assert.is_truthy(message:find("not enough memory") or message:find("too large"))
  end)

  it("goes on with the same worker after a failure", function()
    local ex <close> = make { max_workers = 1 }
    local f = ex:submit(error, "no")
    f:exception()
    local g = ex:submit(echo, "on")
    assert.are.equal("on", g:result())
    assert.are.equal(f:worker(), g:worker())
  end)

  it("fails a task that yields out of itself", function()
    local message = raised_by(function()
      coroutine.yield(1)
    end)
    helper.contains("yield", message)
  end)

  it("raises an error out of a coroutine in the task", function()
    -- coroutine.wrap puts its own place in front of a string.
    assert.are.same({ "inner" }, raised_by(function()
      coroutine.wrap(function()
        error({ "inner" })
      end)()
    end))
  end)

  it("turns os.exit into WorkerExitError with the code", function()
    for argument, code in pairs { [0] = 0, [7] = 7, [255] = 255 } do
      local err = raised_by(os.exit, argument)
      assert.is_true(lpool.is(err, "WorkerExitError"))
      assert.are.equal("WorkerExitError", err.kind)
      assert.are.equal(code, err.code)
    end
  end)

  it("gives os.exit's code for true, false and nothing", function()
    assert.are.equal(0, raised_by(os.exit, true).code)
    assert.are.equal(1, raised_by(os.exit, false).code)
    assert.are.equal(0, raised_by(os.exit).code)
  end)

  it("goes on after os.exit in a task", function()
    local ex <close> = make { max_workers = 1 }
    for i = 1, 20 do
      local f = ex:submit(os.exit, i)
      assert.are.equal(i, f:exception().code)
    end
    assert.are.equal("on", ex:submit(echo, "on"):result())
  end)

  it("ends the task at os.exit even within pcall", function()
    local err = raised_by(function()
      pcall(os.exit, 3)
      return "went on"
    end)
    assert.is_true(lpool.is(err, "WorkerExitError"))
  end)

  it("ends the task at os.exit in a coroutine", function()
    local err = raised_by(function()
      coroutine.wrap(function()
        os.exit(4)
      end)()
    end)
    assert.are.equal(4, err.code)
  end)

  it("gives lpool's errors a kind, a message and a text", function()
    local ex = make()
    ex:shutdown()
    local err = helper.raises("ShutdownError", ex.submit, ex, echo)
    assert.are.equal("ShutdownError", err.kind)
    assert.are.equal("cannot schedule new futures after shutdown", err.message)
    assert.are.equal("cannot schedule new futures after shutdown", tostring(err))
  end)
end
