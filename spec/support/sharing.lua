--- What all shared objects promise: channels, counters, dicts and buffers.
-- Each object's topic in spec.support.conformance describes its object:
--
-- * `what` what messages call it, such as "a channel"
-- * `new` makes one
-- * `act(object, ...)` a task that uses it, and returns something
-- * `check(object, result)` looks, in the test, at what act did and returned
-- * `misused` names of methods that take no arguments but the object
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local sharing = {}

local function echo(...)
  return ...
end

--- Closes channels when a block is left, so that a test that fails leaves no
-- task waiting there, for which its executor would wait in turn:
--
--    local ex <close> = make()
--    local channel = lpool.channel()
--    local _ <close> = sharing.closing(channel)   -- after the executor
function sharing.closing(...)
  local channels = { ... }
  return setmetatable({}, {
    __close = function()
      for _, channel in ipairs(channels) do
        channel:close()
      end
    end,
  })
end

-- The ways that lead into a task: each is called with the test's `make`, makes
-- the object, has the task act on it, and returns the object and the result.
local ways = {
  ["as an argument"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    return object, ex:submit(act, object):result()
  end,

  ["as an upvalue"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    return object, ex:submit(function()
      return (act(object))
    end):result()
  end,

  ["as an upvalue of an upvalue's function"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    local function inner()
      return (act(object))
    end
    return object, ex:submit(function()
      return (inner())
    end):result()
  end,

  ["in tables inside of an argument"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    return object, ex:submit(function(message)
      return (act(message.list[2].object))
    end, { list = { 1, { object = object } } }):result()
  end,

  ["as the key of a table"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    return object, ex:submit(function(set)
      return (act((next(set))))
    end, { [object] = true }):result()
  end,

  ["through initargs"] = function(make, new, act)
    local object = new()
    local ex <close> = make {
      max_workers = 1,
      initializer = function(given)
        _G.lpool_spec_shared = given
      end,
      initargs = { object },
    }
    return object, ex:submit(function()
      return (act(_G.lpool_spec_shared))
    end):result()
  end,

  ["as an upvalue of the initializer"] = function(make, new, act)
    local object = new()
    local ex <close> = make {
      max_workers = 1,
      initializer = function()
        _G.lpool_spec_shared = { act(object) }
      end,
    }
    return object, ex:submit(function()
      return _G.lpool_spec_shared[1]
    end):result()
  end,

  ["as an upvalue of a map's function"] = function(make, new, act)
    local ex <close> = make()
    local object = new()
    local results = ex:map(function()
      return (act(object))
    end, { 1 })
    return object, select(2, results())
  end,

  ["as an item of a map"] = function(make, new, act)
    local ex <close> = make()
    local object = new()
    return object, select(2, ex:map(act, { object })())
  end,

  ["as an item of a lazy map"] = function(make, new, act)
    local ex <close> = make()
    local object = new()
    local items = { object }
    local results = ex:map(act, function()
      return table.remove(items)
    end)
    return object, select(2, results())
  end,

  ["to a starmap"] = function(make, new, act)
    local ex <close> = make()
    local object = new()
    return object, select(2, ex:starmap(act, { { object } })())
  end,

  ["by a broadcast"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    return object, ex:broadcast(act, object)[1]:result()
  end,

  ["to a worker that was there before"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    ex:submit(echo, 1):result()
    local object = new()
    return object, ex:submit(act, object):result()
  end,

  ["from task to task, through the state of a worker"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    ex:submit(function()
      _G.lpool_spec_shared = object
    end):result()
    collectgarbage()
    return object, ex:submit(function()
      collectgarbage()
      return (act(_G.lpool_spec_shared))
    end):result()
  end,

  ["in a coroutine of the task"] = function(make, new, act)
    local ex <close> = make { max_workers = 1 }
    local object = new()
    return object, ex:submit(function()
      return (coroutine.wrap(act)(object))
    end):result()
  end,
}

-- The ways of which the task is one of an executor inside of a task.
local function nested_way(constructor, inner_constructor)
  return function(_, new, act)
    local ex <close> = lpool[constructor]()
    local object = new()
    return object, ex:submit(function(name, given)
      local inner <close> = lpool[name]()
      return (inner:submit(act, given):result())
    end, inner_constructor, object):result()
  end
end

-- Makes the tests of all ways in.
local function ways_in(kind, object)
  local all = {}
  for name, way in pairs(ways) do
    all[name] = way
  end
  for _, inner in ipairs { "SerialExecutor", "ThreadPoolExecutor", "ProcessPoolExecutor" } do
    all[("on to a task of a %s inside"):format(inner)] = nested_way(kind.constructor, inner)
  end
  for name, way in pairs(all) do
    it("comes " .. name, function()
      local shared, result = way(kind.make, object.new, object.act)
      object.check(shared, result)
    end)
  end
end

-- Makes the tests of ways that are closed.
local function ways_out(kind, object)
  local make, what, new = kind.make, object.what, object.new

  it("cannot be returned from a task, which is told so", function()
    local ex <close> = make { max_workers = 1 }
    local shared = new()
    local f = ex:submit(echo, shared)
    helper.contains(what, helper.raises("SerializationError", f.result, f).message)
    local g = ex:submit(function()
      return 1, { field = shared }
    end)
    helper.contains(what, helper.raises("SerializationError", g.result, g).message)
    assert.are.equal("on", ex:submit(echo, "on"):result())
  end)

  it("cannot be put in a channel, which says so", function()
    local shared, channel = new(), lpool.channel()
    local err = helper.raises("SerializationError", channel.send, channel, shared)
    helper.contains(what, err.message)
    err = helper.raises("SerializationError", channel.send, channel, { a = { shared } })
    helper.contains("'a[1]'", err.message)
    helper.contains(what, err.message)
    helper.raises("SerializationError", channel.try_send, channel, shared)
    assert.are.equal(0, #channel)
  end)

  it("cannot be put in a dict, which says so", function()
    local shared, dict = new(), lpool.dict()
    helper.contains(what, helper.raises("SerializationError", dict.set, dict, 1, shared).message)
    helper.raises("SerializationError", dict.set, dict, 1, { shared })
    helper.raises("SerializationError", dict.update, dict, 1, function()
      return { shared }
    end)
    assert.is_nil(dict:get(1))
  end)
end

-- Makes the tests of what each object is to Lua.
local function manners(object)
  local name = object.what:match("%a+$")

  it("says what it is", function()
    helper.contains(name, tostring(object.new()))
  end)

  it("has no methods but its own", function()
    assert.is_nil(object.new().no_such_method)
  end)

  it("says at the caller's line that a method lacks its object", function()
    local shared = object.new()
    for _, method in ipairs(object.misused) do
      helper.misuse(function()
        shared[method]()
      end, name)
      helper.misuse(function()
        shared[method]({})
      end, name)
      helper.misuse(function()
        shared[method](lpool.Future())
      end, name)
    end
  end)

  it("is not taken for another kind of object", function()
    local others = {
      channel = lpool.channel(), counter = lpool.counter(), dict = lpool.dict(),
      buffer = lpool.buffer("u8", 1),
    }
    others[name] = nil
    local shared = object.new()
    for _, other in pairs(others) do
      for _, method in ipairs(object.misused) do
        helper.misuse(function()
          shared[method](other)
        end, name)
      end
    end
  end)

  it("is to Lua a value like others", function()
    local shared = object.new()
    assert.is_true(shared == shared) -- luacheck: ignore 571
    assert.is_false(shared == object.new())
    local list = { [shared] = "found" }
    assert.are.equal("found", list[shared])
  end)
end

-- Makes the tests of how the objects go.
local function endings(kind, object)
  local make = kind.make

  it("goes quietly when it is dropped, used or not", function()
    for _ = 1, 100 do
      object.new()
      object.act(object.new())
      collectgarbage("step")
    end
    collectgarbage()
    collectgarbage()
  end)

  it("stays as long as a task has it that the script has dropped", function()
    local ex <close> = make { max_workers = 1 }
    ex:submit(function(shared)
      _G.lpool_spec_shared = shared
    end, object.new()):result()
    collectgarbage()
    collectgarbage()
    local act = object.act
    -- What it did is seen by a task only.
    assert.is_not_nil((ex:submit(function()
      collectgarbage()
      return (act(_G.lpool_spec_shared))
    end):result()))
  end)

  it("stays as long as a task is to come that has it", function()
    local futures = {}
    do
      local ex <close> = make { max_workers = 1 }
      for i = 1, 20 do
        futures[i] = ex:submit(object.act, object.new())
        collectgarbage()
      end
    end
    for i = 1, 20 do
      assert.is_not_nil((futures[i]:result()))
    end
  end)

  it("outlives the executors that it was sent to", function()
    local shared = object.new()
    local result
    do
      local ex <close> = make { max_workers = 1 }
      result = ex:submit(object.act, shared):result()
    end
    collectgarbage()
    object.check(shared, result)
  end)

  it("may be dropped by thousands, here and in tasks", function()
    local ex <close> = make { max_workers = 1 }
    local act = object.act
    for _ = 1, 1000 do
      ex:submit(act, object.new()):result()
    end
    ex:submit(collectgarbage):result()
    collectgarbage()
    local shared = object.new()
    object.check(shared, (ex:submit(act, shared):result()))
  end)

  it("does not come out of a task that could not be sent", function()
    local ex <close> = make { max_workers = 1 }
    local shared = object.new()
    for _ = 1, 100 do
      helper.raises("SerializationError", ex.submit, ex, echo, shared, coroutine.create(print))
    end
    object.check(shared, (ex:submit(object.act, shared):result()))
  end)
end

--- Makes the tests that hold for every shared object.
-- @tparam table kind one of spec.support.kinds
-- @tparam table object as above
function sharing.tests(kind, object)
  ways_in(kind, object)
  ways_out(kind, object)
  manners(object)
  endings(kind, object)

  it("is one object, however often a message has it", function()
    local ex <close> = kind.make { max_workers = 1 }
    local shared, act = object.new(), object.act
    local result = ex:submit(function(first, list)
      local _ = first
      return (act(list[1]))
    end, shared, { shared, shared }):result()
    object.check(shared, result)
  end)
end

return sharing
