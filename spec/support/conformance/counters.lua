-- Counters: one integer for all states.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"
local sharing = require "spec.support.sharing"

local it = busted.it

local function add_often(counter, times, k)
  for _ = 1, times do
    counter:add(k)
  end
end

return function(kind)
  local make = kind.make

  sharing.tests(kind, {
    what = "a counter",
    new = lpool.counter,
    act = function(counter)
      return counter:add(7)
    end,
    check = function(counter, result)
      assert.are.equal(7, result)
      assert.are.equal(7, counter:get())
    end,
    misused = { "add", "get", "set", "compare_and_swap" },
  })

  -- Fails unless it is this very integer.
  local function check(expected, found)
    assert.are.equal("integer", math.type(found))
    assert.are.equal(expected, found)
  end

  it("begins at zero, or where it was told", function()
    check(0, lpool.counter():get())
    check(0, lpool.counter(nil):get())
    for _, n in ipairs { 0, 5, -5, math.maxinteger, math.mininteger } do
      check(n, lpool.counter(n):get())
    end
    check(2, lpool.counter(2.0):get())
  end)

  it("adds one, or what it is told, and returns the new value", function()
    local counter = lpool.counter(10)
    check(11, counter:add())
    check(12, counter:add(nil))
    check(17, counter:add(5))
    check(7, counter:add(-10))
    check(7, counter:add(0))
    check(9, counter:add(2.0))
    check(9, counter:get())
  end)

  it("wraps around as integers do", function()
    local counter = lpool.counter(math.maxinteger)
    check(math.mininteger, counter:add())
    check(math.maxinteger, counter:add(-1))
    counter:set(math.mininteger)
    check(0, counter:add(math.mininteger))
    check(math.mininteger, counter:add(math.mininteger))
    counter:set(math.maxinteger)
    check(-2, counter:add(math.maxinteger))
  end)

  it("is set to any integer", function()
    local counter = lpool.counter()
    for _, n in ipairs { 1, 0, -1, 1 << 53, (1 << 53) + 1, math.maxinteger, math.mininteger } do
      counter:set(n)
      check(n, counter:get())
    end
    counter:set(-3.0)
    check(-3, counter:get())
  end)

  it("swaps if it is what was expected, and else does nothing", function()
    local counter = lpool.counter(1)
    assert.is_true(counter:compare_and_swap(1, 5))
    check(5, counter:get())
    assert.is_false(counter:compare_and_swap(1, 7))
    check(5, counter:get())
    assert.is_true(counter:compare_and_swap(5, 5))
    assert.is_true(counter:compare_and_swap(5.0, math.mininteger))
    check(math.mininteger, counter:get())
    assert.is_false(counter:compare_and_swap(0, 1))
    check(math.mininteger, counter:get())
  end)

  it("refuses what is no integer, at the caller's line, and stays as it is", function()
    local counter = lpool.counter(3)
    for _, wrong in ipairs { "1.5", 1.5, "x", {}, true, 0 / 0, math.huge, 2.0 ^ 63 } do
      helper.misuse(function()
        lpool.counter(wrong)
      end, "")
      helper.misuse(function()
        counter:add(wrong)
      end, "")
      helper.misuse(function()
        counter:set(wrong)
      end, "")
      helper.misuse(function()
        counter:compare_and_swap(wrong, 1)
      end, "")
      helper.misuse(function()
        counter:compare_and_swap(3, wrong)
      end, "")
    end
    helper.misuse(function()
      counter:set(nil)
    end, "")
    helper.misuse(function()
      counter:set()
    end, "")
    helper.misuse(function()
      counter:compare_and_swap(3)
    end, "")
    helper.misuse(function()
      counter:compare_and_swap(nil, 3)
    end, "")
    check(3, counter:get())
  end)

  it("refuses it in a task too, by an error of the task", function()
    local ex <close> = make { max_workers = 1 }
    local counter = lpool.counter(3)
    local err = ex:submit(add_often, counter, 1, 1.5):exception()
    assert.are.equal("string", type(err))
    helper.contains("counters.lua:", err)
    check(3, counter:get())
  end)

  it("counts apart from other counters", function()
    local ex <close> = make { max_workers = 1 }
    local list = {}
    for i = 1, 300 do
      list[i] = lpool.counter(i)
    end
    ex:submit(function(counters)
      for i, counter in ipairs(counters) do
        counter:add(i)
      end
    end, list):result()
    for i = 1, 300 do
      check(2 * i, list[i]:get())
    end
  end)

  it("keeps what tasks have set, from task to task", function()
    local ex <close> = make { max_workers = 1 }
    local counter = lpool.counter()
    for i = 1, 50 do
      check(2 * i - 1, (ex:submit(function()
        return counter:add()
      end):result()))
      check(2 * i, counter:add())
    end
  end)

  it("loses nothing of what many tasks add", function()
    local ex <close> = make { max_workers = 4 }
    local counter, futures = lpool.counter(), {}
    for i = 1, 4 do
      futures[i] = ex:submit(add_often, counter, 1000)
    end
    add_often(counter, 1000)
    for i = 1, 4 do
      futures[i]:result(20)
    end
    check(5000, counter:get())
  end)

  it("loses nothing of what a map adds, up and down", function()
    local ex <close> = make { max_workers = 4 }
    local counter = lpool.counter()
    ex:map(function(i)
      counter:add(i)
      counter:add(-2 * i)
    end, lpool.range(1, 2000)):totable()
    check(-2001000, counter:get())
  end)

  it("gives each value once", function()
    local ex <close> = make { max_workers = 4 }
    local counter, futures, seen = lpool.counter(), {}, {}
    for i = 1, 4 do
      futures[i] = ex:submit(function()
        local list = {}
        for k = 1, 500 do
          list[k] = counter:add()
        end
        return list
      end)
    end
    for i = 1, 4 do
      local before = 0
      for _, n in ipairs((futures[i]:result(20))) do
        assert.is_nil(seen[n])
        assert.is_true(n > before)
        seen[n], before = true, n
      end
    end
    assert.are.equal(2000, #seen)
  end)

  it("swaps for one of many at a time", function()
    local ex <close> = make { max_workers = 4 }
    local counter, futures = lpool.counter(), {}
    for i = 1, 4 do
      futures[i] = ex:submit(function()
        for _ = 1, 500 do
          local n
          repeat
            n = counter:get()
          until counter:compare_and_swap(n, n + 3)
        end
      end)
    end
    for i = 1, 4 do
      futures[i]:result(20)
    end
    check(6000, counter:get())
  end)

  if kind.concurrent then
    it("lets tasks and the script see each other's values at once", function()
      local ex <close> = make { max_workers = 2 }
      local turn = lpool.counter()
      local function play(own)
        for round = 0, 49 do
          while turn:get() ~= 3 * round + own do
            lpool.sleep(0)
          end
          turn:add()
        end
      end
      local futures = { ex:submit(play, 0), ex:submit(play, 1) }
      play(2)
      futures[1]:result(20)
      futures[2]:result(20)
      check(150, turn:get())
    end)
  end
end
