-- Limits of memory: a task that passes memory_limit fails alone.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local MIB <const> = 1 << 20

local function echo(...)
  return ...
end

-- Tasks that need more than 16 MiB, each in its own way.
local greedy = {
  ["a string of 2^40 bytes"] = function()
    return #("x"):rep(1 << 40)
  end,
  ["a string of 100 MiB"] = function()
    return #("x"):rep(100 << 20)
  end,
  ["a list"] = function()
    local t = {} -- luacheck: ignore 241
    for i = 1, math.huge do
      t[i] = i
    end
  end,
  ["a table with string keys"] = function()
    local t = {} -- luacheck: ignore 241
    for i = 1, math.huge do
      t["key " .. i] = true
    end
  end,
  ["many tables"] = function()
    local t = {} -- luacheck: ignore 241
    for i = 1, math.huge do
      t[i] = {}
    end
  end,
  ["growing strings"] = function()
    local s = "x"
    while true do
      s = s .. s
    end
  end,
  ["table.concat"] = function()
    local t, piece = {}, ("x"):rep(1 << 16)
    for i = 1, 1000 do
      t[i] = piece
    end
    return #table.concat(t)
  end,
  ["a function with many upvalues"] = function()
    local last
    while true do
      local before = last
      last = function()
        return before
      end
    end
  end,
  ["an endless recursion with data"] = function()
    local function deeper(n)
      return { n, deeper(n + 1), ("x"):rep(1000) .. n }
    end
    return deeper(1)
  end,
  ["a coroutine"] = function()
    coroutine.wrap(function()
      local t = {} -- luacheck: ignore 241
      for i = 1, math.huge do
        t[i] = { i }
      end
    end)()
  end,
  ["a string in a coroutine"] = function()
    return assert(coroutine.resume(coroutine.create(function()
      return #("x"):rep(1 << 40)
    end)))
  end,
  ["many coroutines"] = function()
    local t = {} -- luacheck: ignore 241
    for i = 1, math.huge do
      t[i] = coroutine.create(print)
    end
  end,
  ["an error that is caught and raised again"] = function()
    local _, err = pcall(string.rep, "x", 100 << 20)
    error(err)
  end,
  ["a sort whose comparison hoards"] = function()
    local hoard = {}
    table.sort({ 5, 3, 4, 1, 2 }, function(a, b)
      for i = 1, 1e6 do
        hoard[#hoard + 1] = { i }
      end
      return a < b
    end)
  end,
}

-- Leaves what it has made in the worker.
local function hoard()
  rawset(_G, "hoard_of_a_worker", {})
  for i = 1, math.huge do
    rawget(_G, "hoard_of_a_worker")[i] = { i }
  end
end

return function(kind)
  local make = kind.make

  local function limited(limit, options)
    options = options or {}
    options.memory_limit = limit
    options.max_workers = options.max_workers or 1
    return make(options)
  end

  for what, task in pairs(greedy) do
    it(("fails a task alone that passes memory_limit by %s"):format(what), function()
      local ex <close> = limited(16 * MIB)
      assert.are.equal("before", ex:submit(echo, "before"):result())
      local f = ex:submit(task)
      local err = helper.raises("LimitError", f.result, f)
      helper.contains("memory_limit, 16777216 bytes", err.message)
      assert.are.equal("failed", f:state())
      local g = ex:submit(echo, "after")
      assert.are.equal("after", g:result())
      assert.are.equal(f:worker(), g:worker())
    end)
  end

  it("fails the ten of 110 tasks that want too much", function()
    local ex <close> = limited(64 * MIB, { max_workers = 2 })
    local kinds_of_greed = { greedy["a string of 2^40 bytes"], greedy["a list"] }
    local futures = {}
    for i = 1, 110 do
      local task = i % 11 == 0 and kinds_of_greed[i // 11 % 2 + 1] or echo
      futures[i] = ex:submit(task, i)
    end
    for i, f in ipairs(futures) do
      if i % 11 == 0 then
        helper.raises("LimitError", f.result, f)
      else
        assert.are.equal(i, f:result())
      end
    end
  end)

  it("gives the memory back to the system", function()
    local ex <close> = limited(64 * MIB)
    local function resident()
      for line in io.lines("/proc/self/status") do
        local kib = line:match("^VmRSS:%s+(%d+)")
        if kib then
          return kib * 1024
        end
      end
    end
    ex:submit(echo):result()
    local before = ex:submit(resident):result()
    for _ = 1, 3 do
      local f = ex:submit(greedy["many tables"])
      helper.raises("LimitError", f.result, f)
    end
    local grown = ex:submit(resident):result() - before
    if helper.patience == 1 then -- sanitizers keep what is freed
      assert.is_true(grown < 16 * MIB, ("%d KiB more"):format(grown // 1024))
    end
  end)

  it("runs a thousand tasks right after one that passed memory_limit", function()
    local ex <close> = limited(16 * MIB)
    local f = ex:submit(greedy["many tables"])
    helper.raises("LimitError", f.result, f)
    local expected = { n = 1000 }
    for i = 1, 1000 do
      expected[i] = i * i
    end
    local squares = ex:map(function(n)
      local t = {}
      for i = 1, 100 do
        t[i] = { n }
      end
      return #t // 100 * n * n
    end, lpool.range(1, 1000)):totable()
    assert.are.same(expected, squares)
  end)

  it("gives each task the whole room again", function()
    local ex <close> = limited(16 * MIB)
    for i = 1, 20 do
      local f = ex:submit(i % 2 == 0 and greedy["a list"] or function()
        return #("x"):rep(7 << 20)
      end)
      if i % 2 == 0 then
        helper.raises("LimitError", f.result, f)
      else
        assert.are.equal(7 * MIB, f:result())
      end
    end
  end)

  it("lets a task go on that catches its own want of memory", function()
    local ex <close> = limited(16 * MIB)
    local f = ex:submit(function()
      local ok, err = pcall(function()
        local t = {} -- luacheck: ignore 241
        for i = 1, math.huge do
          t[i] = {}
        end
      end)
      return ok, err
    end)
    local ok, err = f:result()
    assert.is_false(ok)
    helper.contains("not enough memory", err)
  end)

  it("does not take garbage for memory in use", function()
    local ex <close> = limited(16 * MIB)
    local f = ex:submit(function()
      local sum = 0
      for i = 1, 40 do
        -- With the strings of two rounds, a buffer more would be too much.
        local s = ("x"):rep(5 << 20) .. i
        sum = sum + #s
      end
      return sum
    end)
    assert.are.equal(40 * 5 * MIB + 9 + 31 * 2, f:result())
  end)

  it("does not take another task's garbage for memory in use", function()
    local ex <close> = limited(16 * MIB)
    for _ = 1, 20 do
      local f = ex:submit(function()
        return #("x"):rep(6 << 20)
      end)
      assert.are.equal(6 * MIB, f:result())
    end
  end)

  it("leaves errors of a task's own as they are", function()
    local ex <close> = limited(1 * MIB)
    local f = ex:submit(error, "plain", 0)
    assert.are.equal("plain", helper.raised(f.result, f))
    local g = ex:submit(function()
      pcall(string.rep, "x", 10 << 20)
      error({ code = 7 })
    end)
    assert.are.same({ code = 7 }, helper.raised(g.result, g))
  end)

  it("fails exactly the items of a map that want too much", function()
    local ex <close> = limited(16 * MIB, { max_workers = 2 })
    local function make_list(n)
      local t = {}
      for i = 1, n do
        t[i] = i
      end
      return #t
    end
    local items = {}
    for i = 1, 200 do
      items[i] = i % 50 == 0 and 100000000 or i
    end
    local results = ex:map(make_list, items)
    for i = 1, 200 do
      if i % 50 == 0 then
        helper.raises("LimitError", results)
      else
        assert.are.equal(i, select(2, results()))
      end
    end
    assert.is_nil(results())
  end)

  it("counts the arguments of a task", function()
    local ex <close> = limited(16 * MIB)
    local big = ("x"):rep(20 << 20)
    local f = ex:submit(echo, big)
    helper.raises("LimitError", f.result, f)
    local tables = {}
    for i = 1, 3e5 do
      tables[i] = { i }
    end
    local g = ex:submit(echo, tables)
    helper.raises("LimitError", g.result, g)
    local results = ex:map(function(s)
      return #s
    end, { "one", big, "three" })
    assert.are.equal(3, select(2, results()))
    helper.raises("LimitError", results)
    assert.are.equal(5, select(2, results()))
  end)

  it("counts what a task captures", function()
    local ex <close> = limited(16 * MIB)
    local big = ("x"):rep(20 << 20)
    local f = ex:submit(function()
      return #big
    end)
    helper.raises("LimitError", f.result, f)
    assert.are.equal(1, ex:submit(echo, 1):result())
  end)

  it("does not count results once they are handed in", function()
    local ex <close> = limited(16 * MIB)
    local futures = {}
    for i = 1, 10 do
      futures[i] = ex:submit(function()
        return ("x"):rep(6 << 20)
      end)
    end
    for _, f in ipairs(futures) do
      assert.are.equal(6 * MIB, #f:result())
    end
  end)

  it("fails a task whose results are too large to be made", function()
    local ex <close> = limited(16 * MIB)
    local f = ex:submit(function()
      return ("x"):rep(20 << 20)
    end)
    helper.raises("LimitError", f.result, f)
  end)

  it("replaces a worker that tasks have left too full", function()
    local ex <close> = limited(4 * MIB)
    for _ = 1, 3 do
      local f = ex:submit(hoard)
      helper.raises("LimitError", f.result, f)
      local g = ex:submit(function()
        return rawget(_G, "hoard_of_a_worker"), #("x"):rep(1 << 20)
      end)
      assert.are.same({ n = 2, nil, MIB }, table.pack(g:result()))
    end
  end)

  it("fails the one item of a map that leaves its worker too full", function()
    local ex <close> = limited(4 * MIB)
    local function hoard_once(i)
      if i == 50 then
        hoard()
      end
      return #("x"):rep(1 << 20) + i
    end
    local results = ex:map(hoard_once, lpool.range(1, 200))
    for i = 1, 200 do
      if i == 50 then
        helper.raises("LimitError", results)
      else
        assert.are.equal(MIB + i, select(2, results()))
      end
    end
  end)

  it("runs the finalizer of a worker that is replaced, and the initializer of the next", function()
    local gate <close> = helper.gate.new()
    local path = gate.path
    local function arrive()
      require("spec.support.gate").arrive(path)
    end
    do
      local ex <close> = limited(4 * MIB, { initializer = arrive, finalizer = arrive })
      for _ = 1, 2 do
        local f = ex:submit(hoard)
        helper.raises("LimitError", f.result, f)
        assert.are.equal(1, ex:submit(echo, 1):result())
      end
    end
    assert.are.equal(6, gate:count())
  end)

  it("breaks the pool if an initializer passes memory_limit", function()
    local result = helper.script(kind, [[
      local ex = make { max_workers = 1, memory_limit = 1 << 20, initializer = function()
        hoard = {}
        for i = 1, math.huge do hoard[i] = { i } end
      end }
      print(pcall(function() return ex:submit(math.abs, -1):result() end))
    ]])
    assert.are.equal(0, result.code)
    helper.contains("initializer failed", result.out)
    helper.contains("the task passed memory_limit, 1048576 bytes", result.out)
    helper.contains("initializer", result.err)
  end)

  if kind.knows.preload then
    it("breaks the pool if modules leave no room within memory_limit", function()
      local result = helper.script(kind, [[
        local folder = os.tmpname()
        os.remove(folder)
        local file <close> = assert(io.open(folder .. ".lua", "w"))
        file:write("local t = {} for i = 1, 1e5 do t[i] = { i } end return t")
        file:close()
        package.path = folder:match(".*/") .. "?.lua;" .. package.path
        local name = folder:match("[^/]+$")
        local ex = make { max_workers = 1, memory_limit = 1 << 20, preload = { name } }
        print(pcall(function() return ex:submit(math.abs, -1):result() end))
        os.remove(folder .. ".lua")
      ]])
      assert.are.equal(0, result.code, result.err)
      helper.contains("too much for memory_limit = 1048576", result.out)
    end)
  end

  it("works with the least memory_limit there is", function()
    local ex <close> = limited(128 * 1024)
    local f = ex:submit(function()
      return #require "lpool".worker().name > 0
    end)
    assert.is_true(f:result())
    local expected = { n = 500 }
    for i = 1, 500 do
      expected[i] = -i
    end
    assert.are.same(expected, ex:map(function(n)
      return -n
    end, lpool.range(1, 500)):totable())
  end)

  it("limits the process of a worker too, and no other", function()
    local function data_limit()
      for line in io.lines("/proc/self/limits") do
        local soft = line:match("^Max data size%s+(%S+)")
        if soft then
          return soft
        end
      end
    end
    local ex <close> = limited(16 * MIB)
    local there, here = ex:submit(data_limit):result(), data_limit()
    if kind.same_process then
      assert.are.equal(here, there)
    else
      local bytes = math.tointeger(there)
      assert.is_truthy(bytes, there)
      assert.is_true(bytes > 16 * MIB)
    end
    local free <close> = make()
    assert.are.equal(here, free:submit(data_limit):result())
  end)

  it("refuses a memory_limit that is no integer, or too small", function()
    for _, wrong in ipairs { 0, -1, 1.5, "1000000", 1000, 131071, math.mininteger } do
      helper.misuse(function()
        make { memory_limit = wrong }
      end, "memory_limit must be ")
    end
    helper.misuse(function()
      make { memory_limit = 1000 }
    end, "memory_limit must be at least 131072 bytes")
    make({ memory_limit = 131072 }):shutdown()
    make({ memory_limit = math.maxinteger }):shutdown()
  end)
end
