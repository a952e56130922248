-- What crosses: metatables, and objects that say themselves how.
local busted = require "busted"
local assert = require "luassert"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

-- A class as everyone writes them.
local Point = {}
Point.__index = Point

function Point.new(x, y)
  return setmetatable({ x = x, y = y }, Point)
end

function Point:norm1()
  return self.x + self.y
end

function Point.__add(a, b)
  return Point.new(a.x + b.x, a.y + b.y)
end

function Point:__tostring()
  return ("(%d, %d)"):format(self.x, self.y)
end

local Pixel = setmetatable({}, { __index = Point })
Pixel.__index = Pixel

return function(kind)
  local make = kind.make

  local function run(fn, ...)
    local ex <close> = make { max_workers = 1 }
    return ex:submit(fn, ...):result()
  end

  it("keeps the methods of an object in the task", function()
    assert.are.equal(7, run(function(p)
      return p:norm1()
    end, Point.new(3, 4)))
  end)

  it("keeps operators and tostring in the task", function()
    assert.are.equal("(4, 6)", run(function(a, b)
      return tostring(a + b)
    end, Point.new(1, 2), Point.new(3, 4)))
  end)

  it("keeps inheritance in the task", function()
    local pixel = setmetatable({ x = 1, y = 1, colour = "red" }, Pixel)
    assert.are.equal(2, run(function(p)
      return p:norm1()
    end, pixel))
  end)

  it("gives an object back with the very metatable it left with", function()
    local back = run(echo, Point.new(1, 2))
    assert.is_true(rawequal(Point, getmetatable(back)))
    assert.are.equal(3, back:norm1())
  end)

  it("gives an object made in the task the metatable of the caller", function()
    local back = run(function(a, b)
      return a + b
    end, Point.new(1, 2), Point.new(3, 4))
    assert.is_true(rawequal(Point, getmetatable(back)))
    assert.are.equal(10, back:norm1())
  end)

  it("gives an object made by a constructor in the task the metatable of the caller", function()
    local back = run(function(x, y)
      return Point.new(x, y)
    end, 3, 4)
    assert.is_true(rawequal(Point, getmetatable(back)))
  end)

  it("gives the class itself back as itself", function()
    assert.is_true(rawequal(Point, (run(function(p)
      return getmetatable(p)
    end, Point.new(1, 2)))))
  end)

  it("keeps the metatable of errors", function()
    local ex <close> = make()
    local err = ex:submit(function(p)
      error(p)
    end, Point.new(1, 2)):exception()
    assert.is_true(rawequal(Point, getmetatable(err)))
    assert.are.equal("(1, 2)", tostring(err))
  end)

  it("knows the metatable of objects that are alike in a worker", function()
    assert.is_true(run(function(a, b)
      return rawequal(getmetatable(a), getmetatable(b))
    end, Point.new(1, 2), Point.new(3, 4)))
  end)

  it("makes a metatable once per worker, not once per task", function()
    local ex <close> = make { max_workers = 1 }
    ex:submit(function(p)
      _G.lpool_spec_class = getmetatable(p)
    end, Point.new(1, 2)):result()
    assert.is_true(ex:submit(function(p)
      return rawequal(_G.lpool_spec_class, getmetatable(p))
    end, Point.new(3, 4)):result())
  end)

  it("keeps objects in deep places", function()
    local back = run(echo, { list = { Point.new(1, 2), Point.new(3, 4) } })
    assert.are.equal(7, back.list[2]:norm1())
    assert.is_true(rawequal(Point, getmetatable(back.list[1])))
  end)

  it("keeps two classes that look alike apart", function()
    local A, B = { __index = {} }, { __index = {} }
    local a, b = run(echo, setmetatable({}, A), setmetatable({}, B))
    assert.is_true(rawequal(A, getmetatable(a)))
    assert.is_true(rawequal(B, getmetatable(b)))
  end)

  it("gives a class of the worker's own to all who come from it", function()
    local a, b = run(function()
      local Class = { __index = {
        name = function()
          return "from the worker"
        end,
      } }
      return setmetatable({}, Class), setmetatable({}, Class)
    end)
    assert.are.equal("from the worker", a:name())
    assert.is_true(rawequal(getmetatable(a), getmetatable(b)))
  end)

  it("runs no metamethod on the way", function()
    local calls = 0
    local function forbidden()
      calls = calls + 1
      error("a metamethod ran")
    end
    local trap = { x = 1 }
    setmetatable(trap, {
      __index = forbidden, __newindex = forbidden, __len = forbidden, __pairs = forbidden,
      __eq = forbidden, __call = forbidden, __tostring = forbidden, __name = "trap",
    })
    assert.are.equal(1, run(function(t)
      return rawget(t, "x")
    end, trap))
    assert.are.equal(0, calls)
  end)

  it("copies what is in a proxy, not what it stands for", function()
    local proxy = setmetatable({}, {
      __index = function()
        return 42
      end,
    })
    local keys, value = run(function(t)
      return next(t), t.anything
    end, proxy)
    assert.is_nil(keys)
    assert.are.equal(42, value)
  end)

  it("takes an object whose metatable is hidden", function()
    local hidden = setmetatable({ x = 1 }, { __metatable = "locked", __index = { y = 2 } })
    local x, y, meta = run(function(t)
      return t.x, t.y, getmetatable(t)
    end, hidden)
    assert.are.same({ 1, 2, "locked" }, { x, y, meta })
  end)

  it("takes an object that is its own metatable", function()
    local object = { x = 1 }
    object.__index = object
    setmetatable(object, object)
    local back = run(echo, object)
    assert.are.equal(1, back.x)
    assert.is_true(rawequal(back, getmetatable(back)))
  end)

  it("keeps weak tables weak and working", function()
    assert.are.equal("k", run(function(t)
      return getmetatable(t).__mode
    end, setmetatable({}, { __mode = "k" })))
  end)

  it("sends an object as what its __serialize returns", function()
    local Handle = {}
    Handle.__index = Handle
    Handle.__serialize = function(handle)
      return handle.name
    end
    Handle.__deserialize = function(name)
      return { name = name, rebuilt = true }
    end
    local handle = setmetatable({ name = "db", thread = coroutine.create(print) }, Handle)
    local name, rebuilt, thread = run(function(h)
      return h.name, h.rebuilt, h.thread
    end, handle)
    assert.are.same({ "db", true, nil, n = 3 }, table.pack(name, rebuilt, thread))
  end)

  it("sends an object back by the same way", function()
    local Handle = {}
    Handle.__serialize = function(handle)
      return { name = handle.name .. "+" }
    end
    Handle.__deserialize = function(value)
      return setmetatable({ name = value.name .. "-" }, Handle)
    end
    local back = run(echo, setmetatable({ name = "db" }, Handle))
    assert.are.equal("db+-+-", back.name)
    assert.is_true(rawequal(Handle, getmetatable(back)))
  end)

  it("keeps an object with __serialize one object within a message", function()
    local Handle = {}
    local calls = 0
    Handle.__serialize = function(handle)
      calls = calls + 1
      return handle.name
    end
    Handle.__deserialize = function(name)
      return { name = name }
    end
    local handle = setmetatable({ name = "db" }, Handle)
    assert.is_true(run(rawequal, handle, handle))
    assert.are.equal(1, calls)
  end)

  it("says what went wrong when __serialize raises", function()
    local ex <close> = make()
    local handle = setmetatable({}, {
      __serialize = function()
        error("not for travel")
      end,
      __deserialize = echo,
    })
    local err = helper.raised(ex.submit, ex, echo, handle)
    helper.contains("not for travel", tostring(err))
    assert.are.equal("on", ex:submit(echo, "on"):result())
  end)

  it("fails that future alone when __deserialize raises", function()
    local ex <close> = make { max_workers = 1 }
    local handle = setmetatable({}, {
      __serialize = function()
        return 1
      end,
      __deserialize = function()
        error("not rebuilt")
      end,
    })
    local f = ex:submit(echo, handle)
    helper.contains("not rebuilt", tostring(helper.raised(f.result, f)))
    assert.are.equal("on", ex:submit(echo, "on"):result())
  end)

  it("lets __serialize use the executor", function()
    local ex <close> = make { max_workers = 1 }
    -- By the registry, since what is an upvalue of a class travels with it.
    debug.getregistry().lpool_spec_executor = ex
    local handle = setmetatable({}, {
      __serialize = function()
        local own = debug.getregistry().lpool_spec_executor
        return own:submit(math.max, 1, 3):result()
      end,
      __deserialize = echo,
    })
    local result = ex:submit(echo, handle):result()
    debug.getregistry().lpool_spec_executor = nil
    assert.are.equal(3, result)
  end)

  it("lets a __serialize that never ends its nesting fail, not crash", function()
    local ex <close> = make()
    local handle = {}
    local Handle = { __deserialize = echo }
    Handle.__serialize = function()
      return setmetatable({}, Handle)
    end
    setmetatable(handle, Handle)
    helper.limit(60)
    local ok = pcall(ex.submit, ex, function() end, handle)
    assert.is_false(ok)
    assert.are.equal("on", ex:submit(echo, "on"):result())
  end)

  it("refuses a __serialize whose value cannot cross", function()
    local ex <close> = make()
    local handle = setmetatable({}, {
      __serialize = function()
        return coroutine.create(print)
      end,
      __deserialize = echo,
    })
    local err = helper.raises("SerializationError", ex.submit, ex, echo, handle)
    helper.contains("a coroutine", err.message)
  end)
end
