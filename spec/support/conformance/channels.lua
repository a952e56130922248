-- Channels: values in at one end, out at the other, between all states.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"
local sharing = require "spec.support.sharing"

local it = busted.it

local function echo(...)
  return ...
end

local function send(channel, value)
  channel:send(value)
end

local function receive(channel)
  return channel:receive()
end

local function send_all(channel, first, last)
  for i = first, last do
    channel:send(i)
  end
end

-- All that is left in a channel, until it is closed and drained.
local function drain(channel)
  local list = {}
  for value in channel do
    list[#list + 1] = value
  end
  return list
end

-- Fails unless these lists hold 1 to n, each exactly once.
local function check_complete(n, lists)
  local seen, count, sum = {}, 0, 0
  for _, list in ipairs(lists) do
    for _, value in ipairs(list) do
      assert.is_nil(seen[value], "twice: " .. tostring(value))
      seen[value] = true
      count, sum = count + 1, sum + value
    end
  end
  assert.are.equal(n, count)
  assert.are.equal(n * (n + 1) // 2, sum)
end

local Point = { __name = "Point" }
Point.__index = Point

function Point.double(p)
  p.x = 2 * p.x
  return p
end

-- Values of all sorts, and none of them nil.
local function values()
  return {
    true, false, 0, -1, 1.5, -0.0, math.huge, math.maxinteger, math.mininteger, 3.0,
    "", "text", "zero\0bytes\0", ("x"):rep(1 << 20), {}, { 1, { 2, { 3 } }, a = { b = "c" } },
    { [1.5] = 1, [true] = 2, [-7] = 3 },
  }
end

return function(kind)
  local make = kind.make

  sharing.tests(kind, {
    what = "a channel",
    new = lpool.channel,
    act = function(channel)
      channel:send({ "from the task" })
      return #channel
    end,
    check = function(channel, length)
      assert.are.equal(1, length)
      assert.are.same({ "from the task" }, channel:receive(5))
      assert.are.equal(0, #channel)
    end,
    misused = { "receive", "try_receive", "close", "send", "try_send" },
  })

  -- In one state ---------------------------------------------------------------

  it("gives first what was sent first", function()
    local channel = lpool.channel()
    send_all(channel, 1, 1000)
    assert.are.equal(1000, #channel)
    for i = 1, 1000 do
      assert.are.equal(i, channel:receive())
    end
    assert.are.equal(0, #channel)
  end)

  it("has room for any number of values if nothing is said", function()
    for _, channel in ipairs { lpool.channel(), lpool.channel(nil) } do
      for i = 1, 20000 do
        assert.is_true(channel:try_send(i))
      end
      assert.are.equal(20000, #channel)
      channel:close()
      check_complete(20000, { drain(channel) })
    end
  end)

  it("has room for as many values as it was told", function()
    for _, capacity in ipairs { 1, 2, 100 } do
      local channel = lpool.channel(capacity)
      for i = 1, capacity do
        channel:send(i)
      end
      assert.are.equal(capacity, #channel)
      assert.is_false(channel:try_send("more"))
      assert.are.equal(capacity, #channel)
      assert.are.equal(1, channel:receive())
      assert.is_true(channel:try_send("more"))
      assert.is_false(channel:try_send("even more"))
    end
  end)

  it("may be told a great capacity, which costs nothing", function()
    local channel = lpool.channel(1 << 40)
    channel:send(1)
    assert.are.equal(1, channel:receive())
  end)

  it("refuses a capacity that is none, at the caller's line", function()
    for _, wrong in ipairs { 0, -1, 1.5, "x", {}, true, math.mininteger, 0 / 0, math.huge } do
      helper.misuse(function()
        lpool.channel(wrong)
      end, type(wrong) == "number" and wrong <= 0 and "capacity" or "")
    end
  end)

  it("gives in turns with what it takes", function()
    local channel, sent, received = lpool.channel(7), 0, 0
    while received < 500 do
      while channel:try_send(sent + 1) do
        sent = sent + 1
      end
      for _ = 1, 3 do
        received = received + 1
        assert.are.equal(received, channel:receive())
      end
    end
  end)

  it("refuses nil, at the caller's line", function()
    local channel = lpool.channel()
    helper.misuse(function()
      channel:send(nil)
    end, "nil")
    helper.misuse(function()
      channel:send()
    end, "")
    helper.misuse(function()
      channel:try_send(nil)
    end, "nil")
    assert.are.equal(0, #channel)
  end)

  it("gives each value as it was sent", function()
    local channel = lpool.channel()
    for _, value in ipairs(values()) do
      channel:send(value)
      local back = channel:receive()
      assert.are.same(value, back)
      assert.are.equal(math.type(value), math.type(back))
    end
    channel:send(-0.0)
    assert.are.equal(-math.huge, 1 / channel:receive())
    channel:send(0 / 0)
    local nan = channel:receive()
    assert.is_true(nan ~= nan)
  end)

  it("gives copies", function()
    local channel, t = lpool.channel(), { 1 }
    channel:send(t)
    t[1] = "changed"
    local back = channel:receive()
    assert.are.same({ 1 }, back)
    assert.is_false(rawequal(t, back))
  end)

  it("gives tables that contain themselves, and shared parts", function()
    local channel, part = lpool.channel(), {}
    local t = { part, part }
    t.self = t
    channel:send(t)
    local back = channel:receive()
    assert.is_true(rawequal(back, back.self))
    assert.is_true(rawequal(back[1], back[2]))
  end)

  it("gives functions with their upvalues", function()
    local channel, n = lpool.channel(), 10
    channel:send({
      add = function(k)
        n = n + k
        return n
      end,
      get = function()
        return n
      end,
    })
    local back = channel:receive()
    assert.are.equal(15, back.add(5))
    assert.are.equal(15, back.get())
    assert.are.equal(10, n)
    channel:send(string.format)
    assert.are.equal("7", channel:receive()("%d", 7))
  end)

  it("gives objects with the very metatable they left with", function()
    local channel = lpool.channel()
    channel:send(setmetatable({ x = 1 }, Point))
    local back = channel:receive()
    assert.is_true(rawequal(Point, getmetatable(back)))
    assert.are.equal(1, back.x)
  end)

  it("refuses what cannot be sent, names it, and goes on", function()
    local channel, co = lpool.channel(), coroutine.create(print)
    for _, method in ipairs { channel.send, channel.try_send } do
      local err = helper.raises("SerializationError", method, channel, co)
      helper.contains("a coroutine", err.message)
      err = helper.raises("SerializationError", method, channel, { list = { 1, { co = co } } })
      helper.contains("'list[2].co': a coroutine", err.message)
      err = helper.raises("SerializationError", method, channel, function()
        return co
      end)
      helper.contains("'co'", err.message)
      helper.contains("a coroutine", err.message)
      helper.raises("SerializationError", method, channel, io.stdout)
      helper.raises("SerializationError", method, channel, ("x"):gmatch("x"))
    end
    assert.are.equal(0, #channel)
    channel:send("on")
    assert.are.equal("on", channel:receive())
  end)

  it("refuses executors and futures", function()
    local channel = lpool.channel()
    local ex <close> = make()
    local f = ex:submit(echo)
    local err = helper.raises("SerializationError", channel.send, channel, ex)
    helper.contains("executor", err.message)
    err = helper.raises("SerializationError", channel.send, channel, f)
    helper.contains("future", err.message)
    f:result()
  end)

  it("leaves nothing of a value that failed in the next one", function()
    local channel, part = lpool.channel(), { "part" }
    for _ = 1, 100 do
      helper.raises("SerializationError", channel.send, channel, { part, coroutine.create(print) })
      channel:send({ part, part })
      local back = channel:receive()
      assert.are.same({ "part" }, back[1])
      assert.is_true(rawequal(back[1], back[2]))
    end
  end)

  it("gives one value to each receive", function()
    local channel = lpool.channel()
    channel:send(1, 2, 3)
    assert.are.equal(1, #channel)
    assert.are.same({ 1, n = 1 }, table.pack(channel:receive()))
  end)

  it("tells by try_receive whether there was a value", function()
    local channel = lpool.channel()
    assert.are.same({ false, n = 1 }, table.pack(channel:try_receive()))
    channel:send("x")
    channel:send(false)
    assert.are.same({ true, "x", n = 2 }, table.pack(channel:try_receive()))
    assert.are.same({ true, false, n = 2 }, table.pack(channel:try_receive()))
    assert.are.same({ false, n = 1 }, table.pack(channel:try_receive()))
  end)

  -- Time limits ----------------------------------------------------------------

  it("raises TimeoutError when nothing comes in time", function()
    local channel = lpool.channel()
    for _, seconds in ipairs { 0, 0.0, 0.02 } do
      local err = helper.raises("TimeoutError", channel.receive, channel, seconds)
      assert.are.equal("TimeoutError", err.kind)
    end
    local start = lpool.now()
    helper.raises("TimeoutError", channel.receive, channel, 0.05)
    assert.is_true(lpool.now() - start >= 0.05)
    channel:send("on")
    assert.are.equal("on", channel:receive(0))
  end)

  it("gives what is there, whatever the time limit", function()
    local channel = lpool.channel()
    for _, seconds in ipairs { 0, 1, 0.5, 1e300, math.huge } do
      channel:send(seconds)
      assert.are.equal(seconds, channel:receive(seconds))
    end
    channel:send("x")
    assert.are.equal("x", channel:receive(nil))
  end)

  it("refuses a time limit that is no number, at the caller's line", function()
    local channel = lpool.channel()
    channel:send(1)
    for _, wrong in ipairs { "soon", {}, true } do
      helper.misuse(function()
        channel:receive(wrong)
      end, "number")
    end
    assert.are.equal(1, #channel)
  end)

  it("raises TimeoutError in a task too, for that to handle or not", function()
    local ex <close> = make { max_workers = 1 }
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    local f = ex:submit(function()
      return channel:receive(0.01)
    end)
    helper.raises("TimeoutError", f.result, f, 20)
    assert.is_true(ex:submit(function()
      local ok, err = pcall(channel.receive, channel, 0.01)
      return not ok and lpool.is(err, "TimeoutError")
    end):result(20))
  end)

  -- Closing ----------------------------------------------------------------------

  it("gives what was sent before it was closed, and then nothing", function()
    local channel = lpool.channel()
    send_all(channel, 1, 3)
    channel:close()
    assert.are.equal(3, #channel)
    assert.are.equal(1, channel:receive())
    assert.are.equal(2, channel:receive(1))
    assert.are.same({ true, 3, n = 2 }, table.pack(channel:try_receive()))
    for _ = 1, 2 do
      assert.are.equal(0, select("#", channel:receive()))
      assert.are.equal(0, select("#", channel:receive(0)))
      assert.are.equal(0, select("#", channel:receive(100)))
      assert.is_false((channel:try_receive()))
    end
    assert.are.equal(0, #channel)
  end)

  it("may be closed again", function()
    local channel = lpool.channel()
    channel:close()
    channel:close()
    assert.are.equal(0, select("#", channel:receive()))
  end)

  it("raises from send once closed, and takes nothing", function()
    local channel = lpool.channel(1)
    channel:close()
    helper.contains("closed", helper.raised(channel.send, channel, 1))
    assert.is_false(channel:try_send(1))
    assert.are.equal(0, #channel)
  end)

  it("raises from send once closed, full or not", function()
    local channel = lpool.channel(1)
    channel:send(1)
    channel:close()
    helper.contains("closed", helper.raised(channel.send, channel, 2))
    assert.are.same({ 1 }, drain(channel))
  end)

  it("ends a for loop once it is closed and drained", function()
    local channel = lpool.channel()
    for _, value in ipairs { 1, false, "x", { 4 } } do
      channel:send(value)
    end
    channel:close()
    local list = {}
    for value in channel do
      list[#list + 1] = value
    end
    assert.are.same({ 1, false, "x", { 4 } }, list)
    for _ in channel do
      error("there was more")
    end
  end)

  it("keeps the rest when a loop is left", function()
    local channel = lpool.channel()
    send_all(channel, 1, 3)
    for value in channel do
      if value == 2 then
        break
      end
    end
    assert.are.equal(1, #channel)
    assert.are.equal(3, channel:receive())
  end)

  it("gives in one loop what is sent in it", function()
    local channel, sum = lpool.channel(), 0
    channel:send(1)
    for value in channel do
      sum = sum + value
      if value < 100 then
        channel:send(value + 1)
      else
        channel:close()
      end
    end
    assert.are.equal(5050, sum)
  end)

  -- Between states, one after the other ----------------------------------------------

  it("brings values of all sorts to a task and back, as they were", function()
    local ex <close> = make { max_workers = 1 }
    local there, back = lpool.channel(), lpool.channel()
    local _ <close> = sharing.closing(there, back)
    for _, value in ipairs(values()) do
      there:send(value)
    end
    there:close()
    ex:submit(function()
      for value in there do
        back:send(value)
      end
      back:close()
    end):result()
    assert.are.same(values(), drain(back))
  end)

  it("brings functions and their upvalues to a task", function()
    local ex <close> = make { max_workers = 1 }
    local channel, n = lpool.channel(), 40
    local _ <close> = sharing.closing(channel)
    channel:send(function(k)
      return n + k
    end)
    channel:send(math.max)
    assert.are.same({ 42, 9 }, { ex:submit(function()
      local plus, max = channel:receive(), channel:receive()
      return plus(2), max(3, 9)
    end):result() })
    assert.are.equal(40, n)
  end)

  it("brings objects with their methods to a task, and back to their class", function()
    local ex <close> = make { max_workers = 1 }
    local there, back = lpool.channel(), lpool.channel()
    local _ <close> = sharing.closing(there, back)
    there:send(setmetatable({ x = 21 }, Point))
    ex:submit(function()
      back:send(there:receive():double())
    end):result()
    local point = back:receive(5)
    assert.are.equal(42, point.x)
    assert.is_true(rawequal(Point, getmetatable(point)))
  end)

  it("brings many objects of many classes by and by", function()
    local ex <close> = make { max_workers = 1 }
    local there, back = lpool.channel(), lpool.channel()
    local _ <close> = sharing.closing(there, back)
    local classes = {}
    for round = 1, 3 do
      for i = 1, 30 do
        classes[i] = classes[i] or { __index = { id = i } }
        there:send(setmetatable({ round = round }, classes[i]))
      end
      ex:submit(function()
        while #there > 0 do
          local object = there:receive()
          object.seen = object.id
          back:send(object)
        end
      end):result()
      for i = 1, 30 do
        local object = back:receive(5)
        assert.are.same({ i, round, i }, { object.id, object.round, rawget(object, "seen") })
        assert.is_true(rawequal(classes[i], getmetatable(object)))
      end
    end
  end)

  it("brings large strings whole", function()
    local ex <close> = make { max_workers = 1 }
    local there, back = lpool.channel(), lpool.channel()
    local _ <close> = sharing.closing(there, back)
    local text = ("0123456789abcdef"):rep(1 << 20)
    there:send(text)
    ex:submit(function()
      local got = there:receive()
      back:send(got)
      back:send(got .. "!")
    end):result()
    assert.is_true(back:receive() == text)
    assert.is_true(back:receive() == text .. "!")
  end)

  it("refuses in a task what cannot be sent, and names it", function()
    local ex <close> = make { max_workers = 1 }
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    local f = ex:submit(function()
      channel:send({ conn = { co = coroutine.create(print) } })
    end)
    local err = helper.raises("SerializationError", f.result, f)
    helper.contains("'conn.co': a coroutine", err.message)
    assert.are.equal(0, #channel)
  end)

  it("is made in a task, for tasks of that", function()
    local ex <close> = make { max_workers = 1 }
    assert.are.same({ 1, 2, 3 }, (ex:submit(function(constructor)
      local channel = lpool.channel()
      local inner <close> = lpool[constructor]()
      inner:submit(send_all, channel, 1, 3):result()
      channel:close()
      return drain(channel)
    end, kind.constructor):result()))
  end)

  it("closed in a task is closed for all", function()
    local ex <close> = make { max_workers = 1 }
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    channel:send("before")
    ex:submit(function()
      channel:close()
    end):result()
    helper.contains("closed", helper.raised(channel.send, channel, 1))
    assert.are.same({ "before" }, drain(channel))
    local f = ex:submit(send, channel, 1)
    helper.contains("closed", helper.raised(f.result, f))
  end)

  it("brings each message of several producers to one of several consumers", function()
    local ex <close> = make { max_workers = 4 }
    -- Where one task runs after the other, all must have room.
    local channel = lpool.channel(kind.concurrent and 10 or nil)
    local _ <close> = sharing.closing(channel)
    local producers, consumers = {}, {}
    local function produce(i)
      producers[i] = ex:submit(send_all, channel, i * 500 - 499, i * 500)
    end
    if not kind.concurrent then
      produce(1)
      produce(2)
      channel:close()
    end
    for i = 1, 2 do
      consumers[i] = ex:submit(drain, channel)
    end
    if kind.concurrent then
      produce(1)
      produce(2)
      lpool.wait(producers)
      channel:close()
    end
    producers[1]:result(20)
    producers[2]:result(20)
    check_complete(1000, { (consumers[1]:result(20)), (consumers[2]:result(20)) })
  end)

  if kind.interrupts or kind.knows.timeout then
    it("lets a task be stopped by its timeout in receive, and loses nothing by it", function()
      local ex <close> = make { max_workers = 1 }
      local channel = lpool.channel()
      local _ <close> = sharing.closing(channel)
      local f = ex:with({ timeout = 0.05 }):submit(receive, channel)
      local err = helper.raises("TimeoutError", f.result, f, 20)
      helper.contains("0.05", err.message)
      channel:send("for another")
      assert.are.equal("for another", ex:submit(receive, channel):result(20))
    end)

    it("lets a task be stopped by its timeout in send, which sends nothing", function()
      local ex <close> = make { max_workers = 1 }
      local channel = lpool.channel(1)
      local _ <close> = sharing.closing(channel)
      channel:send(1)
      local f = ex:with({ timeout = 0.05 }):submit(send, channel, 2)
      local err = helper.raises("TimeoutError", f.result, f, 20)
      helper.contains("0.05", err.message)
      assert.are.equal(1, channel:receive(20))
      assert.are.equal(0, #channel)
      ex:submit(send, channel, 3):result(20)
      assert.are.equal(3, channel:receive(20))
    end)
  end

  if not kind.concurrent then
    return
  end

  -- Between states, at the same time ----------------------------------------------------

  it("makes receive wait for what a task sends", function()
    local ex <close> = make { max_workers = 1 }
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    local gate <close> = helper.gate.new()
    ex:submit(function(path)
      require("spec.support.gate").hold(path)
      channel:send("late")
    end, gate.path)
    gate:await(1)
    helper.raises("TimeoutError", channel.receive, channel, 0)
    gate:open()
    assert.are.equal("late", channel:receive())
  end)

  it("makes a task's receive wait for what the script sends", function()
    local ex <close> = make { max_workers = 1 }
    local channel, arrivals = lpool.channel(), lpool.counter()
    local _ <close> = sharing.closing(channel)
    for i = 1, 20 do
      local f = ex:submit(function()
        arrivals:add()
        return channel:receive()
      end)
      helper.eventually(function()
        return arrivals:get() == i
      end, "the task had begun")
      assert.is_false(f:done())
      channel:send(i)
      assert.are.equal(i, f:result(20))
    end
  end)

  it("makes send wait while it is full", function()
    local ex <close> = make { max_workers = 1 }
    local channel, sent = lpool.channel(3), lpool.counter()
    local _ <close> = sharing.closing(channel)
    local f = ex:submit(function()
      for i = 1, 20 do
        channel:send(i)
        sent:add()
      end
    end)
    for i = 1, 20 do
      -- As many as have room, and never more.
      local most = math.min(i + 2, 20)
      helper.eventually(function()
        assert.is_true(sent:get() <= most)
        assert.is_true(#channel <= 3)
        return sent:get() == most
      end, "there was no more room")
      assert.are.equal(i, channel:receive())
    end
    f:result(20)
    assert.are.equal(0, #channel)
  end)

  it("makes the script's send wait while it is full", function()
    local ex <close> = make { max_workers = 1 }
    local channel, received = lpool.channel(2), lpool.counter()
    local _ <close> = sharing.closing(channel)
    local f = ex:submit(function()
      for i = 1, 500 do
        received:add()
        if channel:receive() ~= i then
          error("out of order")
        end
      end
    end)
    for i = 1, 500 do
      channel:send(i)
      -- What is in has a place, or was taken.
      assert.is_true(i <= received:get() + 2)
    end
    f:result(20)
  end)

  it("answers a message with a message, many times", function()
    local ex <close> = make { max_workers = 1 }
    local there, back = lpool.channel(), lpool.channel()
    local _ <close> = sharing.closing(there, back)
    local f = ex:submit(function()
      for n in there do
        back:send(n + 1)
      end
    end)
    local n = 0
    for _ = 1, 1000 do
      there:send(n)
      n = back:receive(20)
    end
    assert.are.equal(1000, n)
    there:close()
    f:result(20)
  end)

  it("gives a loop of the script what a task sends meanwhile", function()
    local ex <close> = make { max_workers = 1 }
    local channel = lpool.channel(5)
    local _ <close> = sharing.closing(channel)
    ex:submit(function()
      send_all(channel, 1, 1000)
      channel:close()
    end)
    check_complete(1000, { drain(channel) })
  end)

  it("keeps the order of each producer", function()
    local ex <close> = make { max_workers = 3 }
    local channel, futures = lpool.channel(4), {}
    local _ <close> = sharing.closing(channel)
    for k = 1, 3 do
      futures[k] = ex:submit(function()
        for i = 1, 300 do
          channel:send({ producer = k, i = i })
        end
      end)
    end
    local last = { 0, 0, 0 }
    for _ = 1, 900 do
      local message = channel:receive(20)
      assert.are.equal(last[message.producer] + 1, message.i)
      last[message.producer] = message.i
    end
    for k = 1, 3 do
      futures[k]:result(20)
    end
    assert.are.equal(0, #channel)
  end)

  it("brings each message of the script and tasks to one of the script and tasks", function()
    local ex <close> = make { max_workers = 4 }
    local channel, producers, consumers = lpool.channel(3), {}, {}
    local _ <close> = sharing.closing(channel)
    for i = 1, 2 do
      producers[i] = ex:submit(send_all, channel, i * 1000 - 999, i * 1000)
      consumers[i] = ex:submit(drain, channel)
    end
    local own = {}
    for i = 2001, 2500 do
      while not channel:try_send(i) do
        local ok, value = channel:try_receive()
        own[#own + 1] = ok and value or nil
      end
    end
    producers[1]:result(20)
    producers[2]:result(20)
    channel:close()
    check_complete(2500, { own, drain(channel), (consumers[1]:result(20)),
      (consumers[2]:result(20)) })
  end)

  it("brings many large messages through little room", function()
    local ex <close> = make { max_workers = 2 }
    local channel = lpool.channel(2)
    local _ <close> = sharing.closing(channel)
    local f = ex:submit(function()
      for i = 1, 40 do
        channel:send({ i, string.char(i):rep(1 << 20) })
      end
      channel:close()
    end)
    local i = 0
    for message in channel do
      i = i + 1
      assert.are.equal(i, message[1])
      assert.is_true(message[2] == string.char(i):rep(1 << 20))
    end
    assert.are.equal(40, i)
    f:result(20)
  end)

  it("lets all who receive go when it is closed", function()
    local ex <close> = make { max_workers = 3 }
    local channel, arrivals, futures = lpool.channel(), lpool.counter(), {}
    local _ <close> = sharing.closing(channel)
    for i = 1, 3 do
      futures[i] = ex:submit(function()
        arrivals:add()
        return select("#", channel:receive())
      end)
    end
    helper.eventually(function()
      return arrivals:get() == 3
    end, "all had begun")
    channel:close()
    for i = 1, 3 do
      assert.are.equal(0, futures[i]:result(20))
    end
  end)

  it("raises from all sends that wait when it is closed", function()
    local ex <close> = make { max_workers = 3 }
    local channel, arrivals, futures = lpool.channel(1), lpool.counter(), {}
    local _ <close> = sharing.closing(channel)
    channel:send("first")
    for i = 1, 3 do
      futures[i] = ex:submit(function()
        arrivals:add()
        channel:send("too late")
      end)
    end
    helper.eventually(function()
      return arrivals:get() == 3
    end, "all had begun")
    channel:close()
    for i = 1, 3 do
      helper.contains("closed", tostring((futures[i]:exception(20))))
    end
    assert.are.same({ "first" }, drain(channel))
  end)

  it("lets the script's receive go when a task closes it", function()
    local ex <close> = make { max_workers = 1 }
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    ex:submit(function()
      channel:close()
    end)
    assert.are.equal(0, select("#", channel:receive()))
  end)

  it("lets callbacks run while the script waits in receive", function()
    local ex <close> = make { max_workers = 2 }
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    ex:submit(echo, "sent by a callback"):add_done_callback(function(f)
      channel:send(f:result())
    end)
    assert.are.equal("sent by a callback", channel:receive())
  end)

  it("may be received from in a coroutine of the script", function()
    local ex <close> = make { max_workers = 1 }
    local channel = lpool.channel(1)
    local _ <close> = sharing.closing(channel)
    ex:submit(send_all, channel, 1, 100)
    local lines = coroutine.wrap(function()
      for value in channel do
        coroutine.yield(value)
      end
    end)
    for i = 1, 100 do
      assert.are.equal(i, lines())
    end
  end)

  if not kind.interrupts then
    return
  end

  -- Interrupts fn once it waits, or is about to; the next task is served.
  local function interrupted(fn)
    local ex <close> = make { max_workers = 1 }
    local arrivals = lpool.counter()
    local f = ex:submit(function()
      arrivals:add()
      fn()
    end)
    helper.eventually(function()
      return arrivals:get() == 1
    end, "the task had begun")
    assert.is_true(f:interrupt())
    helper.raises("CancelledError", f.result, f, 20)
    assert.are.equal("cancelled", f:state())
    assert.are.equal("on", ex:submit(echo, "on"):result(20))
  end

  it("lets a task be interrupted in receive, and loses nothing by it", function()
    local channel = lpool.channel()
    for i = 1, 10 do
      interrupted(function()
        channel:receive()
      end)
      channel:send(i)
      assert.are.equal(i, channel:receive(20))
    end
  end)

  it("lets a task be interrupted in receive with a time limit", function()
    local channel = lpool.channel()
    interrupted(function()
      channel:receive(1000)
    end)
  end)

  it("lets a task be interrupted in send, which sends nothing", function()
    local channel = lpool.channel(1)
    for i = 1, 10 do
      channel:send(i)
      interrupted(function()
        channel:send("not sent")
      end)
      assert.are.equal(i, channel:receive(20))
      assert.are.equal(0, #channel)
    end
  end)

  it("lets a task be interrupted in a loop that catches all", function()
    local channel = lpool.channel()
    interrupted(function()
      while true do
        pcall(channel.receive, channel)
      end
    end)
    interrupted(function()
      while true do
        for _ in channel do
          local _ = {}
        end
      end
    end)
  end)

  it("passes over a task that was interrupted, to others who wait", function()
    local ex <close> = make { max_workers = 3 }
    local channel, arrivals, futures = lpool.channel(), lpool.counter(), {}
    local _ <close> = sharing.closing(channel)
    for i = 1, 3 do
      futures[i] = ex:submit(function()
        arrivals:add()
        return channel:receive()
      end)
    end
    helper.eventually(function()
      return arrivals:get() == 3
    end, "all had begun")
    futures[1]:interrupt()
    helper.raises("CancelledError", futures[1].result, futures[1], 20)
    channel:send(1)
    channel:send(2)
    check_complete(2, { { (futures[2]:result(20)), (futures[3]:result(20)) } })
  end)

  for _, stop in ipairs { "terminate_workers", "kill_workers" } do
    it(stop .. " ends tasks that wait in receive and send", function()
      local ex = make { max_workers = 2 }
      local empty, full, arrivals = lpool.channel(), lpool.channel(1), lpool.counter()
      full:send(1)
      local f = ex:submit(function()
        arrivals:add()
        empty:receive()
      end)
      local g = ex:submit(function()
        arrivals:add()
        full:send(2)
      end)
      helper.eventually(function()
        return arrivals:get() == 2
      end, "both had begun")
      ex[stop](ex)
      local expected = kind.same_process and "CancelledError" or "WorkerLostError"
      helper.raises(expected, f.result, f, 20)
      helper.raises(expected, g.result, g, 20)
      ex:shutdown()
      assert.are.equal(1, full:receive(20))
      empty:send("on")
      assert.are.equal("on", empty:receive(20))
    end)
  end
end
