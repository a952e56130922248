-- as_completed.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

local function collect(futures, timeout)
  local seen = {}
  for f in lpool.as_completed(futures, timeout) do
    seen[#seen + 1] = f
  end
  return seen
end

return function(kind)
  local make = kind.make

  it("yields every future of a list", function()
    local ex <close> = make()
    local futures, waiting = {}, {}
    for i = 1, 50 do
      futures[i] = ex:submit(echo, i)
      waiting[futures[i]] = true
    end
    for f in lpool.as_completed(futures) do
      assert.is_true(f:done())
      assert.is_true(waiting[f])
      waiting[f] = nil
    end
    assert.is_nil(next(waiting))
  end)

  it("yields every key of a table keyed by futures", function()
    local ex <close> = make()
    local names = {}
    for i = 1, 10 do
      names[ex:submit(echo, i)] = i
    end
    local seen = 0
    for f in lpool.as_completed(names) do
      assert.are.equal(names[f], f:result())
      seen = seen + 1
    end
    assert.are.equal(10, seen)
  end)

  it("takes an iterator", function()
    local ex <close> = make()
    local left = 5
    local seen = collect(function()
      left = left - 1
      return left >= 0 and ex:submit(echo, left) or nil
    end)
    assert.are.equal(5, #seen)
  end)

  it("yields a future once, however often it is given", function()
    local ex <close> = make()
    local f, g = ex:submit(echo), ex:submit(echo)
    assert.are.equal(2, #collect { f, g, f, f, g })
  end)

  it("yields nothing for an empty list, table or iterator", function()
    assert.are.same({}, collect {})
    assert.are.same({}, collect(function() end))
  end)

  it("mixes executors and hand-made futures", function()
    local ex <close> = make()
    local other <close> = make()
    local own = lpool.Future()
    own:set_result(1)
    assert.are.equal(3, #collect { ex:submit(echo), other:submit(echo), own })
  end)

  it("yields those already done in the order in which they finished", function()
    for _, count in ipairs { 1, 2, 20, 64, 65, 5000 } do
      local futures = {}
      for i = 1, count do
        futures[i] = lpool.Future()
      end
      local order = {}
      for i = 1, count do
        local f = futures[(i * 7) % count + 1] -- no multiple of 7
        f:set_result(i)
        order[i] = f
      end
      local seen = collect(futures)
      assert.are.equal(count, #seen)
      for i = 1, count do
        assert.is_true(order[i] == seen[i])
      end
    end
  end)

  it("yields cancelled ones when they were cancelled", function()
    local a, b, c = lpool.Future(), lpool.Future(), lpool.Future()
    c:set_result(1)
    b:cancel()
    a:set_result(2)
    local order = collect { a, b, c }
    assert.is_true(order[1] == c and order[2] == b and order[3] == a)
  end)

  it("takes a list with metamethods, and leaves it as it is", function()
    local ex <close> = make()
    local f, g = ex:submit(echo, 1), ex:submit(echo, 2)
    local list = setmetatable({}, {
      __len = function() return 2 end,
      __index = function(_, i) return i == 1 and g or f end,
    })
    assert.are.equal(2, #collect(list))
    assert.are.equal(0, rawlen(list))
    local plain = { f, g }
    collect(plain)
    assert.are.same({ f, g }, plain)
  end)

  it("yields failed futures like the others", function()
    local ex <close> = make()
    local f = ex:submit(error, "no")
    assert.are.same({ f }, collect { f })
    f:exception()
  end)

  it("does not use the futures up", function()
    local ex <close> = make()
    local futures = { ex:submit(echo, 1), ex:submit(echo, 2) }
    assert.are.equal(2, #collect(futures))
    assert.are.equal(2, #collect(futures))
    assert.are.equal(1, futures[1]:result())
  end)

  it("stays at its end", function()
    local ex <close> = make()
    local step, state, control = lpool.as_completed { ex:submit(echo) }
    local f = step(state, control)
    assert.is_true(f:done())
    assert.is_nil(step(state, f))
    assert.is_nil(step(state, f))
  end)

  it("runs twice over the same futures at the same time", function()
    local ex <close> = make()
    local futures = { ex:submit(echo, 1), ex:submit(echo, 2) }
    local seen = 0
    for _ in lpool.as_completed(futures) do
      seen = seen + #collect(futures)
    end
    assert.are.equal(4, seen)
  end)

  it("leaves nothing behind after break", function()
    local ex <close> = make()
    local futures = {}
    for i = 1, 100 do
      futures[i] = ex:submit(echo, i)
    end
    for _ in lpool.as_completed(futures) do -- luacheck: ignore 512
      break
    end
    for i = 1, 100 do
      assert.are.equal(i, futures[i]:result())
    end
  end)

  it("refuses what is no collection of futures", function()
    helper.misuse(function()
      lpool.as_completed()
    end, "")
    helper.misuse(function()
      lpool.as_completed(42)
    end, "")
    helper.misuse(function()
      lpool.as_completed { 42 }
    end, "")
  end)

  it("refuses a time limit that is no number", function()
    helper.misuse(function()
      lpool.as_completed({}, "soon")
    end, "number")
  end)

  if not kind.concurrent then
    return
  end

  it("yields in the order of completion", function()
    local ex <close> = make { max_workers = 3 }
    local gates, futures = {}, {}
    local first <close> = helper.gate.new()
    local second <close> = helper.gate.new()
    local third <close> = helper.gate.new()
    for i, gate in ipairs { first, second, third } do
      gates[i] = gate
      futures[i] = ex:submit(helper.gate.hold, gate.path, i)
    end
    local order = {}
    third:open()
    for f in lpool.as_completed(futures) do
      order[#order + 1] = f:result()
      gates[#order]:open()
    end
    assert.are.same({ 3, 1, 2 }, order)
  end)

  it("says how many are unfinished when the time is up", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local futures = {
      ex:submit(echo, 1), ex:submit(echo, 2),
      ex:submit(helper.gate.hold, gate.path), ex:submit(helper.gate.hold, gate.path),
    }
    lpool.wait { futures[1], futures[2] }
    local seen = 0
    local err = helper.raises("TimeoutError", function()
      for f in lpool.as_completed(futures, 0.01) do
        seen = seen + f:result()
      end
    end)
    assert.are.equal("2 (of 4) futures unfinished", tostring(err))
    assert.are.equal(3, seen)
  end)

  it("yields those already done even if there is no time at all", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local done = ex:submit(echo)
    done:result()
    local futures = { ex:submit(helper.gate.hold, gate.path), done }
    local seen = {}
    helper.raises("TimeoutError", function()
      for f in lpool.as_completed(futures, 0) do
        seen[#seen + 1] = f
      end
    end)
    assert.are.same({ done }, seen)
  end)

  it("counts a duplicate once when the time is up", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    local err = helper.raises("TimeoutError", collect, { f, f, f }, 0)
    assert.are.equal("1 (of 1) futures unfinished", err.message)
  end)

  it("counts the time from the call, not from the first step", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    local step, state, control = lpool.as_completed({ f }, 0.3)
    helper.raises("TimeoutError", f.result, f, 0.3)
    local start = lpool.now()
    helper.raises("TimeoutError", step, state, control)
    assert.is_true(lpool.now() - start < 0.2)
  end)

  it("yields a future that is cancelled meanwhile", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local running, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    local seen = {}
    f:cancel()
    for future in lpool.as_completed { running, f } do
      seen[#seen + 1] = future:state()
      gate:open()
    end
    assert.are.same({ "cancelled", "finished" }, seen)
  end)
end
