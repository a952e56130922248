-- submit, with and broadcast: calls go in, results come out.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

local function count(...)
  return select("#", ...)
end

return function(kind)
  local make = kind.make

  local function echoed(...)
    local ex <close> = make()
    return table.pack(ex:submit(echo, ...):result())
  end

  it("runs the function with the arguments and gives its result", function()
    local ex <close> = make()
    local f = ex:submit(function(a, b)
      return a * b
    end, 6, 7)
    assert.are.equal(42, f:result())
  end)

  it("gives every result", function()
    assert.are.same({ 1, "two", true, n = 3 }, echoed(1, "two", true))
  end)

  it("gives no result for none", function()
    assert.are.same({ n = 0 }, echoed())
  end)

  it("keeps the count of arguments that are nil", function()
    local ex <close> = make()
    assert.are.equal(0, ex:submit(count):result())
    assert.are.equal(1, ex:submit(count, nil):result())
    assert.are.equal(4, ex:submit(count, nil, 1, nil, nil):result())
  end)

  it("keeps nils among and behind the results", function()
    assert.are.same({ n = 1 }, echoed(nil))
    assert.are.same({ nil, false, nil, nil, n = 4 }, echoed(nil, false, nil, nil))
  end)

  it("takes two hundred arguments and results", function()
    local values = {}
    for i = 1, 200 do
      values[i] = i
    end
    local back = echoed(table.unpack(values))
    values.n = 200
    assert.are.same(values, back)
  end)

  it("gives the same results as often as asked", function()
    local ex <close> = make()
    local f = ex:submit(echo, 1, 2)
    assert.are.same({ 1, 2 }, { f:result() })
    assert.are.same({ 1, 2 }, { f:result() })
  end)

  it("runs a callable object, which is the first argument", function()
    local ex <close> = make()
    local adder = setmetatable({ base = 40 }, {
      __call = function(self, n)
        return self.base + n
      end,
    })
    assert.are.equal(42, ex:submit(adder, 2):result())
  end)

  it("runs a C function", function()
    local ex <close> = make()
    assert.are.equal(9, ex:submit(math.max, 3, 9, 4):result())
  end)

  it("refuses what cannot be called", function()
    local ex <close> = make()
    for _, value in ipairs { 42, "print", {}, true, io.stdout } do
      helper.misuse(function()
        ex:submit(value)
      end, "function")
    end
  end)

  it("refuses to be called without a function", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:submit()
    end, "function")
    helper.misuse(function()
      ex:submit(nil, 1)
    end, "function")
  end)

  it("returns a future, of its own for each call", function()
    local ex <close> = make()
    local f, g = ex:submit(echo), ex:submit(echo)
    assert.are_not.equal(f, g)
    assert.is_truthy(tostring(f):find("^<Future #%d+ "))
    f:result()
    g:result()
  end)

  it("runs many tasks and mixes none up", function()
    local ex <close> = make()
    local futures = {}
    for i = 1, 500 do
      futures[i] = ex:submit(function(n)
        return n * n
      end, i)
    end
    for i = 1, 500 do
      assert.are.equal(i * i, futures[i]:result())
    end
  end)

  it("runs a task in a state that is not the caller's", function()
    local ex <close> = make()
    local f = ex:submit(function()
      _G.lpool_spec_trace = true
    end)
    f:result()
    assert.is_nil(rawget(_G, "lpool_spec_trace"))
  end)

  it("copies arguments when it is called", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local list = { 1, 2, 3 }
    if kind.concurrent then
      ex:submit(helper.gate.hold, gate.path)
    end
    local f = ex:submit(echo, list)
    list[1] = "changed"
    gate:open()
    assert.are.same({ 1, 2, 3 }, (f:result()))
  end)

  it("does not change the caller's table", function()
    local ex <close> = make()
    local list = { 1, 2, 3 }
    ex:submit(function(t)
      t[1] = "changed"
    end, list):result()
    assert.are.same({ 1, 2, 3 }, list)
  end)

  it("has no label unless told", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    assert.is_nil(f:label())
    f:result()
  end)

  it("labels what a view with a label submits", function()
    local ex <close> = make()
    local f = ex:with({ label = "the answer" }):submit(echo, 42)
    assert.are.equal(42, f:result())
    assert.are.equal("the answer", f:label())
  end)

  it("leaves the executor unlabelled beside its view", function()
    local ex <close> = make()
    local view = ex:with { label = "x" }
    local f = ex:submit(echo)
    assert.are.equal("x", view:submit(echo):label())
    assert.is_nil(f:label())
    f:result()
  end)

  it("lets a view do all that the executor does", function()
    local ex <close> = make()
    local view = ex:with { label = "x" }
    assert.are.same({ 1, 4, n = 2 }, view:map(function(n)
      return n * n
    end, { 1, 2 }):totable())
    assert.are.same({ 3, n = 1 }, view:starmap(math.max, { { 1, 3 } }):totable())
    view:shutdown()
    helper.raises("ShutdownError", ex.submit, ex, echo)
  end)

  it("refuses a view with an unknown option, listing the known", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:with { lable = "x" }
    end, "lable")
    helper.contains("label", helper.raised(ex.with, ex, { lable = "x" }))
  end)

  it("refuses a label that is no string", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:with { label = {} }
    end, "label")
  end)

  it("broadcasts to every worker once", function()
    local ex <close> = make { max_workers = 3 }
    local futures = ex:broadcast(function(a, b)
      return lpool.worker().name, a, b
    end, "x", nil)
    assert.are.equal(kind.concurrent and 3 or 1, #futures)
    local seen = {}
    for _, f in ipairs(futures) do
      local results = table.pack(f:result())
      assert.are.equal(3, results.n)
      assert.are.equal("x", results[2])
      assert.is_nil(seen[results[1]])
      seen[results[1]] = true
    end
  end)

  it("broadcasts to workers that have worked before", function()
    local ex <close> = make { max_workers = 2 }
    ex:submit(echo):result()
    for round = 1, 3 do
      local names = {}
      for _, f in ipairs(ex:broadcast(function()
        return lpool.worker().name
      end)) do
        names[f:result()] = round
      end
      assert.are.equal(kind.concurrent and 2 or 1, helper.inventory.count(names))
    end
  end)

  it("refuses to broadcast what cannot be called", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:broadcast(42)
    end, "function")
  end)

  if not kind.concurrent then
    return
  end

  it("returns before the task ends", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path, "late")
    assert.is_false(f:done())
    gate:open()
    assert.are.equal("late", f:result())
  end)

  it("runs as many tasks at once as there are workers", function()
    local ex <close> = make { max_workers = 4 }
    local gate <close> = helper.gate.new()
    local futures = {}
    for i = 1, 4 do
      futures[i] = ex:submit(function(path)
        local gates = require "spec.support.gate"
        gates.arrive(path)
        gates.meet(path, 4)
        return lpool.worker().name
      end, gate.path)
    end
    local names = {}
    for i = 1, 4 do
      names[futures[i]:result()] = true
    end
    assert.are.equal(4, helper.inventory.count(names))
  end)

  it("begins tasks in the order of submission", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local hold = ex:submit(helper.gate.hold, gate.path)
    local order = {}
    for i = 1, 50 do
      ex:submit(echo):add_done_callback(function()
        order[#order + 1] = i
      end)
    end
    gate:open()
    hold:result()
    ex:shutdown()
    for i = 1, 50 do
      assert.are.equal(i, order[i])
    end
  end)
end
