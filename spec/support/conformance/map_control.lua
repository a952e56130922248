-- map: order, time limits, and leaving early.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

-- The first item waits at the gate, the others only arrive there.
local function hold_first(path, i)
  local gates = require "spec.support.gate"
  gates.arrive(path)
  if i == 1 then
    gates.pass(path)
  end
  return i
end

return function(kind)
  local make = kind.make

  it("can be iterated after the executor was closed", function()
    local results
    do
      local ex <close> = make()
      results = ex:map(echo, { 1, 2, 3 })
    end
    assert.are.same({ 1, 2, 3, n = 3 }, results:totable())
  end)

  it("raises after shutdown, even for nothing", function()
    local ex = make()
    ex:shutdown()
    local err = helper.raises("ShutdownError", ex.map, ex, echo, {})
    assert.are.equal("cannot schedule new futures after shutdown", err.message)
    helper.raises("ShutdownError", ex.map, ex, echo, { 1 })
    helper.raises("ShutdownError", ex.map, ex, echo, lpool.range(1, 0))
    helper.raises("ShutdownError", ex.map, ex, echo, function() end)
    helper.raises("ShutdownError", ex.starmap, ex, echo, {})
  end)

  it("is at its end after close", function()
    local ex <close> = make()
    local results = ex:map(echo, { 1, 2, 3 })
    results()
    results:close()
    assert.is_nil((results()))
  end)

  it("can be closed twice, and at its end", function()
    local ex <close> = make()
    local results = ex:map(echo, { 1 })
    results()
    results:close()
    results:close()
  end)

  it("can be a to-be-closed variable", function()
    local ex <close> = make()
    do
      local results <close> = ex:map(echo, { 1, 2 })
      results()
    end
  end)

  it("yields everything once when order does not matter", function()
    local ex <close> = make { max_workers = 3 }
    local seen = {}
    for i, result in ex:map(function(n)
      return n * n
    end, lpool.range(1, 200), { ordered = false }) do
      assert.is_nil(seen[i])
      assert.are.equal(i * i, result)
      seen[i] = true
    end
    assert.are.equal(200, #seen)
  end)

  it("yields everything once of an iterator when order does not matter", function()
    local ex <close> = make { max_workers = 3 }
    local n = 0
    local results = ex:map(echo, function()
      n = n + 1
      return n <= 50 and n or nil
    end, { ordered = false, buffersize = 4 }):totable()
    table.sort(results)
    assert.are.equal(50, results.n)
    assert.are.equal(50, results[50])
  end)

  it("raises errors in any order and goes on", function()
    local ex <close> = make()
    local results = ex:map(function(n)
      if n % 2 == 0 then
        error("even", 0)
      end
      return n
    end, lpool.range(1, 10), { ordered = false })
    local failures, sum = 0, 0
    for _ = 1, 10 do
      local ok, _, value = pcall(results)
      if ok then
        sum = sum + value
      else
        failures = failures + 1
      end
    end
    assert.are.equal(5, failures)
    assert.are.equal(25, sum)
  end)

  it("refuses an ordered that is no boolean", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:map(echo, {}, { ordered = "no" })
    end, "ordered")
  end)

  it("refuses a timeout that is no number", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:map(echo, {}, { timeout = "soon" })
    end, "timeout")
  end)

  it("delivers within the time limit as without", function()
    local ex <close> = make()
    assert.are.same({ 1, 2, n = 2 }, ex:map(echo, { 1, 2 }, { timeout = 20 }):totable())
  end)

  it("does not withhold finished results when the time is up", function()
    local ex <close> = make()
    local results = ex:map(echo, { 1, 2 }, { timeout = 0 })
    ex:shutdown()
    assert.are.same({ 1, 2, n = 2 }, results:totable())
  end)

  it("lets the error of the loop body through unchanged", function()
    local ex <close> = make()
    local value = { "body" }
    assert.is_true(rawequal(value, helper.raised(function()
      for _ in ex:map(echo, { 1, 2, 3 }) do
        error(value)
      end
    end)))
    assert.are.equal("on", ex:submit(echo, "on"):result())
  end)

  if not kind.concurrent then
    return
  end

  it("keeps the order of the input, whatever finishes first", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local results = ex:starmap(hold_first, { { gate.path, 1 }, { gate.path, 2 } },
      { chunksize = 1 })
    gate:await(2)
    gate:open()
    assert.are.same({ 1, 2, n = 2 }, results:totable())
  end)

  it("yields in the order of completion if order does not matter", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local results = ex:starmap(hold_first, { { gate.path, 1 }, { gate.path, 2 } },
      { chunksize = 1, ordered = false })
    assert.are.same({ 2, 2 }, { results() })
    gate:open()
    assert.are.same({ 1, 1 }, { results() })
    assert.is_nil((results()))
  end)

  it("hands a sequence to all workers at the call", function()
    local ex <close> = make { max_workers = 3 }
    local gate <close> = helper.gate.new()
    local results = ex:map(helper.gate.hold, { gate.path, gate.path, gate.path },
      { chunksize = 1 })
    gate:await(3)
    gate:open()
    assert.are.equal(3, results:totable().n)
  end)

  it("raises TimeoutError when the time is up", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local results = ex:starmap(hold_first, { { gate.path, 1 }, { gate.path, 2 } },
      { timeout = 0.02, chunksize = 1 })
    helper.raises("TimeoutError", results)
  end)

  it("delivers what is finished before it raises TimeoutError", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local results = ex:map(function(item)
      return item == 1 and 1 or require("spec.support.gate").pass(item)
    end, { 1, gate.path }, { timeout = 0.02, chunksize = 1 })
    lpool.sleep(0.03) -- the time of the map itself
    assert.are.same({ 1, 1 }, { results() })
    helper.raises("TimeoutError", results)
  end)

  it("counts the time from the call", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local results = ex:map(helper.gate.hold, { gate.path }, { timeout = 0.3 })
    lpool.sleep(0.3) -- the time of the map itself
    local start = lpool.now()
    helper.raises("TimeoutError", results)
    assert.is_true(lpool.now() - start < 0.2)
  end)

  it("cancels the rest and is at its end after TimeoutError", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local arguments = {}
    for i = 1, 5 do
      arguments[i] = { gate.path, i }
    end
    local results = ex:starmap(hold_first, arguments, { timeout = 0.02, chunksize = 1 })
    gate:await(1)
    helper.raises("TimeoutError", results)
    assert.is_nil((results()))
    gate:open()
    ex:shutdown()
    assert.are.equal(1, gate:count())
  end)

  -- Starts five items of which the first runs, leaves by leave(results),
  -- and says how many have run in the end.
  local function ran_after(leave)
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local items = {}
    for n = 1, 5 do
      items[n] = { gate.path, n }
    end
    leave(function()
      local results = ex:starmap(hold_first, items, { chunksize = 1 })
      gate:await(1)
      return results
    end)
    gate:open()
    ex:shutdown()
    return gate:count()
  end

  it("cancels what has not begun when it is closed", function()
    assert.are.equal(1, ran_after(function(start)
      start():close()
    end))
  end)

  it("cancels what has not begun when its block is left", function()
    assert.are.equal(1, ran_after(function(start)
      local _ <close> = start()
    end))
  end)

  it("cancels nothing when it is only dropped", function()
    assert.are.equal(5, ran_after(function(start)
      start()
      collectgarbage()
      collectgarbage()
    end))
  end)

  -- Lets a loop over the results of two held items be left in its body.
  local function left_in_loop(body, as_iterator)
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local function task(path, i)
      local gates = require "spec.support.gate"
      gates.arrive(path)
      if i == 2 then
        gates.pass(path)
      end
    end
    local items = {}
    for n = 1, 6 do
      items[n] = { gate.path, n }
    end
    pcall(function()
      local i = 0
      local function iterator()
        i = i + 1
        return items[i]
      end
      for _ in ex:starmap(task, as_iterator and iterator or items, { chunksize = 1 }) do
        gate:await(2)
        if body() then
          break
        end
      end
    end)
    gate:open()
    ex:shutdown()
    return gate:count()
  end

  it("cancels what has not begun at break", function()
    assert.are.equal(2, left_in_loop(function()
      return true
    end))
  end)

  it("cancels what has not begun at an error in the loop body", function()
    assert.are.equal(2, left_in_loop(function()
      error("body")
    end))
  end)

  it("cancels what has not begun of an iterator at break", function()
    assert.are.equal(2, left_in_loop(function()
      return true
    end, true))
  end)
end
