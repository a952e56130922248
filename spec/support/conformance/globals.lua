-- What crosses: the globals that a function uses. These tests are programs
-- of their own, since they are about what a script's globals mean.
local busted = require "busted"
local assert = require "luassert"
local helper = require "spec.helper"

local it = busted.it

return function(kind)
  -- Makes a test of a program that must put out these lines.
  local function program(name, expected, source)
    it(name, function()
      helper.prints(expected .. "\n", kind, source)
    end)
  end

  program("runs a global function that calls itself", "610", [[
    function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
    local ex <close> = make()
    print(ex:submit(fib, 15):result())
  ]])

  program("takes a global helper that calls another global helper", "((x))", [[
    function inner(s) return "(" .. s .. ")" end
    function outer(s) return inner(inner(s)) end
    function task(s) return outer(s) end
    local ex <close> = make()
    print(ex:submit(task, "x"):result())
  ]])

  program("takes the helper of a local function's upvalue", "8", [[
    function double(n) return 2 * n end
    local function quadruple(n) return double(double(n)) end
    local function task(n) return quadruple(n) end
    local ex <close> = make()
    print(ex:submit(task, 2):result())
  ]])

  program("takes the globals of functions inside the function", "3", [[
    function increment(n) return n + 1 end
    local ex <close> = make()
    print(ex:submit(function(n)
      local function deeper() return (function() return increment(n) end)() end
      return deeper()
    end, 2):result())
  ]])

  program("takes the globals of functions in arguments", "3", [[
    function increment(n) return n + 1 end
    local ex <close> = make()
    print(ex:submit(function(tools, n) return tools.f(n) end,
      { f = function(n) return increment(n) end }, 2):result())
  ]])

  program("takes global tables, numbers and strings", "12 km", [[
    scale, unit, config = 3, "km", { factor = 2 }
    local ex <close> = make()
    print(ex:submit(function(n) return n * scale * config.factor .. " " .. unit end, 2):result())
  ]])

  program("takes a global that is read as a field of _ENV", "2", [[
    two = 2
    local ex <close> = make()
    print(ex:submit(function() return _ENV.two end):result())
  ]])

  program("takes a global that is read as a field of _G", "1", [[
    one = 1
    local ex <close> = make()
    print(ex:submit(function() return _G.one end):result())
  ]])

  program("takes mutual recursion through globals", "true false", [[
    function even(n) return n == 0 or odd(n - 1) end
    function odd(n) return n > 0 and even(n - 1) end
    local ex <close> = make()
    print(tostring(ex:submit(even, 10):result()) .. " " .. tostring(ex:submit(even, 7):result()))
  ]])

  program("takes what a name meant at the submit", "old new", [[
    function helper() return "old" end
    function task() return helper() end
    local ex <close> = make { max_workers = 1 }
    local f = ex:submit(task)
    function helper() return "new" end
    local g = ex:submit(task)
    print(f:result() .. " " .. g:result())
  ]])

  program("takes a changed meaning to workers that know the old one", "1 2 3", [[
    local ex <close> = make { max_workers = 1 }
    local seen = {}
    for i = 1, 3 do
      level = i
      function helper() return level end
      seen[i] = ex:submit(function() return helper() end):result()
    end
    print(table.concat(seen, " "))
  ]])

  program("takes a change inside a global table", "1 2", [[
    settings = { level = 1 }
    local function task() return settings.level end
    local ex <close> = make { max_workers = 1 }
    local f = ex:submit(task)
    f:result()
    settings.level = 2
    print(f:result() .. " " .. ex:submit(task):result())
  ]])

  program("keeps a global that a task sets for later tasks", "1 2 3", [[
    local function count() visits = (visits or 0) + 1 return visits end
    local ex <close> = make { max_workers = 1 }
    print(ex:submit(count):result() .. " " .. ex:submit(count):result() .. " "
      .. ex:submit(count):result())
  ]])

  program("keeps a global that an initializer sets", "connected", [[
    local ex <close> = make { initializer = function() connection = "connected" end }
    print(ex:submit(function() return connection end):result())
  ]])

  program("keeps a global function that an initializer defines", "tool x", [[
    local ex <close> = make { initializer = function()
      function tool(s) return "tool " .. s end
    end }
    print(ex:submit(function(s) return tool(s) end, "x"):result())
  ]])

  program("does not let a task's globals out to the submitter", "nil", [[
    local ex <close> = make()
    ex:submit(function() leaked = 1 end):result()
    print(leaked)
  ]])

  program("does not let an assignment to a taken global out", "1 2", [[
    level = 1
    local ex <close> = make()
    local inside = ex:submit(function() level = level + 1 return level end):result()
    print(level .. " " .. inside)
  ]])

  program("keeps globals of one worker from those of another", "1 1", [[
    local function mark()
      mine = (mine or 0) + 1
      return mine
    end
    local one <close>, other = make { max_workers = 1 }, make { max_workers = 1 }
    print(one:submit(mark):result() .. " " .. other:submit(mark):result())
    other:shutdown()
  ]])

  program("shares what globals and arguments share", "true", [[
    list = {}
    local ex <close> = make()
    print(ex:submit(function(t) return rawequal(t, list) end, list):result())
  ]])

  program("takes a required module that is in a global", "function true", [[
    gates = require "spec.support.gate"
    local ex <close> = make()
    local kind, same = ex:submit(function()
      return type(gates.arrive), gates == require "spec.support.gate"
    end):result()
    print(kind .. " " .. tostring(same))
  ]])

  program("finds the standard library under its names", "abc 3", [[
    local ex <close> = make()
    print(ex:submit(function(s)
      return string.lower(s) .. " " .. math.tointeger(#s)
    end, "ABC"):result())
  ]])

  program("leaves alone globals that the function does not use", "fine", [[
    unsendable = coroutine.create(print)
    local ex <close> = make()
    print(ex:submit(function() return "fine" end):result())
  ]])

  program("gives nil for a name that means nothing", "nil", [[
    local ex <close> = make()
    print(tostring(ex:submit(function() return nothing_of_that_name end):result()))
  ]])

  program("takes the globals of metamethods", "<3>", [[
    function wrap(n) return "<" .. n .. ">" end
    Point = {}
    Point.__index = Point
    function Point:show() return wrap(self.x) end
    local ex <close> = make()
    print(ex:submit(function(p) return p:show() end, setmetatable({ x = 3 }, Point)):result())
  ]])

  program("takes a global class, whose constructor works in the task", "5 true", [[
    Point = {}
    Point.__index = Point
    function Point.new(x) return setmetatable({ x = x }, Point) end
    function Point:twice() return Point.new(self.x * 2) end
    local ex <close> = make()
    local p = ex:submit(function(x) return Point.new(x) end, 5):result()
    print(p.x .. " " .. tostring(getmetatable(p) == Point))
  ]])

  program("runs a map over a global function with global helpers", "2 4 6", [[
    function double(n) return 2 * n end
    function task(n) return double(n) end
    local ex <close> = make()
    print(table.concat(ex:map(task, { 1, 2, 3 }):totable(), " "))
  ]])

  program("takes globals of a script that is run with load", "7", [[
    load("function helper(n) return n + 1 end")()
    local ex <close> = make()
    print(ex:submit(load("local n = ... return helper(n)"), 6):result())
  ]])

  it("names the global by which something that cannot cross is reached", function()
    local result = helper.script(kind, [[
      state = { co = coroutine.create(print) }
      local ex <close> = make()
      local ok, err = pcall(ex.submit, ex, function() return state.co end)
      print(ok, err.kind)
      print(err.message)
    ]])
    helper.contains("SerializationError", result.out)
    helper.contains("state", result.out)
    helper.contains("a coroutine", result.out)
    assert.are.equal(0, result.code)
  end)
end
