-- What crosses: functions, their upvalues, C functions and modules.
local busted = require "busted"
local assert = require "luassert"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

return function(kind)
  local make = kind.make

  local function run(fn, ...)
    local ex <close> = make { max_workers = 1 }
    return ex:submit(fn, ...):result()
  end

  it("takes upvalues along, by their value at the submit", function()
    local factor = 3
    local function scale(n)
      return n * factor
    end
    local ex <close> = make { max_workers = 1 }
    local f = ex:submit(scale, 2)
    factor = 100
    local g = ex:submit(scale, 2)
    assert.are.equal(6, f:result())
    assert.are.equal(200, g:result())
  end)

  it("does not carry an assignment to an upvalue back", function()
    local counter = 0
    run(function()
      counter = counter + 1
    end)
    assert.are.equal(0, counter)
  end)

  it("starts each task with upvalues as they were at the submit", function()
    local counter = 0
    local function count()
      counter = counter + 1
      return counter
    end
    local ex <close> = make { max_workers = 1 }
    assert.are.equal(1, ex:submit(count):result())
    assert.are.equal(1, ex:submit(count):result())
  end)

  it("starts each item of a map with upvalues as they were at the call", function()
    local counter = 0
    local ex <close> = make { max_workers = 1 }
    assert.are.same({ 1, 1, 1, n = 3 }, ex:map(function()
      counter = counter + 1
      return counter
    end, { "a", "b", "c" }):totable())
  end)

  it("starts each item of a map with tables in upvalues as they were at the call", function()
    local list = {}
    local ex <close> = make { max_workers = 1 }
    assert.are.same({ 1, 1, 1, n = 3 }, ex:map(function(item)
      list[#list + 1] = item
      return #list
    end, { "a", "b", "c" }):totable())
  end)

  it("keeps closures of one message sharing an upvalue", function()
    local n = 0
    local function increment()
      n = n + 1
    end
    local function get()
      return n
    end
    assert.are.equal(2, run(function(inc, value)
      inc()
      inc()
      return value()
    end, increment, get))
  end)

  it("keeps closures in upvalues and arguments sharing", function()
    local n = 0
    local function increment()
      n = n + 1
    end
    assert.are.equal(1, run(function(inc)
      inc()
      return n
    end, increment))
  end)

  it("keeps closures in a table sharing, there and back", function()
    local pair = run(function()
      local n = 10
      return {
        add = function(k)
          n = n + k
        end,
        get = function()
          return n
        end,
      }
    end)
    pair.add(5)
    assert.are.equal(15, pair.get())
  end)

  it("keeps closures with equal upvalues apart that do not share", function()
    local function counter()
      local n = 0
      return function()
        n = n + 1
        return n
      end
    end
    local a, b = run(function(f, g)
      f()
      f()
      return f(), g()
    end, counter(), counter())
    assert.are.equal(3, a)
    assert.are.equal(1, b)
  end)

  it("keeps one function given twice one", function()
    assert.is_true(run(rawequal, echo, echo))
  end)

  it("runs a local function that calls itself", function()
    local function fib(n)
      return n < 2 and n or fib(n - 1) + fib(n - 2)
    end
    assert.are.equal(610, run(fib, 15))
  end)

  it("runs local functions that call each other", function()
    local odd
    local function even(n)
      return n == 0 or odd(n - 1)
    end
    function odd(n)
      return n > 0 and even(n - 1)
    end
    assert.is_true(run(even, 10))
    assert.is_false(run(even, 11))
  end)

  it("takes a chain of a thousand closures along", function()
    local f = echo
    for _ = 1, 1000 do
      local inner = f
      f = function(n)
        return (inner(n + 1))
      end
    end
    -- Called in the worker through a stack of its own: Lua calls, not C calls.
    assert.are.equal(1000, run(f, 0))
  end)

  it("takes an upvalue table along with its cycles", function()
    local graph = { name = "graph" }
    graph.self = graph
    assert.are.equal("graph", run(function()
      return graph.self.self.name
    end))
  end)

  it("keeps varargs, goto, integer division and other opcodes working", function()
    local results = table.pack(run(function(...)
      local sum, i = 0, 0
      ::again::
      i = i + 1
      if i <= select("#", ...) then
        sum = sum + (select(i, ...)) // 2
        goto again
      end
      for k = 3, 1, -1 do
        sum = sum ~ k << 1
      end
      return sum, #{ ... }, ("x"):rep(3), not sum
    end, 4, 6, 9))
    assert.are.same({ 9, 3, "xxx", false, n = 4 }, results)
  end)

  it("keeps a function with 200 constants and locals working", function()
    local lines = { "local t = {}" }
    for i = 1, 300 do
      lines[#lines + 1] = ("t[%d] = 'constant %d' .. %d.5"):format(i, i, i)
    end
    lines[#lines + 1] = "return t"
    local back = run(load(table.concat(lines, "\n")))
    assert.are.equal("constant 300300.5", back[300])
  end)

  it("sends functions back that can be called", function()
    local adder = run(function(n)
      return function(m)
        return n + m
      end
    end, 40)
    assert.are.equal(42, adder(2))
  end)

  it("gives a function that came back the owner's globals", function()
    local reader = run(function()
      return function()
        return type(_G.package.loaded["spec.helper"])
      end
    end)
    assert.are.equal("table", reader())
  end)

  it("sends a closure with a to-be-closed variable and coroutines inside", function()
    assert.are.equal("closed 3", run(function()
      local log = ""
      do
        local _ <close> = setmetatable({}, {
          __close = function()
            log = "closed"
          end,
        })
      end
      local n = 0
      for i in coroutine.wrap(function()
        for i = 1, 3 do
          coroutine.yield(i)
        end
      end) do
        n = i
      end
      return log .. " " .. n
    end))
  end)

  it("keeps the names of source and lines for messages", function()
    local info = run(function()
      return debug.getinfo(1, "Sl")
    end)
    helper.contains("conformance/functions.lua", info.short_src)
    assert.is_true(info.currentline > 1)
  end)

  it("takes C functions of the standard library by name", function()
    local format, floor = string.format, math.floor
    assert.are.equal("7", run(function(x)
      return format("%d", floor(x))
    end, 7.9))
    assert.are.equal("HI", run(string.upper, "hi"))
  end)

  it("gives C functions back as themselves", function()
    assert.are.equal(string.upper, (run(echo, string.upper)))
  end)

  it("takes standard library tables as upvalues by name", function()
    local text, numbers = string, math
    assert.is_true(run(function()
      return text == string and numbers == math
    end))
  end)

  it("lets the task require modules of the submitter's path", function()
    assert.are.equal("function", run(function()
      return type(require("spec.support.gate").arrive)
    end))
  end)

  it("takes a required module as an upvalue by name", function()
    local gates = require "spec.support.gate"
    assert.is_true(run(function()
      return gates == require "spec.support.gate"
    end))
  end)

  it("takes a C module and its functions by name", function()
    local lfs = require "lfs"
    local attributes = lfs.attributes
    assert.are.equal("directory", run(function()
      return attributes("spec", "mode")
    end))
    assert.are.equal(lfs.currentdir(), run(lfs.currentdir))
    assert.is_true(run(function()
      return lfs == require "lfs"
    end))
  end)

  it("lets workers require with the submitter's package.path", function()
    local folder = os.tmpname()
    os.remove(folder)
    require("lfs").mkdir(folder)
    local path = folder .. "/lpool_spec_shape.lua"
    local file = io.open(path, "w")
    file:write("return { area = function(w, h) return w * h end }")
    file:close()
    local before = package.path
    package.path = folder .. "/?.lua;" .. package.path
    local ok, results = pcall(function()
      local shape = require "lpool_spec_shape"
      return { run(function()
        return require("lpool_spec_shape").area(6, 7)
      end), run(function()
        return shape.area(2, 3)
      end), run(shape.area, 4, 5) }
    end)
    package.path = before
    package.loaded.lpool_spec_shape = nil
    os.remove(path)
    os.remove(folder)
    assert.is_true(ok, tostring(results))
    assert.are.same({ 42, 6, 20 }, results)
  end)

  it("takes a module along that no worker could find, or says its name", function()
    local shape = {}
    function shape.area(w, h)
      return w * h
    end
    package.loaded.lpool_spec_unfindable = shape
    local ok, result = pcall(run, function()
      return shape.area(6, 7)
    end)
    package.loaded.lpool_spec_unfindable = nil
    assert.is_true(ok and result == 42
      or tostring(result):find("lpool_spec_unfindable", 1, true) ~= nil, tostring(result))
  end)

  it("binds _ENV to the worker's globals", function()
    assert.is_true(run(function()
      return _ENV == _G and _G == package.loaded._G
    end))
  end)

  it("takes the value of a name in an _ENV of the submitter's own", function()
    assert.are.equal(42, run(load("return answer", "=own", "t", { answer = 42 })))
  end)

  it("takes a function apart from a stripped one", function()
    local stripped = load(string.dump(function(a, b)
      return a - b
    end, true), "stripped", "b")
    assert.are.equal(1, run(stripped, 3, 2))
  end)
end
