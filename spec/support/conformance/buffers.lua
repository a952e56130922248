-- Buffers: numbers in memory that all states see.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"
local sharing = require "spec.support.sharing"

local it = busted.it

-- Of each type: how string.pack calls it, what it can hold, and what it cannot.
local types = {
  u8 = { pack = "B", values = { 0, 1, 127, 128, 255, 7.0 }, wrong = { 256, -1, 1.5, 1 << 40 } },
  i32 = {
    pack = "=i4",
    values = { 0, 1, -1, 2147483647, -2147483648, -7.0 },
    wrong = { 1 << 31, -(1 << 31) - 1, 0.5, math.maxinteger },
  },
  i64 = {
    pack = "=i8",
    values = { 0, -1, math.maxinteger, math.mininteger, (1 << 53) + 1, 2.0 ^ 62 },
    wrong = { 2.0 ^ 63, -2.0 ^ 64, 0.5, 1e300 },
  },
  f32 = { pack = "=f", values = { 0, 1, -1.5, 0.25, 16777216, math.huge, -math.huge }, wrong = {} },
  f64 = {
    pack = "=d",
    values = { 0, 1, -1.5, 0.1, 1e308, 5e-324, 2.0 ^ 53, math.huge, -math.huge, math.pi },
    wrong = {},
  },
}

local function sum_of(buffer)
  local sum = 0
  for i = 1, #buffer do
    sum = sum + buffer[i]
  end
  return sum
end

return function(kind)
  local make = kind.make

  sharing.tests(kind, {
    what = "a buffer",
    new = function()
      return lpool.buffer("i32", 10)
    end,
    act = function(buffer)
      buffer[3] = buffer[3] + 42
      return #buffer
    end,
    check = function(buffer, length)
      assert.are.equal(10, length)
      assert.are.equal(42, buffer[3])
      assert.are.equal(42, sum_of(buffer))
    end,
    misused = { "get", "set", "fill", "string" },
  })

  for name, number in pairs(types) do
    local whole = name:find("^[ui]") ~= nil
    local subtype = whole and "integer" or "float"

    it(("of %s begins with zeros"):format(name), function()
      for _, n in ipairs { 1, 2, 1000 } do
        local buffer = lpool.buffer(name, n)
        assert.are.equal(n, #buffer)
        for i = 1, n do
          assert.are.equal(0, buffer[i])
          assert.are.equal(subtype, math.type(buffer[i]))
        end
      end
    end)

    it(("of %s holds its values, by index and by methods"):format(name), function()
      local buffer = lpool.buffer(name, 20)
      for k, value in ipairs(number.values) do
        buffer[k] = value
        buffer:set(20, value)
        for _, back in ipairs { buffer[k], buffer:get(k), buffer[20], buffer:get(20) } do
          assert.are.equal(value, back)
          assert.are.equal(subtype, math.type(back))
        end
      end
      for k, value in ipairs(number.values) do
        assert.are.equal(value, buffer[k])
      end
    end)

    it(("of %s is filled with one value"):format(name), function()
      local buffer = lpool.buffer(name, 100)
      for _, value in ipairs(number.values) do
        buffer:fill(value)
        for i = 1, 100 do
          assert.are.equal(value, buffer[i])
        end
      end
    end)

    it(("of %s refuses what it cannot hold, at the caller's line"):format(name), function()
      local buffer = lpool.buffer(name, 3)
      buffer:fill(1)
      local wrong = { "x", "", "1x", {}, true, print }
      table.move(number.wrong, 1, #number.wrong, #wrong + 1, wrong)
      if whole then
        table.move({ 0 / 0, math.huge, -math.huge }, 1, 3, #wrong + 1, wrong)
      end
      for _, value in ipairs(wrong) do
        helper.misuse(function()
          buffer[2] = value
        end, "")
        helper.misuse(function()
          buffer:set(2, value)
        end, "")
        helper.misuse(function()
          buffer:fill(value)
        end, "")
      end
      helper.misuse(function()
        buffer[2] = nil
      end, "")
      helper.misuse(function()
        buffer:set(2)
      end, "")
      helper.misuse(function()
        buffer:fill()
      end, "")
      for i = 1, 3 do
        assert.are.equal(1, buffer[i])
      end
    end)

    it(("of %s gives the bytes of a part as a string"):format(name), function()
      local buffer, bytes = lpool.buffer(name, #number.values), {}
      for k, value in ipairs(number.values) do
        buffer[k] = value
        bytes[k] = number.pack:pack(value)
      end
      local n = #number.values
      for _, part in ipairs { { 1, n }, { 1, 1 }, { 2, 3 }, { n, n }, { 2, n } } do
        assert.are.equal(table.concat(bytes, "", part[1], part[2]),
          buffer:string(part[1], part[2]))
      end
    end)

    it(("of %s is seen by tasks, and their writing by the script"):format(name), function()
      local ex <close> = make { max_workers = 1 }
      local buffer = lpool.buffer(name, 1000)
      local values = number.values
      for i = 1, 500 do
        buffer[i] = values[i % #values + 1]
      end
      ex:submit(function()
        for i = 1, 500 do
          buffer[i + 500] = buffer[501 - i]
        end
      end):result()
      for i = 1, 500 do
        assert.are.equal(values[i % #values + 1], buffer[i])
        assert.are.equal(buffer[501 - i], buffer[i + 500])
      end
    end)
  end

  it("keeps nan and the sign of zero in floats", function()
    for _, name in ipairs { "f32", "f64" } do
      local buffer = lpool.buffer(name, 2)
      buffer[1], buffer[2] = 0 / 0, -0.0
      assert.is_true(buffer[1] ~= buffer[1])
      assert.are.equal(-math.huge, 1 / buffer[2])
    end
  end)

  it("rounds as f32 does, and not in f64", function()
    local short, long = lpool.buffer("f32", 1), lpool.buffer("f64", 1)
    for _, x in ipairs { 0.1, math.pi, -1 / 3, 16777217 } do
      short[1], long[1] = x, x
      assert.are.equal(("=f"):unpack(("=f"):pack(x)), short[1])
      assert.are.equal(x, long[1])
    end
  end)

  it("gives characters for the bytes of u8", function()
    local buffer = lpool.buffer("u8", 7)
    for i, byte in ipairs { ("a\0lpool"):byte(1, -1) } do
      buffer[i] = byte
    end
    assert.are.equal("a\0lpool", buffer:string(1, 7))
    assert.are.equal("lp", buffer:string(3, 4))
  end)

  it("writes to one place and to no other", function()
    for name in pairs(types) do
      local buffer = lpool.buffer(name, 50)
      for i = 1, 50 do
        buffer:fill(0)
        buffer[i] = 1
        assert.are.equal(1, sum_of(buffer))
        assert.are.equal(1, buffer[i])
      end
    end
  end)

  it("takes a float with an integral value for an index", function()
    local buffer = lpool.buffer("i64", 3)
    buffer[2.0] = 5
    buffer:set(3.0, 6)
    assert.are.equal(5, buffer[2])
    assert.are.equal(6, buffer[3.0])
    assert.are.equal(6, buffer:get(3.0))
  end)

  it("refuses an index out of range, at the caller's line", function()
    for name in pairs(types) do
      local buffer = lpool.buffer(name, 3)
      for _, wrong in ipairs { 0, 4, -1, 1.5, 1 << 62, math.mininteger, math.huge, 0 / 0 } do
        helper.misuse(function()
          local _ = buffer[wrong]
        end, "")
        helper.misuse(function()
          buffer[wrong] = 1
        end, "")
        helper.misuse(function()
          buffer:get(wrong)
        end, "")
        helper.misuse(function()
          buffer:set(wrong, 1)
        end, "")
      end
      -- An empty part is none that is out of range; so no more is asked of its ends.
      for _, wrong in ipairs { { 0, 3 }, { -1, 3 }, { 1.5, 3 }, { 1, 4 }, { 1, 2.5 }, { 4, 5 },
        { 1, 1 << 62 }, { math.mininteger, 1 }, { 1, math.huge }, { 0 / 0, 3 } } do
        helper.misuse(function()
          buffer:string(wrong[1], wrong[2])
        end, "")
      end
      assert.are.equal(0, sum_of(buffer))
    end
  end)

  it("says of an index out of range what there is", function()
    local buffer = lpool.buffer("u8", 300)
    local message = helper.raised(buffer.get, buffer, 301)
    helper.contains("301", message)
    helper.contains("300", message)
  end)

  it("refuses an index that is no number, at the caller's line", function()
    local buffer = lpool.buffer("u8", 3)
    for _, wrong in ipairs { "x", {}, true, print } do
      helper.misuse(function()
        buffer[wrong] = 1
      end, "")
      helper.misuse(function()
        buffer:get(wrong)
      end, "")
      helper.misuse(function()
        buffer:set(wrong, 1)
      end, "")
      helper.misuse(function()
        buffer:string(wrong, 3)
      end, "")
    end
    helper.misuse(function()
      buffer:get()
    end, "")
    helper.misuse(function()
      buffer:set(nil, 1)
    end, "")
    assert.are.equal(0, sum_of(buffer))
  end)

  it("keeps its methods, whatever is written", function()
    local buffer = lpool.buffer("u8", 3)
    helper.misuse(function()
      buffer.get = 1
    end, "")
    assert.are.equal(0, buffer:get(1))
  end)

  it("refuses a type that is none, and says which there are", function()
    for _, wrong in ipairs { "u16", "double", "", "U8", "u8 ", 8, {}, true } do
      helper.misuse(function()
        lpool.buffer(wrong, 10)
      end, "")
    end
    helper.misuse(function()
      lpool.buffer(nil, 10)
    end, "")
    helper.misuse(function()
      lpool.buffer()
    end, "")
    local message = helper.raised(lpool.buffer, "u16", 10)
    helper.contains("u16", message)
    for name in pairs(types) do
      helper.contains(name, message)
    end
  end)

  it("refuses a number of elements that is none, at the caller's line", function()
    for _, wrong in ipairs { -1, 1.5, "x", {}, true, 0 / 0, math.huge, math.mininteger } do
      helper.misuse(function()
        lpool.buffer("u8", wrong)
      end, "")
    end
    helper.misuse(function()
      lpool.buffer("u8")
    end, "")
  end)

  it("raises when there is not so much memory, and goes on", function()
    for _, n in ipairs { math.maxinteger, 1 << 61, 1 << 60, (1 << 60) + 1, 1 << 55 } do
      for _, name in ipairs { "u8", "f64" } do
        helper.raised(lpool.buffer, name, n)
      end
    end
    assert.are.equal(2, #lpool.buffer("u8", 2))
  end)

  it("refuses in a task what it refuses here", function()
    local ex <close> = make { max_workers = 1 }
    local buffer = lpool.buffer("u8", 3)
    for _, fn in ipairs {
      function()
        buffer[4] = 1
      end,
      function()
        buffer[1] = 256
      end,
      function()
        return buffer[0]
      end,
    } do
      local err = ex:submit(fn):exception()
      assert.are.equal("string", type(err))
      helper.contains("buffers.lua:", err)
    end
    assert.are.equal(0, sum_of(buffer))
  end)

  it("is apart from other buffers", function()
    local ex <close> = make { max_workers = 1 }
    local list = {}
    for i = 1, 200 do
      list[i] = lpool.buffer("i32", 10)
      list[i]:fill(i)
    end
    ex:submit(function(buffers)
      for i, buffer in ipairs(buffers) do
        for k = 1, 10 do
          buffer[k] = buffer[k] + i * k
        end
      end
    end, list):result()
    for i = 1, 200 do
      assert.are.equal(i * 10 + i * 55, sum_of(list[i]))
    end
  end)

  it("brings what is written to and fro, as tasks take turns", function()
    local ex <close> = make { max_workers = 2 }
    local buffer = lpool.buffer("f64", 100)
    for round = 1, 50 do
      buffer:fill(round)
      assert.are.equal(round * 100.0, (ex:submit(sum_of, buffer):result()))
      ex:submit(function(n)
        for i = 1, 100 do
          buffer[i] = buffer[i] + n * i
        end
      end, round):result()
      assert.are.equal(round * 100.0 + round * 5050.0, sum_of(buffer))
    end
  end)

  it("of eight megabytes is filled in parts by eight tasks", function()
    local ex <close> = make { max_workers = 4 }
    local buffer, futures, part = lpool.buffer("f64", 1000000), {}, 125000
    for k = 1, 8 do
      futures[k] = ex:submit(function(given)
        for i = (k - 1) * part + 1, k * part do
          given[i] = i * 0.5
        end
        return #given
      end, buffer)
    end
    for k = 1, 8 do
      assert.are.equal(1000000, futures[k]:result(25))
    end
    local wrong = 0
    for i = 1, 1000000 do
      wrong = buffer[i] == i * 0.5 and wrong or wrong + 1
    end
    assert.are.equal(0, wrong)
  end)

  it("of 64 MB is sent as quickly as a small one: it is not copied", function()
    local ex <close> = make { max_workers = 1 }
    local buffer = lpool.buffer("f64", 8000000)
    local start = lpool.now()
    for i = 1, 1000 do
      assert.are.equal(i - 1.0, (ex:submit(function(n)
        local old = buffer[n]
        buffer[n + 1] = old + 1
        return old
      end, i):result()))
    end
    -- Copied, it would be 64 GB.
    assert.is_true(lpool.now() - start < 5 * helper.patience)
    assert.are.equal(1000.0, buffer[1001])
  end)

  it("takes no part in the memory_limit of a worker, whose memory it is not", function()
    local ex <close> = make { max_workers = 1, memory_limit = 1 << 20 }
    local buffer = lpool.buffer("u8", 32 << 20)
    assert.are.equal(7, (ex:submit(function()
      buffer[#buffer] = 7
      return buffer[#buffer]
    end):result()))
    assert.are.equal(7, buffer[32 << 20])
  end)

  if kind.concurrent then
    it("may be written in parts by tasks and the script at the same time", function()
      local ex <close> = make { max_workers = 3 }
      for name in pairs(types) do
        local buffer, futures = lpool.buffer(name, 4000), {}
        -- Neighbours belong to different writers, and none writes over another's.
        local function write(own)
          for _ = 1, 5 do
            for i = own, 4000, 4 do
              buffer[i] = buffer[i] + own
            end
          end
        end
        for own = 1, 3 do
          futures[own] = ex:submit(write, own)
        end
        write(4)
        for own = 1, 3 do
          futures[own]:result(20)
        end
        for i = 1, 4000 do
          assert.are.equal(5 * ((i - 1) % 4 + 1), buffer[i])
        end
      end
    end)

    it("shows what was written before a message was sent to whoever received it", function()
      local ex <close> = make { max_workers = 1 }
      local buffer, there, back = lpool.buffer("i64", 100), lpool.channel(), lpool.channel()
      local f = ex:submit(function()
        for i in there do
          back:send(buffer[i % 100 + 1])
        end
      end)
      for i = 1, 500 do
        buffer[i % 100 + 1] = i * i
        there:send(i)
        assert.are.equal(i * i, back:receive(20))
      end
      there:close()
      f:result(20)
    end)
  end
end
