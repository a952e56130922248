-- map and starmap over sequences and ranges.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function square(n)
  return n * n
end

local function echo(...)
  return ...
end

return function(kind)
  local make = kind.make

  -- All rows that a loop over map sees.
  local function rows(...)
    local ex <close> = make()
    local found = {}
    local results = ex:map(...)
    for _ = 1, 1000 do
      local row = table.pack(results())
      if row[1] == nil then
        return found
      end
      found[#found + 1] = row
    end
  end

  it("gives index and result of each item of a list, in order", function()
    local ex <close> = make()
    local expected = 0
    for i, result in ex:map(square, { 1, 2, 3, 4, 5 }) do
      expected = expected + 1
      assert.are.equal(expected, i)
      assert.are.equal(i * i, result)
    end
    assert.are.equal(5, expected)
  end)

  it("gives all results of an item", function()
    assert.are.same({ { 1, "a", "a", n = 3 }, { 2, "b", "b", n = 3 } }, rows(function(x)
      return x, x
    end, { "a", "b" }))
  end)

  it("does not end at nil results", function()
    assert.are.same({ { 1, n = 1 }, { 2, nil, n = 2 }, { 3, nil, nil, n = 3 } }, rows(function(n)
      if n == 2 then
        return nil
      elseif n == 3 then
        return nil, nil
      end
    end, { 1, 2, 3 }))
  end)

  it("does not end at false", function()
    assert.are.same({ { 1, false, n = 2 }, { 2, false, n = 2 } }, rows(echo, { false, false }))
  end)

  it("ends at once for an empty list", function()
    assert.are.same({}, rows(square, {}))
  end)

  it("counts by n, holes included", function()
    assert.are.same({ { 1, "a", n = 2 }, { 2, nil, n = 2 }, { 3, "c", n = 2 }, { 4, nil, n = 2 } },
      rows(echo, { "a", nil, "c", nil, n = 4 }))
  end)

  it("counts by n even if there is more", function()
    assert.are.same({ { 1, 1, n = 2 } }, rows(square, { 1, 2, 3, n = 1 }))
  end)

  it("takes a range", function()
    assert.are.same({ { 1, 9, n = 2 }, { 2, 16, n = 2 } }, rows(square, lpool.range(3, 4)))
  end)

  it("takes a range with a step, and a falling one", function()
    local ex <close> = make()
    assert.are.same({ 1, 4, 7, n = 3 }, ex:map(echo, lpool.range(1, 9, 3)):totable())
    assert.are.same({ 3, 2, 1, n = 3 }, ex:map(echo, lpool.range(3, 1, -1)):totable())
  end)

  it("takes an empty range", function()
    assert.are.same({}, rows(square, lpool.range(1, 0)))
  end)

  it("keeps integers of a range integers", function()
    local ex <close> = make()
    assert.are.same({ "integer", n = 1 }, ex:map(math.type, lpool.range(1, 1)):totable())
  end)

  it("runs a large range", function()
    local ex <close> = make()
    local sum, count = 0, 0
    for _, result in ex:map(square, lpool.range(1, 20000)) do
      sum, count = sum + result, count + 1
    end
    assert.are.equal(20000, count)
    assert.are.equal(20000 * 20001 * 40001 // 6, sum)
  end)

  it("gives the table of first results, with n", function()
    local ex <close> = make()
    assert.are.same({ 1, 4, 9, n = 3 }, ex:map(square, { 1, 2, 3 }):totable())
  end)

  it("keeps nil results in the table", function()
    local ex <close> = make()
    assert.are.same({ "a", nil, "c", nil, n = 4 },
      ex:map(echo, { "a", nil, "c", nil, n = 4 }):totable())
  end)

  it("gives the table of what is left after some steps", function()
    local ex <close> = make()
    local results = ex:map(echo, { "a", "b", "c" })
    results()
    local left = results:totable()
    assert.are.equal("c", left[left.n])
  end)

  for _, ordered in ipairs { true, false } do
    it(("gives each result once, %s, whatever they are"):format(
      ordered and "in order" or "as they come"), function()
      local ex <close> = make()
      -- Long rows of integers, with other results and errors in between.
      local function task(n)
        if n % 301 == 0 then
          error({ n })
        elseif n % 97 == 0 then
          return tostring(n)
        end
        return n
      end
      local results = ex:map(task, lpool.range(1, 3000), { ordered = ordered, chunksize = 250 })
      local found, count, last = {}, 0, 0
      local function add(value)
        local n = type(value) == "table" and value[1] or math.tointeger(value)
        assert.is_nil(found[n], "a result came twice")
        found[n], count = value, count + 1
        if ordered then
          assert.are.equal(last + 1, n)
          last = n
        end
      end
      for _ = 1, 3000 do
        local fine, number, value = pcall(results)
        if not fine then
          value = number -- the error
        elseif ordered then
          assert.are.equal(number, math.tointeger(value))
        end
        add(value)
      end
      assert.are.equal(3000, count)
      assert.is_nil((results()))
    end)
  end

  it("gives the table of what is left of many integers", function()
    local ex <close> = make()
    local results = ex:map(square, lpool.range(1, 1000), { chunksize = 300 })
    for i = 1, 130 do
      assert.are.same({ i, i * i }, { results() })
    end
    local left = results:totable()
    assert.are.equal(870, left.n)
    for i = 1, 870 do
      assert.are.equal((i + 130) ^ 2, left[i])
    end
  end)

  it("gives no more once it is closed, though results are there", function()
    local ex <close> = make()
    local results = ex:map(echo, lpool.range(1, 1000), { chunksize = 1000 })
    assert.are.equal(1, (results()))
    assert.are.equal(2, (results()))
    results:close()
    assert.is_nil((results()))
    assert.are.same({ n = 0 }, results:totable())
  end)

  it("gives an empty table for nothing", function()
    local ex <close> = make()
    assert.are.same({ n = 0 }, ex:map(square, {}):totable())
  end)

  it("stays at its end", function()
    local ex <close> = make()
    local results = ex:map(square, { 1 })
    results()
    assert.is_nil((results()))
    assert.is_nil((results()))
  end)

  it("reads the list at the call", function()
    local ex <close> = make()
    local list = { 1, 2, 3 }
    local results = ex:map(echo, list)
    list[2] = "changed"
    assert.are.same({ 1, 2, 3, n = 3 }, results:totable())
  end)

  it("runs all tasks even if the results are dropped", function()
    local ex = make()
    local gate <close> = helper.gate.new()
    ex:map(helper.gate.arrive, { gate.path, gate.path, gate.path })
    collectgarbage()
    collectgarbage()
    ex:shutdown()
    assert.are.equal(3, gate:count())
  end)

  it("raises an item's own error when that is reached", function()
    local ex <close> = make()
    local value = { "no" }
    local results = ex:map(function(n)
      if n == 2 then
        error(value)
      end
      return n
    end, { 1, 2, 3 })
    assert.are.equal(1, select(2, results()))
    assert.are.same({ "no" }, helper.raised(results))
  end)

  it("goes on after an item's error with the next", function()
    local ex <close> = make()
    local results = ex:map(function(n)
      if n % 2 == 0 then
        error("even", 0)
      end
      return n
    end, { 1, 2, 3, 4, 5 })
    local seen = {}
    for i = 1, 5 do
      local ok, index, result = pcall(results)
      seen[i] = ok and index == i and result or index
    end
    assert.are.same({ 1, "even", 3, "even", 5 }, seen)
    assert.is_nil((results()))
  end)

  it("raises error(nil) and error(false) of an item", function()
    local ex <close> = make()
    local results = ex:map(error, { nil, false, n = 2 })
    assert.is_nil(helper.raised(results))
    assert.is_false(helper.raised(results))
    assert.is_nil((results()))
  end)

  it("treats a TimeoutError of a task as any other error", function()
    local ex <close> = make()
    local results = ex:map(function(n)
      if n == 1 then
        lpool.Future():result(0)
      end
      return n
    end, { 1, 2 })
    helper.raises("TimeoutError", results)
    assert.are.same({ 2, 2 }, { results() })
  end)

  it("raises in a loop where the error is reached", function()
    local ex <close> = make()
    local reached = 0
    local err = helper.raised(function()
      for i in ex:map(function(n)
        if n == 3 then
          error("third", 0)
        end
      end, { 1, 2, 3, 4 }) do
        reached = i
      end
    end)
    assert.are.equal("third", err)
    assert.are.equal(2, reached)
  end)

  it("raises an item's error from totable", function()
    local ex <close> = make()
    local results = ex:map(error, { "no" })
    assert.is_truthy(tostring(helper.raised(results.totable, results)):find("no"))
  end)

  for _, chunksize in ipairs { 1, 2, 3, 7, 10, 1000, math.maxinteger } do
    it("gives the same with a chunksize of " .. chunksize, function()
      local ex <close> = make()
      local results = ex:map(function(n)
        if n == 4 then
          error("four", 0)
        end
        return n, nil
      end, lpool.range(1, 10), { chunksize = chunksize })
      for i = 1, 10 do
        if i == 4 then
          assert.are.equal("four", helper.raised(results))
        else
          assert.are.same({ i, i, nil, n = 3 }, table.pack(results()))
        end
      end
      assert.is_nil((results()))
    end)
  end

  it("runs the items of a chunk on one worker", function()
    for _ = 1, 100 do
      local ex <close> = make { max_workers = 3 }
      local names = ex:map(function()
        return lpool.worker().name
      end, lpool.range(1, 12), { chunksize = 4 }):totable()
      for i = 1, 12 do
        assert.are.equal(names[(i - 1) // 4 * 4 + 1], names[i])
      end
    end
  end)

  it("refuses a chunksize below one", function()
    local ex <close> = make()
    for _, chunksize in ipairs { 0, -1 } do
      helper.misuse(function()
        ex:map(square, {}, { chunksize = chunksize })
      end, "chunksize must be >= 1")
    end
  end)

  it("refuses a chunksize that is no integer", function()
    local ex <close> = make()
    for _, chunksize in ipairs { 1.5, "3", true } do
      helper.misuse(function()
        ex:map(square, { 1 }, { chunksize = chunksize })
      end, "chunksize")
    end
  end)

  it("refuses unknown options, listing the known", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:map(square, { 1 }, { chunk_size = 3 })
    end, "chunk_size")
    local message = helper.raised(ex.map, ex, square, { 1 }, { chunk_size = 3 })
    for _, known in ipairs { "buffersize", "chunksize", "ordered", "timeout" } do
      helper.contains(known, message)
    end
  end)

  it("refuses a function that cannot be called", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:map(42, { 1 })
    end, "function")
    helper.misuse(function()
      ex:map(nil, {})
    end, "function")
  end)

  it("refuses an input that is none", function()
    local ex <close> = make()
    for _, input in ipairs { 42, "abc", true } do
      helper.misuse(function()
        ex:map(square, input)
      end, "")
    end
    helper.misuse(function()
      ex:map(square)
    end, "")
  end)

  it("refuses a list with an item that cannot cross", function()
    local ex <close> = make()
    local err = helper.raises("SerializationError", ex.map, ex, echo,
      { 1, { inner = coroutine.create(print) } })
    helper.contains("a coroutine", err.message)
    helper.contains("inner", err.message)
  end)

  it("maps a callable object", function()
    local ex <close> = make()
    local adder = setmetatable({ base = 40 }, {
      __call = function(self, n)
        return self.base + n
      end,
    })
    assert.are.same({ 41, 42, n = 2 }, ex:map(adder, { 1, 2 }):totable())
  end)

  it("spreads argument lists with starmap", function()
    local ex <close> = make()
    assert.are.same({ 2, 7, 0, n = 3 }, ex:starmap(math.max, { { 1, 2 }, { 7, 3, 5 }, { 0 } })
      :totable())
  end)

  it("keeps nils in the argument lists of starmap", function()
    local ex <close> = make()
    local counts = ex:starmap(function(...)
      return select("#", ...)
    end, { { n = 0 }, { nil, n = 1 }, { nil, 2, nil, n = 3 }, {} }):totable()
    assert.are.same({ 0, 1, 3, 0, n = 4 }, counts)
  end)

  it("takes map's options for starmap", function()
    local ex <close> = make()
    assert.are.same({ 3, n = 1 }, ex:starmap(math.max, { { 3 } }, { chunksize = 2 }):totable())
    helper.misuse(function()
      ex:starmap(math.max, {}, { chunksize = 0 })
    end, "chunksize must be >= 1")
  end)

  it("refuses argument lists that are no tables", function()
    local ex <close> = make()
    helper.misuse(function()
      ex:starmap(math.max, { 1, 2 })
    end, "")
  end)

  it("reads a list through its metamethods", function()
    local ex <close> = make()
    local items = { "a", "b", "c" }
    local proxy = setmetatable({}, {
      __len = function() return 3 end,
      __index = function(_, i) return items[i] end,
    })
    local results = ex:map(string.lower, proxy):totable()
    assert.are.same({ 3, "a", "b", "c" }, { results.n, results[1], results[2], results[3] })
    local counted = setmetatable({ "A", "B" }, { __index = { n = 1 } })
    assert.are.same({ "a", n = 1 }, ex:map(string.lower, counted):totable())
    helper.misuse(function()
      ex:map(string.lower, setmetatable({}, { __index = { n = "x" } }))
    end, "n must be an integer >= 0")
  end)

  it("gives what is done while a later item takes long", function()
    if not kind.concurrent then
      return -- nothing runs while one waits
    end
    for _, count in ipairs { 1, 2, 40, 3000 } do
      for _, ordered in ipairs { true, false } do
        local ex <close> = make { max_workers = 1 }
        local gate <close> = helper.gate.new()
        local hold, path = helper.gate.hold, gate.path
        local seen, number = {}, 0
        -- All items but the last are tiny, so they travel together with it.
        for i, value in ex:map(function(n)
          if n > count then
            hold(path)
          end
          return n % 7 == 0 and tostring(n) or n
        end, lpool.range(1, count + 3), { ordered = ordered }) do
          assert.is_nil(seen[i])
          seen[i] = value
          number = number + 1
          if number == count then
            gate:open()
          end
        end
        assert.are.equal(count + 3, number)
        for i = 1, count + 3 do
          assert.are.equal(i % 7 == 0 and tostring(i) or i, seen[i])
        end
      end
    end
  end)

  it("withholds no result that is done when the time is up", function()
    if not kind.concurrent then
      return
    end
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local hold, path = helper.gate.hold, gate.path
    local results = ex:map(function(n)
      if n == 200 then
        hold(path)
      end
      return n
    end, lpool.range(1, 400), { timeout = 0.5 * helper.patience })
    local last
    local err = helper.raises("TimeoutError", function()
      for i in results do
        last = i
      end
    end)
    assert.are.equal(199, last)
    helper.contains("201 results were not taken", tostring(err))
    gate:open()
  end)
end
