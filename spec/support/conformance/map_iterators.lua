-- map over iterator functions: lazily, through a bounded window.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

-- An iterator over the integers up to last, and how far it has been read.
local function counting(last)
  local read = { n = 0 }
  return function()
    if read.n < (last or math.huge) then
      read.n = read.n + 1
      return read.n
    end
  end, read
end

return function(kind)
  local make = kind.make

  it("reads an iterator function to its end", function()
    local ex <close> = make()
    assert.are.same({ 1, 2, 3, 4, 5, n = 5 }, ex:map(echo, (counting(5))):totable())
  end)

  it("takes what string.gmatch returns", function()
    local ex <close> = make()
    assert.are.same({ "A", "B", n = 2 }, ex:map(string.upper, ("a b"):gmatch("%a")):totable())
  end)

  it("passes all values of the iterator as arguments", function()
    local ex <close> = make()
    local left = 3
    local rows = ex:map(table.pack, function()
      left = left - 1
      if left >= 0 then
        return left, nil, "x", nil
      end
    end):totable()
    assert.are.equal(3, rows.n)
    assert.are.same({ 2, nil, "x", nil, n = 4 }, rows[1])
  end)

  it("goes on at false", function()
    local ex <close> = make()
    local values = { false, false }
    assert.are.same({ false, false, n = 2 }, ex:map(echo, function()
      return table.remove(values)
    end):totable())
  end)

  it("ends at once with an iterator that does", function()
    local ex <close> = make()
    assert.are.same({ n = 0 }, ex:map(echo, function() end):totable())
  end)

  it("does not call the iterator again after its end", function()
    local ex <close> = make()
    local calls = 0
    ex:map(echo, function()
      calls = calls + 1
      return calls <= 3 and calls or nil
    end):totable()
    assert.are.equal(4, calls)
  end)

  it("runs many items through the window", function()
    local ex <close> = make()
    local count = 0
    for i, result in ex:map(echo, (counting(20000))) do
      count = count + 1
      assert.is_true(i == result)
    end
    assert.are.equal(20000, count)
  end)

  it("lets a loop break out of an infinite iterator", function()
    local ex <close> = make()
    local iterator, read = counting()
    for i in ex:map(echo, iterator) do
      if i == 100 then
        break
      end
    end
    local reads = read.n
    ex:shutdown()
    assert.are.equal(reads, read.n)
  end)

  it("reads only a bounded window of an infinite iterator", function()
    local ex <close> = make()
    local iterator, read = counting()
    local results <close> = ex:map(echo, iterator)
    results()
    assert.is_true(read.n < 1e6)
  end)

  it("waits for an iterator that produces as it is consumed", function()
    local ex <close> = make()
    local delivered = 0
    for i, result in ex:map(echo, (counting(50)), { buffersize = 1 }) do
      delivered = delivered + 1
      assert.are.equal(i, result)
    end
    assert.are.equal(50, delivered)
  end)

  it("lets the iterator's own error through", function()
    local ex <close> = make()
    local value = { "input" }
    local err = helper.raised(function()
      for _ in ex:map(echo, function()
        error(value)
      end) do end -- luacheck: ignore 542
    end)
    assert.is_true(rawequal(value, err))
  end)

  it("lets an error through that the iterator raises later", function()
    local ex <close> = make()
    local iterator = counting()
    local err = helper.raised(function()
      for _ in ex:map(echo, function()
        local n = iterator()
        return n <= 1000 and n or error("after a thousand", 0)
      end) do end -- luacheck: ignore 542
    end)
    assert.are.equal("after a thousand", err)
  end)

  it("refuses an item that cannot cross, when that is read", function()
    local ex <close> = make()
    helper.raises("SerializationError", function()
      for _ in ex:map(echo, function()
        return coroutine.create(print)
      end) do end -- luacheck: ignore 542
    end)
  end)

  it("lets the iterator use the executor", function()
    local ex <close> = make()
    local n = 0
    local results = ex:map(echo, function()
      n = n + 1
      return n <= 10 and ex:submit(echo, n * 2):result() or nil
    end):totable()
    assert.are.same({ 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, n = 10 }, results)
  end)

  it("zips lists, the shortest of which wins", function()
    local ex <close> = make()
    assert.are.same({ "1a", "2b", n = 2 }, ex:map(function(n, letter)
      return n .. letter
    end, lpool.zip({ 1, 2, 3 }, { "a", "b" })):totable())
  end)

  it("zips ranges and iterators too", function()
    local ex <close> = make()
    assert.are.same({ 11, 22, n = 2 }, ex:map(function(a, b)
      return a + b
    end, lpool.zip(lpool.range(1, 5), ("10 20"):gmatch("%d+"))):totable())
  end)

  it("zips nothing to nothing", function()
    local ex <close> = make()
    assert.are.same({ n = 0 }, ex:map(echo, lpool.zip()):totable())
  end)

  for _, size in ipairs { 1, 2, 5 } do
    it("never reads more than a buffersize of " .. size .. " ahead", function()
      local ex <close> = make { max_workers = 3 }
      local iterator, read = counting(40)
      local delivered, most = 0, 0
      local function watched()
        local n = iterator()
        most = math.max(most, read.n - delivered)
        return n
      end
      for i in ex:map(echo, watched, { buffersize = size }) do
        most = math.max(most, read.n - i)
        delivered = i
      end
      assert.are.equal(40, delivered)
      assert.is_true(most <= size, ("%d read ahead"):format(most))
    end)
  end

  it("holds a buffersize against a chunksize", function()
    local ex <close> = make()
    local iterator, read = counting(40)
    local most = 0
    for i in ex:map(echo, iterator, { buffersize = 3, chunksize = 10 }) do
      most = math.max(most, read.n - i)
    end
    assert.is_true(most <= 3)
  end)

  it("bounds a list by buffersize too", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local items = {}
    for i = 1, 20 do
      items[i] = gate.path
    end
    local results = ex:map(helper.gate.arrive, items, { buffersize = 2 })
    results()
    results:close()
    ex:shutdown()
    assert.is_true(gate:count() <= 3)
  end)

  it("keeps holes in a list that is bounded by buffersize", function()
    local ex <close> = make()
    assert.are.same({ "a", nil, "c", n = 3 },
      ex:map(echo, { "a", nil, "c", n = 3 }, { buffersize = 1 }):totable())
  end)

  it("keeps nil as the first argument in lists that are bounded by buffersize", function()
    local ex <close> = make()
    local lists = { { nil, "a", n = 2 }, { nil, "b", n = 2 } }
    assert.are.same({ "a", "b", n = 2 }, ex:starmap(function(_, letter)
      return letter
    end, lists, { buffersize = 1 }):totable())
  end)

  it("validates buffersize before anything is read", function()
    local ex <close> = make()
    local iterator, read = counting()
    for _, size in ipairs { 0, -1, 1.5, "3" } do
      helper.misuse(function()
        ex:map(echo, iterator, { buffersize = size })
      end, "buffersize")
    end
    assert.are.equal(0, read.n)
  end)

  it("delivers what is buffered when the executor shuts down, then raises", function()
    local ex <close> = make()
    local results = ex:map(echo, (counting()), { buffersize = 3 })
    assert.are.same({ 1, 1 }, { results() })
    ex:shutdown()
    local last
    local err = helper.raised(function()
      while true do
        last = results()
      end
    end)
    assert.is_true(lpool.is(err, "ShutdownError"))
    assert.is_true(last >= 3)
  end)

  it("keeps nil as the first argument of starmap over an iterator", function()
    local ex <close> = make()
    local left = { { nil, 1, n = 2 }, { nil, 2, n = 2 } }
    assert.are.same({ 2, 1, n = 2 }, ex:starmap(function(_, n)
      return n
    end, function()
      return table.remove(left)
    end):totable())
  end)

  it("takes iterators for starmap", function()
    local ex <close> = make()
    local left = { { 1, 2 }, { 3, 4 } }
    assert.are.same({ 4, 2, n = 2 }, ex:starmap(math.max, function()
      return table.remove(left)
    end):totable())
  end)
end
