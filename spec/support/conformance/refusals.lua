-- What does not cross, and how that is said.
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

  -- The message of the SerializationError that such a submit raises.
  local function refusal(...)
    local ex <close> = make()
    local err = helper.raises("SerializationError", ex.submit, ex, ...)
    assert.are.equal("SerializationError", err.kind)
    assert.are.equal("on", ex:submit(echo, "on"):result())
    return err.message
  end

  local co = coroutine.create(print)

  it("names the argument that is a coroutine", function()
    helper.contains("argument 1: a coroutine", refusal(echo, co))
    helper.contains("argument 3: a coroutine", refusal(echo, 1, nil, co))
  end)

  it("names the path of fields to a coroutine", function()
    helper.contains("argument 2, field 'conn.co': a coroutine",
      refusal(echo, 1, { conn = { co = co } }))
  end)

  it("names the path through list indices", function()
    helper.contains("argument 1, field 'list[2].co': a coroutine",
      refusal(echo, { list = { 1, { co = co } } }))
  end)

  it("names a path at great depth", function()
    local value = co
    for _ = 1, 10000 do
      value = { value }
    end
    helper.contains("a coroutine", refusal(echo, value))
  end)

  it("refuses a coroutine as a key", function()
    helper.contains("a coroutine", refusal(echo, { [co] = 1 }))
  end)

  it("names the upvalue that is a coroutine", function()
    local message = refusal(function()
      return co
    end)
    helper.contains("'co'", message)
    helper.contains("a coroutine", message)
    helper.contains("function", message)
  end)

  it("names the upvalue of an upvalue's function", function()
    local function inner()
      return co
    end
    local message = refusal(function()
      return inner()
    end)
    helper.contains("inner", message)
    helper.contains("co", message)
    helper.contains("a coroutine", message)
  end)

  it("refuses files", function()
    local message = refusal(echo, { out = io.stdout })
    helper.contains("argument 1, field 'out': ", message)
    assert.is_truthy(message:find("file") or message:find("FILE"))
  end)

  it("refuses other plain userdata, saying what it is", function()
    local lfs = require "lfs"
    local _, directory = lfs.dir(".")
    helper.contains("argument 1: ", refusal(echo, directory))
    directory:close()
  end)

  it("refuses futures and executors that cannot travel, by their names", function()
    local ex <close> = lpool.SerialExecutor()
    helper.contains("argument 1: an executor that is no thread pool", refusal(echo, ex))
    helper.contains("argument 1: a future made by lpool.Future", refusal(echo, lpool.Future()))
    if not kind.same_process then
      local threads <close> = lpool.ThreadPoolExecutor(1)
      helper.contains("argument 1: an executor, which cannot be sent to a process",
        refusal(echo, threads))
      helper.contains("argument 1: a future, which cannot be sent to a process",
        refusal(echo, ex:submit(echo)))
    end
  end)

  it("refuses a C function that no module knows", function()
    local message = refusal(echo, { each = ("x"):gmatch("x") })
    helper.contains("argument 1, field 'each': ", message)
    helper.contains("C function", message)
  end)

  it("refuses a task function that is an unknown C function", function()
    helper.contains("C function", refusal(("x"):gmatch("x")))
  end)

  it("refuses what cannot cross in a metatable", function()
    helper.contains("a coroutine", refusal(echo, setmetatable({}, { __index = { co = co } })))
  end)

  it("does not run the task", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    helper.raises("SerializationError", ex.submit, ex, helper.gate.arrive, gate.path, co)
    ex:shutdown()
    assert.are.equal(0, gate:count())
  end)

  -- A future whose task returns or raises what cannot cross.
  local function failing(ex, act, ...)
    local f = ex:submit(act, ...)
    local err = helper.raises("SerializationError", f.result, f)
    assert.are.equal("failed", f:state())
    return err.message
  end

  it("fails the future of a result that cannot cross, naming it", function()
    local ex <close> = make()
    helper.contains("result 2, field 'co': a coroutine", failing(ex, function()
      return 1, { co = coroutine.create(print) }
    end))
  end)

  it("fails the future of an error that cannot cross, naming it", function()
    local ex <close> = make()
    helper.contains("a coroutine", failing(ex, function()
      error({ co = coroutine.create(print) })
    end))
  end)

  it("keeps the worker when a result cannot cross", function()
    local ex <close> = make { max_workers = 1 }
    local function worker()
      _G.lpool_spec_visits = (_G.lpool_spec_visits or 0) + 1
      return _G.lpool_spec_visits
    end
    assert.are.equal(1, ex:submit(worker):result())
    failing(ex, function()
      return coroutine.create(print)
    end)
    failing(ex, function()
      error(coroutine.create(print))
    end)
    assert.are.equal(2, ex:submit(worker):result())
  end)

  it("fails only that item of a map", function()
    local ex <close> = make()
    local results = ex:map(function(n)
      return n == 2 and coroutine.create(print) or n
    end, { 1, 2, 3 }, { chunksize = 3 })
    assert.are.same({ 1, 1 }, { results() })
    helper.raises("SerializationError", results)
    assert.are.same({ 3, 3 }, { results() })
  end)

  it("leaves nothing of a message that failed in the next one", function()
    local ex <close> = make { max_workers = 1 }
    local part = { "part" }
    for _ = 1, 100 do
      helper.raises("SerializationError", ex.submit, ex, echo, part, { part, echo, co })
      local a, b = ex:submit(echo, part, { part }):result()
      assert.are.same({ "part" }, a)
      assert.is_true(rawequal(a, b[1]))
    end
  end)
end
