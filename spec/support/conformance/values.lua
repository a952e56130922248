-- What crosses: plain values and tables, exactly.
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

  local function there_and_back(...)
    local ex <close> = make { max_workers = 1 }
    return ex:submit(echo, ...):result()
  end

  it("keeps integers exact, to the limits", function()
    for _, n in ipairs { 0, 1, -1, 127, 128, -128, -129, 255, 256, 65535, 1 << 31, 1 << 32,
      (1 << 53) + 1, math.maxinteger, math.mininteger } do
      local back = there_and_back(n)
      assert.are.equal("integer", math.type(back))
      assert.are.equal(n, back)
    end
  end)

  it("keeps floats floats, exactly", function()
    for _, x in ipairs { 0.0, 1.0, -1.5, 0.1, 1e308, 5e-324, 2.0 ^ 53, math.pi, 3.0 } do
      local back = there_and_back(x)
      assert.are.equal("float", math.type(back))
      assert.are.equal(x, back)
    end
  end)

  it("keeps the sign of zero", function()
    assert.are.equal(-math.huge, 1 / there_and_back(-0.0))
    assert.are.equal(math.huge, 1 / there_and_back(0.0))
  end)

  it("keeps infinities and nan", function()
    assert.are.equal(math.huge, there_and_back(math.huge))
    assert.are.equal(-math.huge, there_and_back(-math.huge))
    local nan = there_and_back(0 / 0)
    assert.is_true(nan ~= nan)
  end)

  it("keeps booleans and nil", function()
    assert.are.same({ true, false, nil, n = 3 }, table.pack(there_and_back(true, false, nil)))
  end)

  it("keeps strings of every byte", function()
    local bytes = {}
    for byte = 0, 255 do
      bytes[#bytes + 1] = string.char(byte)
    end
    local all = table.concat(bytes)
    assert.is_true(all == there_and_back(all))
  end)

  it("keeps strings of every length around the borders", function()
    for _, n in ipairs { 0, 1, 39, 40, 41, 127, 128, 255, 256, 257, 65535, 65536, 1 << 20 } do
      local text = ("x"):rep(n)
      assert.is_true(text == there_and_back(text))
    end
  end)

  it("keeps long strings that are collected while tasks still read them", function()
    local ex <close> = make { max_workers = 2 }
    local size = 1 << 20
    local function check(text, letter, times)
      return #text == times and text:sub(1, 1) == letter and text:sub(-1) == letter
        and not text:find("[^" .. letter .. "]")
    end
    local futures = {}
    local function submit(round)
      local letter = string.char(96 + round)
      local text = letter:rep(size + round)
      if round % 4 == 0 then -- captured
        futures[round] = ex:submit(function()
          return check(text, letter, size + round)
        end)
      elseif round % 4 == 1 then -- twice, and inside of tables
        futures[round] = ex:submit(function(list, n)
          return rawequal(list[1].text, list.again) and check(list.again, letter, n)
        end, { { text = text }, again = text }, size + round)
      else
        futures[round] = ex:submit(check, text, letter, size + round)
      end
    end
    for round = 1, 24 do
      submit(round)
      collectgarbage()
    end
    for round = 24, 1, -1 do
      assert.is_true(futures[round]:result(20))
    end
    local function submit_all()
      local texts = {}
      for i = 1, 6 do
        texts[i] = string.char(96 + i):rep(size)
      end
      return ex:map(function(text)
        return check(text, text:sub(1, 1), 1 << 20) and text:sub(1, 1)
      end, texts)
    end
    local results = submit_all()
    collectgarbage()
    assert.are.same({ "a", "b", "c", "d", "e", "f", n = 6 }, results:totable())
    -- Those that nobody comes to read.
    local slow = ex:submit(lpool.sleep, 0.02)
    for _ = 1, 8 do
      ex:submit(check, ("x"):rep(size), "x", size):cancel()
    end
    collectgarbage()
    slow:result(20)
  end)

  it("keeps a string of 16 MiB", function()
    local text = ("0123456789abcdef"):rep(1 << 20)
    assert.is_true(text == there_and_back(text))
  end)

  it("keeps nested tables", function()
    local value = { 1, { 2, { 3 } }, a = { b = { c = "d" } } }
    assert.are.same(value, (there_and_back(value)))
  end)

  it("keeps holes in lists", function()
    local back = there_and_back { 1, nil, 3, nil, nil, 6 }
    assert.are.same({ [1] = 1, [3] = 3, [6] = 6 }, back)
  end)

  it("keeps keys of every type", function()
    local key = { "key" }
    local back = there_and_back({
      [1] = "integer", [-7] = "negative", [1.5] = "float", [true] = "true", [false] = "false",
      [""] = "empty", [math.huge] = "infinite", [math.mininteger] = "least", [key] = "table",
    }, key)
    assert.are.equal("integer", back[1])
    assert.are.equal("negative", back[-7])
    assert.are.equal("float", back[1.5])
    assert.are.equal("true", back[true])
    assert.are.equal("false", back[false])
    assert.are.equal("empty", back[""])
    assert.are.equal("infinite", back[math.huge])
    assert.are.equal("least", back[math.mininteger])
  end)

  it("keeps the identity of tables that are keys", function()
    local key = { "key" }
    local back, key_back = there_and_back({ [key] = "found" }, key)
    assert.are.equal("found", back[key_back])
  end)

  it("keeps functions as keys", function()
    local back = there_and_back { [echo] = 1 }
    local key = next(back)
    assert.are.equal("function", type(key))
    assert.are.equal(5, key(5))
  end)

  it("keeps values of every number of fields", function()
    for _, n in ipairs { 0, 1, 2, 15, 16, 17, 255, 256, 70000 } do
      local list, map = {}, {}
      for i = 1, n do
        list[i] = i
        map["k" .. i] = i
      end
      list, map = there_and_back(list, map)
      assert.are.equal(n, #list)
      assert.are.equal(n, helper.inventory.count(map))
      assert.are.equal(n > 0 and n or nil, list[n])
      assert.are.equal(n > 0 and n or nil, map["k" .. n])
    end
  end)

  it("keeps many records of one shape apart from those of another", function()
    local records = {}
    for i = 1, 1000 do
      if i % 3 == 0 then
        records[i] = { id = i, score = i / 2 }
      else
        records[i] = { id = i, name = "n" .. i, score = i / 2 }
      end
    end
    for i, record in ipairs((there_and_back(records))) do
      assert.are.equal(i, record.id)
      assert.are.equal(i / 2, record.score)
      assert.are.equal(i % 3 ~= 0 and "n" .. i or nil, record.name)
    end
  end)

  it("keeps a table that contains itself", function()
    local value = { name = "self" }
    value.self = value
    value[value] = value
    local back = there_and_back(value)
    assert.are.equal("self", back.name)
    assert.is_true(rawequal(back, back.self))
    assert.is_true(rawequal(back, back[back]))
  end)

  it("keeps cycles through many tables", function()
    local first = {}
    local last = first
    for i = 1, 1000 do
      last.next = { i = i }
      last = last.next
    end
    last.next = first
    local back = there_and_back(first)
    local node, steps = back.next, 1
    while node ~= back do
      node, steps = node.next, steps + 1
    end
    assert.are.equal(1001, steps)
  end)

  it("keeps shared parts shared within one message", function()
    local part = {}
    local a, b, c = there_and_back({ part, part }, part, { inner = part })
    assert.is_true(rawequal(a[1], a[2]))
    assert.is_true(rawequal(a[1], b))
    assert.is_true(rawequal(b, c.inner))
  end)

  it("keeps the same argument given twice the same in the task", function()
    local ex <close> = make()
    local t = {}
    assert.is_true(ex:submit(rawequal, t, t):result())
    assert.is_false(ex:submit(rawequal, t, {}):result())
  end)

  it("copies: what comes back is another table", function()
    local t = { 1 }
    assert.is_false(rawequal(t, (there_and_back(t))))
  end)

  it("keeps n, which is a field like others", function()
    assert.are.same(table.pack(nil, nil, 1, nil), (there_and_back(table.pack(nil, nil, 1, nil))))
  end)

  -- A list of so many nested tables, and how deep one is.
  local function nested(depth)
    local value = {}
    for _ = 2, depth do
      value = { value }
    end
    return value
  end

  local function depth_of(value)
    local depth = 0
    while value do
      value, depth = value[1], depth + 1
    end
    return depth
  end

  it("takes a million levels there", function()
    local ex <close> = make()
    assert.are.equal(1000000, ex:submit(depth_of, nested(1000000)):result())
  end)

  it("takes a million levels back", function()
    local ex <close> = make()
    assert.are.equal(1000000, depth_of(ex:submit(nested, 1000000):result()))
  end)

  it("takes a million nested tables by string keys", function()
    local ex <close> = make()
    local list
    for _ = 1, 1000000 do
      list = { tail = list }
    end
    assert.are.equal(1000000, ex:submit(function(node)
      local n = 0
      while node do
        node, n = node.tail, n + 1
      end
      return n
    end, list):result())
  end)

  it("takes a table of a hundred thousand entries quickly", function()
    local value = {}
    for i = 1, 100000 do
      value[i] = { id = i, name = "name " .. i }
    end
    local start = lpool.now()
    local back = there_and_back(value)
    assert.are.equal("name 99999", back[99999].name)
    assert.is_true(lpool.now() - start < 5 * helper.patience)
  end)

  it("says the name and subtype of numbers in the worker too", function()
    local ex <close> = make()
    assert.are.equal("integer", ex:submit(math.type, 3):result())
    assert.are.equal("float", ex:submit(math.type, 3.0):result())
    assert.are.equal("3.0", ex:submit(tostring, 3.0):result())
  end)
end
