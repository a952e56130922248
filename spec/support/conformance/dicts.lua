-- Dicts: keys and values for all states.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"
local sharing = require "spec.support.sharing"

local it = busted.it

-- What a dict holds, as a table.
local function content(dict)
  local found = {}
  for key, value in pairs(dict) do
    if found[key] ~= nil then
      error("twice: " .. tostring(key))
    end
    found[key] = value
  end
  return found
end

local function increment(old)
  return (old or 0) + 1
end

local function increment_often(dict, key, times)
  for _ = 1, times do
    dict:update(key, increment)
  end
end

local Point = { __name = "Point" }
Point.__index = Point

function Point.double(p)
  p.x = 2 * p.x
  return p
end

return function(kind)
  local make = kind.make

  sharing.tests(kind, {
    what = "a dict",
    new = lpool.dict,
    act = function(dict)
      dict:set("list", { 1, 2 })
      return dict:update("n", function(old)
        return (old or 0) + 1
      end)
    end,
    check = function(dict, result)
      assert.are.equal(1, result)
      assert.are.same({ list = { 1, 2 }, n = 1 }, content(dict))
    end,
    misused = { "get", "set", "update", "pairs" },
  })

  -- Keys and values -----------------------------------------------------------------

  it("gives what was set, and nil for what was not", function()
    local dict = lpool.dict()
    assert.is_nil(dict:get("a"))
    dict:set("a", 1)
    assert.are.equal(1, dict:get("a"))
    assert.is_nil(dict:get("b"))
    dict:set("a", "two")
    assert.are.equal("two", dict:get("a"))
  end)

  it("removes by nil", function()
    local dict = lpool.dict()
    dict:set("a", 1)
    dict:set("b", 2)
    dict:set("a", nil)
    assert.is_nil(dict:get("a"))
    assert.are.same({ b = 2 }, content(dict))
    dict:set("never there", nil)
    dict:set("b")
    assert.are.same({}, content(dict))
  end)

  it("keeps false apart from nothing", function()
    local dict = lpool.dict()
    dict:set("a", false)
    assert.is_false(dict:get("a"))
    assert.are.same({ a = false }, content(dict))
  end)

  it("has keys of the types that have no identity", function()
    local dict = lpool.dict()
    local expected = {
      [1] = "integer", [0] = "zero", [-7] = "negative", [1.5] = "float", [true] = "true",
      [false] = "false", [""] = "empty", ["1"] = "digit", ["zero\0byte"] = "bytes",
      [math.huge] = "infinite", [-math.huge] = "less", [math.maxinteger] = "greatest",
      [math.mininteger] = "least", [2.0 ^ 63] = "beyond", [5e-324] = "tiny",
      [("long"):rep(10000)] = "long",
    }
    for key, value in pairs(expected) do
      dict:set(key, value)
    end
    for key, value in pairs(expected) do
      assert.are.equal(value, dict:get(key))
    end
    local found = content(dict)
    for key, value in pairs(expected) do
      assert.are.equal(value, found[key])
    end
    assert.are.equal(helper.inventory.count(expected), helper.inventory.count(found))
  end)

  it("takes a float with an integral value for the integer, as tables do", function()
    local dict = lpool.dict()
    dict:set(1, "a")
    assert.are.equal("a", dict:get(1.0))
    dict:set(1.0, "b")
    assert.are.equal("b", dict:get(1))
    dict:set(2.0 ^ 53, "c")
    assert.are.equal("c", dict:get(1 << 53))
    assert.is_nil(dict:get((1 << 53) + 1))
    for key in pairs(dict) do
      assert.are.equal("integer", math.type(key))
    end
    dict:set(0, "zero")
    assert.are.equal("zero", dict:get(-0.0))
    dict:set(1.0, nil)
    assert.is_nil(dict:get(1))
  end)

  it("refuses nil and nan as keys, at the caller's line", function()
    local dict = lpool.dict()
    for key, text in pairs { none = "nil", nan = "nan" } do
      local wrong = key == "nan" and 0 / 0 or nil
      helper.misuse(function()
        dict:set(wrong, 1)
      end, "key")
      helper.misuse(function()
        dict:get(wrong)
      end, "key")
      helper.misuse(function()
        dict:update(wrong, increment)
      end, "key")
      local message = helper.raised(dict.set, dict, wrong, 1)
      helper.contains(text, message:lower())
    end
    assert.are.same({}, content(dict))
  end)

  it("refuses keys that have an identity, and says what they are", function()
    local dict = lpool.dict()
    local wrong = {
      table = {}, ["function"] = print, thread = coroutine.create(print), userdata = io.stdout,
    }
    for found, key in pairs(wrong) do
      local act = {
        set = function() dict:set(key, 1) end,
        get = function() dict:get(key) end,
        update = function() dict:update(key, increment) end,
      }
      for _, fn in pairs(act) do
        helper.misuse(fn, "key")
      end
      local message = helper.raised(dict.set, dict, key, 1)
      local lua_name = found == "table" or found == "function"
      helper.contains(lua_name and found or "", message)
    end
    assert.are.same({}, content(dict))
  end)

  it("copies values, in and out", function()
    local dict, t = lpool.dict(), { list = { 1 } }
    dict:set("t", t)
    t.list[1] = "changed"
    assert.are.same({ list = { 1 } }, dict:get("t"))
    dict:get("t").list[1] = "changed"
    assert.are.same({ list = { 1 } }, dict:get("t"))
    assert.is_false(rawequal(dict:get("t"), dict:get("t")))
  end)

  it("keeps values of all sorts", function()
    local dict = lpool.dict()
    for _, value in ipairs { true, 0, -1.5, math.maxinteger, math.huge, "", "zero\0byte",
      ("x"):rep(1 << 20), {}, { 1, { 2 }, a = { b = true } } } do
      dict:set("key", value)
      assert.are.same(value, dict:get("key"))
      assert.are.equal(math.type(value), math.type(dict:get("key")))
    end
    local cycle, n = { name = "cycle" }, 5
    cycle.self = cycle
    dict:set("key", cycle)
    local back = dict:get("key")
    assert.is_true(rawequal(back, back.self))
    dict:set("key", function(k)
      return n + k
    end)
    assert.are.equal(12, dict:get("key")(7))
    dict:set("key", setmetatable({ x = 1 }, Point))
    assert.is_true(rawequal(Point, getmetatable(dict:get("key"))))
  end)

  it("refuses values that cannot be sent, names them, and keeps what was there", function()
    local dict, co = lpool.dict(), coroutine.create(print)
    dict:set("key", "old")
    local err = helper.raises("SerializationError", dict.set, dict, "key", co)
    helper.contains("a coroutine", err.message)
    err = helper.raises("SerializationError", dict.set, dict, "key", { conn = { co = co } })
    helper.contains("'conn.co': a coroutine", err.message)
    helper.raises("SerializationError", dict.set, dict, "key", io.stdout)
    err = helper.raises("SerializationError", dict.update, dict, "key", function()
      return { conn = { co = co } }
    end)
    helper.contains("'conn.co': a coroutine", err.message)
    assert.are.same({ key = "old" }, content(dict))
  end)

  it("holds many keys, and lets go of them", function()
    local dict = lpool.dict()
    for round = 1, 2 do
      for i = 1, 20000 do
        dict:set(i, i * round)
        dict:set("k" .. i, i)
      end
      assert.are.equal(777 * round, dict:get(777))
      assert.are.equal(40000, helper.inventory.count(content(dict)))
      for i = 1, 20000 do
        dict:set(i, nil)
        dict:set("k" .. i, nil)
      end
      assert.are.same({}, content(dict))
    end
  end)

  it("holds values that grow and shrink", function()
    local dict = lpool.dict()
    for i = 1, 200 do
      local size = i % 7 == 0 and 300000 or i
      dict:set("key", ("x"):rep(size))
      dict:set("other", i)
      assert.are.equal(size, #dict:get("key"))
      assert.are.equal(i, dict:get("other"))
    end
  end)

  -- update ------------------------------------------------------------------------------

  it("updates: sets and returns what the function makes of the value", function()
    local dict = lpool.dict()
    dict:set("n", 20)
    assert.are.equal(21, dict:update("n", increment))
    assert.are.equal(21, dict:get("n"))
    local result = dict:update("n", function(old)
      return { was = old }
    end)
    assert.are.same({ was = 21 }, result)
    assert.are.same({ was = 21 }, dict:get("n"))
    assert.is_false(dict:update("n", function()
      return false
    end))
    assert.is_false(dict:get("n"))
  end)

  it("updates with nil for what is absent, by one value only", function()
    local dict = lpool.dict()
    local given
    dict:update("new", function(...)
      given = table.pack(...)
      return 1
    end)
    assert.are.same({ n = 1 }, given)
    assert.are.equal(1, dict:get("new"))
  end)

  it("updates to nil by removing", function()
    local dict = lpool.dict()
    dict:set("a", 1)
    assert.is_nil((dict:update("a", function()
      return nil
    end)))
    assert.is_nil(dict:get("a"))
    dict:set("a", 1)
    dict:update("a", function() end)
    assert.are.same({}, content(dict))
    dict:update("never there", function() end)
    assert.are.same({}, content(dict))
  end)

  it("updates with a copy: what is not returned is not kept", function()
    local dict = lpool.dict()
    dict:set("list", { 1 })
    dict:update("list", function(list)
      list[2] = "added"
      return { "other" }
    end)
    assert.are.same({ "other" }, dict:get("list"))
    assert.is_false(pcall(dict.update, dict, "list", function(list)
      list[1] = "changed"
      error("no")
    end))
    assert.are.same({ "other" }, dict:get("list"))
  end)

  it("lets errors of the function through unchanged, and leaves the value", function()
    local dict = lpool.dict()
    dict:set("key", "old")
    for _, value in ipairs { "text", { code = 7 }, 5, false } do
      assert.are.equal(value, helper.raised(dict.update, dict, "key", function()
        error(value, 0)
      end))
      assert.are.equal("old", dict:get("key"))
    end
    assert.is_nil(helper.raised(dict.update, dict, "key", function()
      error(nil)
    end))
    helper.raised(dict.update, dict, "absent", function()
      error("no")
    end)
    assert.are.same({ key = "old" }, content(dict))
    assert.are.equal("new", dict:update("key", function()
      return "new"
    end))
  end)

  it("refuses to update without a function, at the caller's line", function()
    local dict = lpool.dict()
    dict:set("key", 1)
    for _, wrong in ipairs { "x", 1, {}, true } do
      helper.misuse(function()
        dict:update("key", wrong)
      end, "function")
    end
    helper.misuse(function()
      dict:update("key")
    end, "function")
    assert.are.equal(1, dict:get("key"))
  end)

  it("lets other keys be used inside of an update", function()
    local dict = lpool.dict()
    for i = 1, 200 do
      dict:set(i, i)
    end
    dict:update("sum", function()
      local sum = 0
      for i = 1, 200 do
        sum = sum + dict:update(i, increment)
        dict:set("copy" .. i, dict:get(i))
      end
      dict:set(1, nil)
      return sum
    end)
    assert.are.equal(200 * 201 // 2 + 200, dict:get("sum"))
    assert.are.equal(201, dict:get("copy200"))
    assert.is_nil(dict:get(1))
  end)

  it("lets all of it be read inside of an update", function()
    local dict = lpool.dict()
    dict:set("a", 1)
    dict:set("b", 2)
    dict:update("a", function(old)
      assert.are.equal(1, old)
      assert.are.equal(1, dict:get("a"))
      assert.are.same({ a = 1, b = 2 }, content(dict))
      return 5
    end)
    assert.are.same({ a = 5, b = 2 }, content(dict))
  end)

  it("updates other dicts inside of an update, many deep", function()
    local dicts = {}
    for i = 1, 50 do
      dicts[i] = lpool.dict()
    end
    local function go(i)
      return i > 50 and 0 or dicts[i]:update("key", function()
        return go(i + 1) + 1
      end)
    end
    assert.are.equal(50, go(1))
    for i = 1, 50 do
      assert.are.equal(51 - i, dicts[i]:get("key"))
    end
  end)

  it("refuses to change a key inside of its own update, which could not end", function()
    local dict = lpool.dict()
    for _, act in ipairs {
      function()
        dict:update("key", increment)
      end,
      function()
        dict:set("key", 5)
      end,
    } do
      dict:set("key", 1)
      local calls = 0
      local err = helper.raised(dict.update, dict, "key", function(old)
        calls = calls + 1
        if calls == 1000 then
          error("called without end", 0)
        end
        act()
        return old
      end)
      assert.are_not.equal("called without end", err)
      dict:set("key", 1)
      assert.are.equal(2, dict:update("key", increment))
    end
  end)

  it("calls the function again with what somebody else made of the key", function()
    local dict = lpool.dict()
    local ex <close> = make { max_workers = 1 }
    dict:set("key", 1)
    local seen = {}
    local new = dict:update("key", function(old)
      seen[#seen + 1] = old
      if #seen == 1 then
        ex:submit(function()
          dict:set("key", 5)
        end):result()
      end
      return old + 1
    end)
    assert.are.equal(6, new)
    assert.are.same({ 1, 5 }, seen)
    assert.are.equal(6, dict:get("key"))
  end)

  -- pairs -------------------------------------------------------------------------------

  it("walks over nothing", function()
    assert.are.same({}, content(lpool.dict()))
    for _ in lpool.dict():pairs() do
      error("there was something")
    end
  end)

  it("walks by its method as by Lua's function", function()
    local dict = lpool.dict()
    local expected = {}
    for i = 1, 100 do
      dict:set(i, { i })
      dict:set("k" .. i, i)
      expected[i], expected["k" .. i] = { i }, i
    end
    assert.are.same(expected, content(dict))
    local found = {}
    for key, value in dict:pairs() do
      found[key] = value
    end
    assert.are.same(expected, found)
  end)

  it("walks over what was there when the walk began", function()
    local dict = lpool.dict()
    local expected, found = {}, {}
    for i = 1, 100 do
      dict:set(i, i)
      expected[i] = i
    end
    for key, value in pairs(dict) do
      assert.is_nil(found[key])
      found[key] = value
      for i = 1, 100 do
        dict:set(i, i % 2 == 0 and "changed" or nil)
      end
      for i = 1, 50 do
        dict:set("new" .. key .. " " .. i, i)
      end
    end
    assert.are.same(expected, found)
    assert.are.equal(50 + 5000, helper.inventory.count(content(dict)))
  end)

  it("walks in the middle of another walk, and may be left", function()
    local dict = lpool.dict()
    for i = 1, 20 do
      dict:set(i, i)
    end
    local n = 0
    for _ in pairs(dict) do
      for _ in pairs(dict) do
        n = n + 1
        if n % 20 == 10 then
          collectgarbage()
        end
      end
      for key in dict:pairs() do
        if key > 0 then
          break
        end
      end
    end
    assert.are.equal(400, n)
  end)

  it("walks over copies", function()
    local dict = lpool.dict()
    dict:set("t", { 1 })
    for _, value in pairs(dict) do
      value[1] = "changed"
    end
    assert.are.same({ t = { 1 } }, content(dict))
  end)

  it("walks on after it was dropped", function()
    local n = 0
    local function filled()
      local dict = lpool.dict()
      for i = 1, 50 do
        dict:set(i, { i })
      end
      return dict
    end
    for key, value in filled():pairs() do
      collectgarbage()
      assert.are.equal(key, value[1])
      n = n + 1
    end
    assert.are.equal(50, n)
  end)

  -- Between states ----------------------------------------------------------------------

  it("brings keys and values to a task and back", function()
    local ex <close> = make { max_workers = 1 }
    local dict, n = lpool.dict(), 40
    dict:set("there", { 1, { "two" } })
    dict:set("function", function(k)
      return n + k
    end)
    dict:set(2.5, ("x"):rep(1 << 20))
    assert.are.same({ "two", 42, 1 << 20 }, { ex:submit(function()
      local second = dict:get("there")[2][1]
      dict:set("there", nil)
      dict:set("back", { false, { x = second } })
      dict:set(1.0, "one")
      return second, dict:get("function")(2), #dict:get(2.5)
    end):result() })
    assert.is_nil(dict:get("there"))
    assert.are.same({ false, { x = "two" } }, dict:get("back"))
    assert.are.equal("one", dict:get(1))
  end)

  it("brings objects to a task, and back to their class", function()
    local ex <close> = make { max_workers = 1 }
    local dict = lpool.dict()
    dict:set("p", setmetatable({ x = 1 }, Point))
    for _ = 1, 3 do
      ex:submit(function()
        dict:update("p", function(p)
          return p:double()
        end)
      end):result()
    end
    assert.are.equal(8, dict:get("p").x)
    assert.is_true(rawequal(Point, getmetatable(dict:get("p"))))
  end)

  it("loses nothing of what many tasks update", function()
    local ex <close> = make { max_workers = 4 }
    local dict, futures = lpool.dict(), {}
    for i = 1, 4 do
      futures[i] = ex:submit(increment_often, dict, "n", 500)
    end
    increment_often(dict, "n", 500)
    for i = 1, 4 do
      futures[i]:result(20)
    end
    assert.are.same({ n = 2500 }, content(dict))
  end)

  it("loses nothing of what a map updates, of many keys", function()
    local ex <close> = make { max_workers = 4 }
    local dict = lpool.dict()
    ex:map(function(i)
      increment_often(dict, "k" .. i % 10, 1)
      dict:update("list" .. i % 3, function(list)
        list = list or {}
        list[#list + 1] = i
        return list
      end)
    end, lpool.range(1, 300)):totable()
    local seen = {}
    for k = 0, 9 do
      assert.are.equal(30, dict:get("k" .. k))
    end
    for k = 0, 2 do
      for _, i in ipairs(dict:get("list" .. k)) do
        assert.are.equal(k, i % 3)
        assert.is_nil(seen[i])
        seen[i] = true
      end
    end
    assert.are.equal(300, #seen)
  end)

  it("keeps what tasks set under keys of their own", function()
    local ex <close> = make { max_workers = 4 }
    local dict, futures = lpool.dict(), {}
    for k = 1, 4 do
      futures[k] = ex:submit(function()
        for i = 1, 300 do
          dict:set(k .. ":" .. i, { k, i })
          if i % 3 == 0 then
            dict:set(k .. ":" .. i - 1, nil)
          end
        end
      end)
    end
    for k = 1, 4 do
      futures[k]:result(20)
    end
    local found = content(dict)
    assert.are.equal(800, helper.inventory.count(found))
    for k = 1, 4 do
      for i = 1, 300 do
        assert.are.same(i % 3 ~= 2 and { k, i } or nil, found[k .. ":" .. i])
      end
    end
  end)

  it("lets errors of an update in a task through to its future", function()
    local ex <close> = make { max_workers = 1 }
    local dict = lpool.dict()
    dict:set("key", "old")
    local f = ex:submit(function()
      dict:update("key", function()
        error({ code = 7 })
      end)
    end)
    assert.are.same({ code = 7 }, helper.raised(f.result, f))
    assert.are.equal("old", dict:get("key"))
    dict:set("key", "new")
    assert.are.equal("new", dict:get("key"))
  end)

  it("lets a task be stopped inside of an update, which then has not been", function()
    local ex <close> = make { max_workers = 1 }
    local dict = lpool.dict()
    dict:set("key", "old")
    local f = ex:with({ timeout = 0.05 }):submit(function()
      dict:update("key", function()
        while true do
          local _ = {}
        end
      end)
    end)
    helper.raises("TimeoutError", f.result, f, 20)
    assert.are.equal("old", dict:get("key"))
    assert.are.equal("old!", dict:update("key", function(old)
      return old .. "!"
    end))
  end)

  if not kind.concurrent then
    return
  end

  it("walks over whole values while tasks change them", function()
    local ex <close> = make { max_workers = 2 }
    local dict, stop = lpool.dict(), lpool.counter()
    local futures = {}
    for k = 1, 2 do
      futures[k] = ex:submit(function()
        local i = 0
        repeat
          i = i + 1
          -- Grows and shrinks, and says everywhere what it is.
          local value = {}
          for n = 1, i % 50 + 1 do
            value[n] = i
          end
          dict:set(k, value)
          dict:set("extra" .. i % 20, i % 3 > 0 and value or nil)
        until stop:get() > 0
        return i
      end)
    end
    for _ = 1, 200 do
      for _, value in pairs(dict) do
        assert.are.equal(value[1] % 50 + 1, #value)
        assert.are.equal(value[1], value[#value])
      end
    end
    stop:add()
    futures[1]:result(20)
    futures[2]:result(20)
  end)

  -- Calls body while a task is inside of an update of "key", which makes of
  -- "old" "made by the task" once the gate is open.
  local function within_update(body)
    local ex <close> = make { max_workers = 3 }
    local gate <close> = helper.gate.new()
    local dict, path = lpool.dict(), gate.path
    dict:set("key", "old")
    local f = ex:submit(function()
      return dict:update("key", function()
        require("spec.support.gate").hold(path)
        return "made by the task"
      end)
    end)
    gate:await(1)
    body(dict, gate, ex, f)
  end

  it("lets others use other keys while one is updated", function()
    within_update(function(dict, gate, ex, f)
      dict:set("other", 1)
      assert.are.equal(2, dict:update("other", increment))
      for i = 1, 200 do
        dict:set(i, i)
        assert.are.equal(i + 1, (ex:submit(function()
          return (dict:update(i, increment))
        end):result(20)))
      end
      assert.is_false(f:done())
      gate:open()
      assert.are.equal("made by the task", f:result(20))
      assert.are.equal("made by the task", dict:get("key"))
    end)
  end)

  it("lets others read a key while it is updated: it has its old value", function()
    within_update(function(dict, gate, _, f)
      assert.are.equal("old", dict:get("key"))
      assert.are.same({ key = "old" }, content(dict))
      gate:open()
      f:result(20)
      assert.are.equal("made by the task", dict:get("key"))
    end)
  end)

  it("puts updates and sets of a key that meet in some order, and loses none", function()
    within_update(function(dict, gate, ex, f)
      local update = ex:submit(function()
        return dict:update("key", function(old)
          return old .. "+"
        end)
      end)
      local arrivals = lpool.counter()
      local set = ex:submit(function()
        arrivals:add()
        dict:set("key", "set")
      end)
      helper.eventually(function()
        return arrivals:get() == 1
      end, "the task had begun")
      gate:open()
      assert.are.equal("made by the task", f:result(20))
      local seen = update:result(20)
      set:result(20)
      -- What the second update saw, and what may be left, in each order of the three.
      local orders = {
        ["old+"] = { ["set"] = true, ["made by the task"] = true },
        ["set+"] = { ["set+"] = true, ["made by the task"] = true },
        ["made by the task+"] = { ["set"] = true, ["made by the task+"] = true },
      }
      local left = dict:get("key")
      assert.is_true(orders[seen] and orders[seen][left], seen .. ", then " .. tostring(left))
    end)
  end)

  if not kind.interrupts then
    return
  end

  it("lets a task be interrupted inside of an update, and others go on", function()
    within_update(function(dict, gate, ex, f)
      local waiting = ex:submit(function()
        return dict:update("key", function(old)
          return old .. "!"
        end)
      end)
      f:interrupt()
      helper.raises("CancelledError", f.result, f, 20)
      assert.are.equal("old!", waiting:result(20))
      assert.are.equal("old!", dict:get("key"))
      gate:open()
    end)
  end)
end
