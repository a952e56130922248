-- What a future says about its task.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

local function fail(value)
  error(value)
end

return function(kind)
  local make = kind.make

  it("says that a finished task is done and neither running nor cancelled", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    f:result()
    assert.is_true(f:done())
    assert.is_false(f:running())
    assert.is_false(f:cancelled())
    assert.are.equal("finished", f:state())
  end)

  it("says that a failed task is done and neither running nor cancelled", function()
    local ex <close> = make()
    local f = ex:submit(fail, "no")
    f:exception()
    assert.is_true(f:done())
    assert.is_false(f:running())
    assert.is_false(f:cancelled())
    assert.are.equal("failed", f:state())
  end)

  it("has no exception after success", function()
    local ex <close> = make()
    assert.are.same({ n = 1 }, table.pack(ex:submit(echo, 1):exception()))
  end)

  it("gives the error value and a traceback as its exception", function()
    local ex <close> = make()
    local err, traceback = ex:submit(fail, { code = 7 }):exception()
    assert.are.same({ code = 7 }, err)
    helper.contains("stack traceback", traceback)
  end)

  it("tells error(nil) from success by the traceback", function()
    local ex <close> = make()
    local err, traceback = ex:submit(fail, nil):exception()
    assert.is_nil(err)
    assert.is_string(traceback)
  end)

  it("has the worker's traceback, with the place of the error", function()
    local ex <close> = make()
    local f = ex:submit(fail, "no")
    f:exception()
    helper.contains("conformance/futures.lua:", f:traceback())
    assert.are.equal(f:traceback(), select(2, f:exception()))
  end)

  it("has no traceback after success", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    f:result()
    assert.is_nil(f:traceback())
  end)

  it("ignores the time limit of result and exception once done", function()
    local ex <close> = make()
    local f = ex:submit(echo, 5)
    f:result()
    assert.are.equal(5, f:result(0))
    assert.is_nil(f:exception(0))
  end)

  it("raises the task's error whatever the time limit once done", function()
    local ex <close> = make()
    local f = ex:submit(fail, { 1 })
    f:exception()
    assert.are.same({ 1 }, helper.raised(f.result, f, 0))
  end)

  it("takes nil and huge numbers as time limits", function()
    local ex <close> = make()
    assert.are.equal(1, ex:submit(echo, 1):result(nil))
    assert.are.equal(2, ex:submit(echo, 2):result(math.huge))
    assert.are.equal(3, ex:submit(echo, 3):result(1e300))
  end)

  it("refuses a time limit that is no number", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    helper.misuse(function()
      f:result("soon")
    end, "number")
    helper.misuse(function()
      f:exception({})
    end, "number")
  end)

  it("names the worker that ran the task", function()
    local ex <close> = make()
    local f = ex:submit(function()
      return lpool.worker().name
    end)
    assert.are.equal(f:result(), f:worker())
    assert.is_truthy(f:worker():find(kind.default_name))
  end)

  it("gives the process of the worker", function()
    local ex <close> = make()
    local f = ex:submit(lpool.getpid)
    assert.are.equal(f:result(), f:pid())
    assert.are.equal(kind.same_process, f:pid() == lpool.getpid())
  end)

  it("is shown with the type of its result", function()
    local ex <close> = make()
    for expected, value in pairs { number = 1, string = "x", table = {}, boolean = false } do
      local f = ex:submit(echo, value)
      f:result()
      assert.is_truthy(tostring(f):find("^<Future #%d+ finished returned " .. expected .. ">$"))
    end
  end)

  it("is shown with the type of its error", function()
    local ex <close> = make()
    for expected, value in pairs { number = 1, string = "x", table = {}, boolean = false } do
      local f = ex:submit(fail, value)
      f:exception()
      assert.is_truthy(tostring(f):find("^<Future #%d+ failed raised " .. expected .. ">$"))
    end
  end)

  it("is numbered by order of submission", function()
    local ex <close> = make()
    local f, g = ex:submit(echo), ex:submit(echo)
    local first = tonumber(tostring(f):match("#(%d+)"))
    local second = tonumber(tostring(g):match("#(%d+)"))
    assert.is_true(first < second)
    ex:shutdown()
  end)

  it("is a table key", function()
    local ex <close> = make()
    local names = {}
    local f, g = ex:submit(echo, 1), ex:submit(echo, 2)
    names[f], names[g] = "f", "g"
    for future in lpool.as_completed(names) do
      assert.are.equal(future:result() == 1 and "f" or "g", names[future])
    end
  end)

  it("is one object, wherever it comes from", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    local done = lpool.wait { f }
    assert.are.equal(f, done[1])
    for future in lpool.as_completed { f } do
      assert.is_true(rawequal(f, future))
    end
  end)

  it("outlives its executor", function()
    local f, g
    do
      local ex <close> = make()
      f, g = ex:submit(echo, "kept"), ex:submit(fail, { "kept" })
    end
    collectgarbage()
    assert.are.equal("kept", f:result())
    assert.are.same({ "kept" }, (g:exception()))
  end)

  it("refuses a method call on something else", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    assert.is_string(helper.raised(f.result, ex))
    assert.is_string(helper.raised(f.done, {}))
    assert.is_string(helper.raised(f.cancel))
    f:result()
  end)

  it("has no method of any other name", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    f:result()
    assert.is_nil(f.resutl)
  end)

  if not kind.concurrent then
    return
  end

  it("is pending until a worker begins with it", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local first, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    gate:await(1)
    assert.are.equal("pending", f:state())
    assert.is_false(f:running())
    assert.is_false(f:done())
    assert.is_truthy(tostring(f):find("^<Future #%d+ pending>$"))
    assert.are.equal("running", first:state())
  end)

  it("is running from when a worker has begun with it", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    gate:await(1)
    assert.are.equal("running", f:state())
    assert.is_true(f:running())
    assert.is_false(f:done())
    assert.is_false(f:cancelled())
    assert.is_truthy(tostring(f):find("^<Future #%d+ running>$"))
  end)

  it("is not running while a batch mate keeps its worker", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local futures = { ex:submit(helper.gate.hold, gate.path) }
    for i = 2, 20 do
      futures[i] = ex:submit(echo)
    end
    gate:await(1)
    for i = 2, 20 do
      assert.is_false(futures[i]:running())
    end
  end)

  it("raises TimeoutError when the time is up, and gives the result later", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path, "late")
    helper.raises("TimeoutError", f.result, f, 0.01)
    helper.raises("TimeoutError", f.exception, f, 0.01)
    gate:open()
    assert.are.equal("late", f:result())
  end)

  it("raises TimeoutError at once for a limit of zero or less", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    helper.raises("TimeoutError", f.result, f, 0)
    helper.raises("TimeoutError", f.exception, f, 0)
    helper.raises("TimeoutError", f.result, f, -1)
  end)

  it("waits at least as long as the limit says", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    local start = lpool.now()
    helper.raises("TimeoutError", f.result, f, 0.05)
    assert.is_true(lpool.now() - start >= 0.05)
  end)

  it("has no worker while it is pending", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    local f = ex:submit(echo)
    gate:await(1)
    assert.is_nil(f:worker())
    assert.is_nil(f:pid())
  end)

  it("is waited for by many at once", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path, 1)
    local seen = 0
    f:add_done_callback(function()
      seen = seen + 1
    end)
    local chained = f:and_then(echo)
    local all = lpool.gather { f }
    gate:open()
    assert.are.equal(1, all:result()[1])
    assert.are.equal(1, chained:result())
    assert.are.equal(1, f:result())
    assert.are.equal(1, seen)
  end)
end
