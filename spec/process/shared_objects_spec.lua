-- Channels, counters, dicts and buffers among processes, which may die at any
-- moment: what they held is lost, all else goes on.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"
local processes = require "spec.support.processes"
local sharing = require "spec.support.sharing"

-- Tasks ----------------------------------------------------------------------------

-- Ends the process that calls it.
local function die()
  io.popen("kill -KILL $PPID"):close()
  lpool.sleep(100)
end

local function increment(old)
  return (old or 0) + 1
end

local function receive(channel)
  return channel:receive()
end

local function send_all(channel, first, last)
  for i = first, last do
    channel:send(i)
  end
end

local function drain(channel)
  local list = {}
  for value in channel do
    list[#list + 1] = value
  end
  return list
end

-- In the test ----------------------------------------------------------------------

local function kill(pid)
  os.execute("kill -KILL " .. pid)
end

local function check_lost(f)
  local err = f:exception(20)
  assert.is_true(lpool.is(err, "WorkerLostError"), tostring(err))
  assert.are.equal("SIGKILL", err.signal)
end

local function await_count(counter, n)
  helper.eventually(function()
    return counter:get() >= n
  end, ("there were %d arrivals"):format(n))
end

-- Whether a process sleeps, as one does that waits.
local function asleep(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  return file ~= nil and file:read("a"):find("%) S ") ~= nil
end

-- Submits fn, whose task begins to wait soon, and returns its future once it
-- sleeps. That it sleeps elsewhere makes the test weaker, not wrong.
local function submit_waiting(ex, fn, ...)
  local arrivals = lpool.counter()
  local f = ex:submit(function(...)
    arrivals:add()
    return fn(...)
  end, ...)
  await_count(arrivals, 1)
  helper.eventually(function()
    return f:pid() and asleep(f:pid())
  end, "the task slept")
  return f
end

-- What is in a list, as a set; nothing may be there twice.
local function set_of(...)
  local seen = {}
  for _, list in ipairs { ... } do
    for _, value in ipairs(list) do
      assert.is_nil(seen[value], "twice: " .. tostring(value))
      seen[value] = true
    end
  end
  return seen
end

local function check_complete(n, ...)
  local seen = set_of(...)
  for i = 1, n do
    assert.is_true(seen[i], "lost: " .. i)
  end
  assert.are.equal(n, helper.inventory.count(seen))
end

describe("a channel of which a process dies", function()
  it("while it waits in receive loses no message", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    local victim = submit_waiting(ex, receive, channel)
    local other = submit_waiting(ex, drain, channel)
    kill(victim:pid())
    check_lost(victim)
    send_all(channel, 1, 200)
    channel:close()
    check_complete(200, (other:result(20)))
  end)

  it("while others wait too lets those go on, many times", function()
    local ex <close> = lpool.ProcessPoolExecutor(3)
    local there, back = lpool.channel(), lpool.channel()
    local _ <close> = sharing.closing(there, back)
    local function answer()
      for n in there do
        back:send(n)
      end
    end
    local other = submit_waiting(ex, answer)
    for i = 1, 15 do
      local victims = { submit_waiting(ex, receive, there), submit_waiting(ex, receive, there) }
      for _, victim in ipairs(victims) do
        kill(victim:pid())
      end
      check_lost(victims[1])
      check_lost(victims[2])
      there:send(i)
      assert.are.equal(i, back:receive(20))
    end
    there:close()
    other:result(20)
  end)

  it("while messages come may lose one of them, unless it only waited", function()
    -- The messages come while it may be dying; at most the one that it took is lost.
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for _ = 1, 10 do
      local channel = lpool.channel()
      local _ <close> = sharing.closing(channel)
      local victim = submit_waiting(ex, receive, channel)
      local other = submit_waiting(ex, drain, channel)
      local killer <close> = io.popen("kill -KILL " .. victim:pid())
      send_all(channel, 1, 50)
      channel:close()
      local ok, value = pcall(victim.result, victim, 20)
      killer:close() -- it hits no later task
      local seen = set_of(other:result(20), { ok and value or nil })
      local missing = 50 - helper.inventory.count(seen)
      assert.is_true(missing == 0 or missing == 1 and not ok, missing .. " lost")
    end
  end)

  it("among many that receive loses at most what each dead one held", function()
    helper.limit(60)
    local ex <close> = lpool.ProcessPoolExecutor(4)
    local n, deaths = 6000, 10
    local channel, received = lpool.channel(50), lpool.counter()
    local _ <close> = sharing.closing(channel)
    local seen = lpool.buffer("i32", n)
    local function consume()
      for i in channel do
        seen[i] = seen[i] + 1 -- nobody else has this message
        received:add()
      end
    end
    local consumers = {}
    for k = 1, 3 do
      consumers[k] = ex:submit(consume)
    end
    local producer = ex:submit(send_all, channel, 1, n)
    for round = 1, deaths do
      await_count(received, round * 400)
      local k = round % 3 + 1
      helper.eventually(function()
        return consumers[k]:running() and consumers[k]:pid()
      end, "the task ran")
      kill(consumers[k]:pid())
      check_lost(consumers[k])
      consumers[k] = ex:submit(consume)
    end
    producer:result(40)
    channel:close()
    for k = 1, 3 do
      consumers[k]:result(20)
    end
    local missing = 0
    for i = 1, n do
      assert.is_true(seen[i] <= 1, "twice: " .. i)
      missing = missing + 1 - seen[i]
    end
    assert.is_true(missing <= deaths, missing .. " lost")
    -- What was counted is what was seen, but for deaths between the two.
    assert.is_true(n - missing - received:get() <= deaths)
  end)

  it("while it sends has in it whole messages only, and all that were sent", function()
    helper.limit(60)
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local channel, sent = lpool.channel(5), lpool.buffer("i64", 1)
    local _ <close> = sharing.closing(channel)
    local function produce()
      for i = 1, math.huge do
        channel:send({ i, ("x"):rep(i * 7919 % 200000), i })
        sent[1] = i
      end
    end
    for round = 1, 12 do
      sent[1] = 0
      local producer = ex:submit(produce)
      local last = 0
      local function check(message)
        last = last + 1
        assert.are.equal(last, message[1])
        assert.are.equal(last * 7919 % 200000, #message[2])
        assert.are.equal(last, message[3])
      end
      for _ = 1, round * 5 do
        check(channel:receive(20))
      end
      kill(producer:pid())
      check_lost(producer)
      local ok, message = channel:try_receive()
      while ok do
        check(message)
        ok, message = channel:try_receive()
      end
      local announced = sent[1]
      assert.is_true(last == announced or last == announced + 1,
        ("%d came, %d were sent"):format(last, announced))
      assert.are.equal(0, #channel)
    end
  end)

  it("while it waits in send has nothing of that, and has room for others", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local channel = lpool.channel(1)
    local _ <close> = sharing.closing(channel)
    for i = 1, 10 do
      channel:send(i)
      local victim = submit_waiting(ex, send_all, channel, 1000, 1000)
      kill(victim:pid())
      check_lost(victim)
      assert.are.equal(1, #channel)
      local other = ex:submit(send_all, channel, 2000, 2001)
      for _, expected in ipairs { i, 2000, 2001 } do
        assert.are.equal(expected, channel:receive(20))
      end
      other:result(20)
      assert.are.equal(0, #channel)
    end
  end)

  it("still has what a dead one sent", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    local text = ("x"):rep(1 << 20)
    check_lost(ex:submit(function()
      for i = 1, 5 do
        channel:send({ i, text })
      end
      die()
    end))
    for i = 1, 5 do
      local message = channel:receive(20)
      assert.are.equal(i, message[1])
      assert.is_true(message[2] == text)
    end
    assert.are.equal(0, #channel)
  end)

  it("is closed by the script, or by another, as if nothing had been", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local channel = lpool.channel(1)
    local _ <close> = sharing.closing(channel)
    local victim = submit_waiting(ex, receive, channel)
    local other = submit_waiting(ex, drain, channel)
    kill(victim:pid())
    check_lost(victim)
    ex:submit(function()
      channel:close()
    end):result(20)
    assert.are.same({}, (other:result(20)))
    helper.contains("closed", helper.raised(channel.send, channel, 1))
  end)

  it("in a function that is being sent or received goes on", function()
    -- What the value itself does on its way may end the process.
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    local Deadly = {
      __serialize = function()
        die()
      end,
      __deserialize = function(value)
        return value
      end,
    }
    check_lost(ex:submit(function()
      channel:send(setmetatable({}, Deadly))
    end))
    assert.are.equal(0, #channel)
    local Lethal = {
      __serialize = function()
        return 1
      end,
      __deserialize = function()
        die()
      end,
    }
    channel:send(setmetatable({}, Lethal))
    channel:send("after")
    check_lost(ex:submit(receive, channel))
    assert.are.equal("after", ex:submit(receive, channel):result(20))
  end)
end)

describe("a counter of which a process dies", function()
  it("has all that it added, once", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local counter, own = lpool.counter(), lpool.buffer("i64", 1)
    local total = 0
    for _ = 1, 10 do
      own[1] = 0
      local begun = lpool.counter()
      local victim = ex:submit(function()
        for i = 1, math.huge do
          counter:add()
          own[1] = i
          begun:set(1)
        end
      end)
      await_count(begun, 1)
      kill(victim:pid())
      check_lost(victim)
      local added = counter:get() - total
      assert.is_true(added == own[1] or added == own[1] + 1,
        ("%d, but %d were announced"):format(added, own[1]))
      total = counter:get()
      assert.are.equal(total + 1, (ex:submit(function()
        return counter:add()
      end):result(20)))
      total = total + 1
    end
  end)

  it("counts how often a task was tried", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local tries = lpool.counter()
    assert.are.equal("done", ex:with({ retries = 5 }):submit(function()
      if tries:add() < 4 then
        die()
      end
      return "done"
    end):result(20))
    assert.are.equal(4, tries:get())
  end)
end)

describe("a dict of which a process dies", function()
  -- Runs fn as an update of "key" in a task, which it does not survive.
  local function die_within(dict, ex)
    return ex:submit(function()
      dict:update("key", function()
        die()
        return "must not be"
      end)
    end)
  end

  it("inside of an update keeps the old value, and others go on", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local dict = lpool.dict()
    dict:set("key", 0)
    for i = 1, 10 do
      check_lost(die_within(dict, ex))
      assert.are.equal(i - 1, dict:get("key"))
      if i % 2 == 0 then
        assert.are.equal(i, dict:update("key", increment))
      else
        assert.are.equal(i, (ex:submit(function()
          return dict:update("key", increment)
        end):result(20)))
      end
    end
    dict:set("key", "set")
    assert.are.equal("set", dict:get("key"))
  end)

  -- Starts an update of "key" that holds it, and returns its future.
  local function hold(dict, ex)
    local arrivals = lpool.counter()
    local f = ex:submit(function()
      dict:update("key", function()
        arrivals:add()
        lpool.sleep(100)
      end)
    end)
    await_count(arrivals, 1)
    return f
  end

  it("inside of an update frees the key for those who wait for it", function()
    local ex <close> = lpool.ProcessPoolExecutor(4)
    local dict = lpool.dict()
    for round = 0, 9 do
      local victim = hold(dict, ex)
      local waiting = {}
      for k = 1, 3 do
        waiting[k] = submit_waiting(ex, function()
          return dict:update("key", increment)
        end)
      end
      kill(victim:pid())
      check_lost(victim)
      local seen = {}
      for k = 1, 3 do
        seen[k] = waiting[k]:result(20)
      end
      table.sort(seen)
      assert.are.same({ 3 * round + 1, 3 * round + 2, 3 * round + 3 }, seen)
    end
  end)

  it("inside of an update frees the key for the script that waits for it", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local dict = lpool.dict()
    for i = 1, 5 do
      local victim = hold(dict, ex)
      ex:submit(function(pid)
        os.execute("kill -KILL " .. pid)
      end, victim:pid())
      assert.are.equal(i, dict:update("key", increment))
      check_lost(victim)
    end
  end)

  it("inside of nested updates frees all their keys", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local dict, other = lpool.dict(), lpool.dict()
    check_lost(ex:submit(function()
      dict:update("a", function()
        return dict:update("b", function()
          return other:update("c", die)
        end)
      end)
    end))
    assert.are.equal(1, dict:update("a", increment))
    assert.are.equal(1, dict:update("b", increment))
    assert.are.equal(1, other:update("c", increment))
  end)

  it("while it sets has whole values only", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local dict = lpool.dict()
    for _ = 1, 15 do
      local begun = lpool.counter()
      local victim = ex:submit(function()
        for i = 1, math.huge do
          dict:set(i % 7, { i, ("x"):rep(i * 7919 % 200000), i })
          dict:set("gone" .. i % 7, i % 2 == 0 and i or nil)
          begun:add()
        end
      end)
      await_count(begun, 20)
      kill(victim:pid())
      check_lost(victim)
      local n = 0
      for key, value in pairs(dict) do
        if type(key) == "number" then
          assert.are.equal(key, value[1] % 7)
          assert.are.equal(value[1] * 7919 % 200000, #value[2])
          assert.are.equal(value[1], value[3])
          n = n + 1
        end
      end
      assert.are.equal(7, n)
      ex:submit(function()
        for i = 0, 6 do
          dict:set("own" .. i, dict:get(i))
        end
      end):result(20)
      assert.are.same(dict:get(3), dict:get("own3"))
    end
  end)

  it("while it reads and walks leaves all as it is", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local dict, expected = lpool.dict(), {}
    for i = 1, 100 do
      dict:set(i, { i, ("y"):rep(1000) })
      expected[i] = { i, ("y"):rep(1000) }
    end
    for _ = 1, 10 do
      local begun = lpool.counter()
      local victim = ex:submit(function()
        while true do
          for key in pairs(dict) do
            dict:get(key)
          end
          begun:add()
        end
      end)
      await_count(begun, 2)
      kill(victim:pid())
      check_lost(victim)
      local found = {}
      for key, value in dict:pairs() do
        found[key] = value
      end
      assert.are.same(expected, found)
      dict:set("new", 1)
      dict:set("new", nil)
    end
  end)
end)

describe("a buffer of which a process dies", function()
  it("has what it wrote, and nothing else", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local buffer = lpool.buffer("f64", 1000)
    check_lost(ex:submit(function()
      for i = 1, 500 do
        buffer[i] = i
      end
      die()
    end))
    for i = 1, 1000 do
      assert.are.equal(i <= 500 and i or 0, buffer[i])
    end
    assert.are.equal(500, (ex:submit(function()
      return buffer[500]
    end):result(20)))
  end)
end)

describe("os.exit in a process that uses shared objects", function()
  local function check_exit(f, code)
    local err = f:exception(20)
    assert.is_true(lpool.is(err, "WorkerExitError"), tostring(err))
    assert.are.equal(code, err.code)
  end

  it("between operations leaves what was done", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local channel, counter, dict = lpool.channel(), lpool.counter(), lpool.dict()
    local _ <close> = sharing.closing(channel)
    local buffer = lpool.buffer("i32", 1)
    for i = 1, 5 do
      check_exit(ex:submit(function()
        channel:send(i)
        counter:add()
        dict:update("n", increment)
        buffer[1] = buffer[1] + 1
        os.exit(3)
      end), 3)
      assert.are.equal(i, channel:receive(20))
      assert.are.equal(i, counter:get())
      assert.are.equal(i, dict:get("n"))
      assert.are.equal(i, buffer[1])
    end
  end)

  it("inside of an update keeps the old value and frees the key", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local dict = lpool.dict()
    dict:set("key", 1)
    check_exit(ex:submit(function()
      dict:update("key", function()
        os.exit(4)
      end)
    end), 4)
    assert.are.equal(1, dict:get("key"))
    assert.are.equal(2, dict:update("key", increment))
    assert.are.equal(3, (ex:submit(function()
      return dict:update("key", increment)
    end):result(20)))
  end)

  it("inside of a loop over a channel leaves the rest to others", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    send_all(channel, 1, 10)
    channel:close()
    check_exit(ex:submit(function()
      for i in channel do
        if i == 4 then
          os.exit(5)
        end
      end
    end), 5)
    assert.are.same({ 5, 6, 7, 8, 9, 10 }, (ex:submit(drain, channel):result(20)))
  end)
end)

describe("stopping a process that waits", function()
  local waits = {
    ["in receive"] = function(objects)
      objects.empty:receive()
    end,
    ["in receive with a time limit"] = function(objects)
      objects.empty:receive(1000)
    end,
    ["in a loop over a channel"] = function(objects)
      for _ in objects.empty do
        error("there was something")
      end
    end,
    ["in send"] = function(objects)
      objects.full:send("more")
    end,
    ["in receive, inside of an update"] = function(objects)
      objects.dict:update("key", function()
        return objects.empty:receive()
      end)
    end,
  }

  for what, wait in pairs(waits) do
    -- Calls body with the waiting future; its worker is to stay, and go on.
    local function stopped(limit, body)
      local ex <close> = lpool.ProcessPoolExecutor(1)
      local objects = { empty = lpool.channel(), full = lpool.channel(1), dict = lpool.dict() }
      objects.full:send("one")
      objects.dict:set("key", "old")
      local _ <close> = sharing.closing(objects.empty, objects.full)
      local pid = ex:submit(lpool.getpid):result(20)
      body(submit_waiting(ex:with { timeout = limit }, wait, objects))
      assert.are.equal(pid, ex:submit(lpool.getpid):result(20))
      assert.are.equal("old", objects.dict:get("key"))
      assert.are.equal(1, #objects.full)
      assert.are.equal(0, #objects.empty)
    end

    it(what .. " by interrupt is quick, and its worker stays", function()
      stopped(nil, function(f)
        local start = lpool.now()
        assert.is_true(f:interrupt())
        helper.raises("CancelledError", f.result, f, 20)
        assert.is_true(lpool.now() - start < helper.patience)
      end)
    end)

    it(what .. " by its timeout keeps its worker", function()
      stopped(0.2, function(f)
        helper.raises("TimeoutError", f.result, f, 20)
      end)
    end)
  end

  it("by kill_workers or at shutdown leaves the objects to others", function()
    local channel, dict = lpool.channel(), lpool.dict()
    for _ = 1, 5 do
      local ex <close> = lpool.ProcessPoolExecutor(3)
      local futures = {}
      for k = 1, 3 do
        futures[k] = submit_waiting(ex, function()
          dict:update(k, function()
            return channel:receive()
          end)
        end)
      end
      ex:kill_workers()
      for k = 1, 3 do
        helper.raises("WorkerLostError", futures[k].result, futures[k], 20)
      end
    end
    channel:send("on")
    assert.are.equal("on", dict:update(1, function()
      return channel:receive(20)
    end))
  end)

  it("breaks its pool alone if that is to break", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 1, on_crash = "break" }
    local channel = lpool.channel()
    local _ <close> = sharing.closing(channel)
    local victim = submit_waiting(ex, receive, channel)
    kill(victim:pid())
    helper.raises("BrokenExecutor", victim.result, victim, 20)
    local other <close> = lpool.ProcessPoolExecutor(1)
    channel:send(1)
    assert.are.equal(1, other:submit(receive, channel):result(20))
  end)
end)

describe("shared objects", function()
  -- One of each, and a task that uses them all.
  local function new_objects()
    return {
      channel = lpool.channel(), counter = lpool.counter(), dict = lpool.dict(),
      buffer = lpool.buffer("i64", 10),
    }
  end

  local function use(objects, k)
    objects.channel:send({ k })
    objects.counter:add(k)
    objects.dict:update("sum", function(old)
      return (old or 0) + k
    end)
    objects.buffer[k] = objects.buffer[k] + k
  end

  -- Fails unless use() was called with each of 1 to n, once.
  local function check_used(objects, n)
    local sum, list = n * (n + 1) // 2, {}
    assert.are.equal(sum, objects.counter:get())
    assert.are.equal(sum, objects.dict:get("sum"))
    assert.are.equal(n, #objects.channel)
    for k = 1, n do
      assert.are.equal(k, objects.buffer[k])
      list[k] = objects.channel:receive(20)[1]
    end
    check_complete(n, list)
  end

  it("may be made after the workers that use them", function()
    local ex <close> = lpool.ProcessPoolExecutor(3)
    lpool.wait(ex:broadcast(math.abs, 1))
    for _ = 1, 10 do
      local objects, futures = new_objects(), {}
      for k = 1, 3 do
        futures[k] = ex:submit(use, objects, k)
      end
      for k = 1, 3 do
        futures[k]:result(20)
      end
      check_used(objects, 3)
    end
  end)

  it("come to each of many short-lived workers", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, max_tasks_per_child = 1 }
    local objects = new_objects()
    local futures = {}
    for k = 1, 10 do
      futures[k] = ex:submit(use, objects, k)
    end
    for k = 1, 10 do
      futures[k]:result(20)
    end
    check_used(objects, 10)
  end)

  it("are one in pools of all kinds at the same time", function()
    local objects = new_objects()
    local function use_often(k)
      for _ = 1, 100 do
        use(objects, k)
      end
    end
    do
      local threads <close> = lpool.ThreadPoolExecutor(2)
      local workers <close> = lpool.ProcessPoolExecutor(2)
      local serial <close> = lpool.SerialExecutor()
      local futures = {
        threads:submit(use_often, 1), threads:submit(use_often, 2),
        workers:submit(use_often, 3), workers:submit(use_often, 4),
        serial:submit(use_often, 5),
      }
      use_often(6)
      for _, f in ipairs(futures) do
        f:result(20)
      end
    end
    assert.are.equal(2100, objects.counter:get())
    assert.are.equal(2100, objects.dict:get("sum"))
    assert.are.equal(600, #objects.channel)
    local sum = 0
    for _ = 1, 600 do
      sum = sum + objects.channel:receive(20)[1]
    end
    assert.are.equal(2100, sum)
    for k = 1, 6 do
      assert.are.equal(100 * k, objects.buffer[k])
    end
  end)

  it("bring each message of threads and processes to one of them", function()
    local threads <close> = lpool.ThreadPoolExecutor(2)
    local workers <close> = lpool.ProcessPoolExecutor(2)
    local channel = lpool.channel(7)
    local _ <close> = sharing.closing(channel)
    local consumers = { threads:submit(drain, channel), workers:submit(drain, channel) }
    local producers = {
      threads:submit(send_all, channel, 1, 1000), workers:submit(send_all, channel, 1001, 2000),
    }
    producers[1]:result(20)
    producers[2]:result(20)
    channel:close()
    check_complete(2000, (consumers[1]:result(20)), (consumers[2]:result(20)))
  end)

  for _, nest in ipairs {
    { "ProcessPoolExecutor", "ProcessPoolExecutor" },
    { "ProcessPoolExecutor", "ThreadPoolExecutor" },
    { "ThreadPoolExecutor", "ProcessPoolExecutor" },
    { "ProcessPoolExecutor", "ProcessPoolExecutor", "ThreadPoolExecutor" },
    { "ThreadPoolExecutor", "ProcessPoolExecutor", "ProcessPoolExecutor" },
    { "ProcessPoolExecutor", "ThreadPoolExecutor", "ProcessPoolExecutor" },
  } do
    it("are one in a " .. table.concat(nest, " with a "), function()
      -- Uses the objects at each level, with numbers of its own.
      local function descend(names, level, objects)
        use(objects, level)
        if names[level] then
          local ex <close> = lpool[names[level]](2)
          ex:submit(descend, names, level + 1, objects):result()
        end
      end
      local objects = new_objects()
      descend(nest, 1, objects)
      check_used(objects, #nest + 1)
    end)
  end

  it("connect the script with the innermost task while both go on", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local there, back = lpool.channel(1), lpool.channel(1)
    local _ <close> = sharing.closing(there, back)
    local f = ex:submit(function()
      local inner <close> = lpool.ProcessPoolExecutor(1)
      inner:submit(function()
        local threads <close> = lpool.ThreadPoolExecutor(1)
        threads:submit(function()
          for n in there do
            back:send(-n)
          end
        end):result()
      end):result()
    end)
    for i = 1, 200 do
      there:send(i)
      assert.are.equal(-i, back:receive(20))
    end
    there:close()
    f:result(20)
  end)

  it("that a task made live on in the tasks of its own pool", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    assert.are.same({ 45, 10 }, { ex:submit(function()
      local channel, counter = lpool.channel(), lpool.counter()
      local inner <close> = lpool.ProcessPoolExecutor(2)
      local futures = {}
      for i = 0, 9 do
        futures[i + 1] = inner:submit(function()
          channel:send(i)
          counter:add()
        end)
      end
      lpool.wait(futures)
      local sum = 0
      while #channel > 0 do
        sum = sum + channel:receive()
      end
      return sum, counter:get()
    end):result(20) })
  end)

  it("do not suffer from the death of a worker between script and task", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local channel, inner_pid = lpool.channel(), lpool.counter()
    local _ <close> = sharing.closing(channel)
    check_lost(ex:submit(function()
      local inner <close> = lpool.ProcessPoolExecutor(1)
      inner:submit(function()
        inner_pid:set(lpool.getpid())
        channel:receive()
      end)
      while inner_pid:get() == 0 do
        lpool.sleep(0.001)
      end
      die()
    end))
    helper.eventually(function()
      return not processes.alive(inner_pid:get())
    end, "the worker's own worker was gone")
    channel:send(1)
    assert.are.equal(1, channel:receive(20))
  end)

  it("that were dropped leave no descriptor in workers", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local function count()
      collectgarbage()
      collectgarbage()
      local inventory = require("spec.support.inventory")
      return inventory.count(inventory.descriptors())
    end
    ex:submit(use, new_objects(), 1):result(20)
    local before = ex:submit(count):result(20)
    for _ = 1, 300 do
      ex:submit(use, new_objects(), 1):result(20)
    end
    collectgarbage()
    collectgarbage()
    local after = ex:submit(count):result(20)
    assert.is_true(after <= before + 8, ("%d before, %d after"):format(before, after))
  end)

  it("that were dropped, full, give their memory back", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(1)
      local function resident()
        collectgarbage() collectgarbage()
        for line in io.lines("/proc/self/status") do
          local size = line:match("^VmRSS:%s*(%d+)")
          if size then return size // 1024 end
        end
      end
      local text = ("x"):rep(1 << 20)
      local function round()
        local channel, dict = lpool.channel(), lpool.dict()
        local buffer = lpool.buffer("u8", 1 << 20)
        for i = 1, 4 do channel:send(text) dict:set(i, text) end
        buffer:fill(1)
        ex:submit(function()
          channel:receive()
          channel:send(dict:get(1))
          buffer:fill(2)
        end):result()
        collectgarbage()
      end
      for _ = 1, 10 do round() end
      local before = resident()
      for _ = 1, 100 do round() end
      local grown = resident() - before
      -- A sanitizer keeps what was freed.
      local sanitized = (tonumber(os.getenv("LPOOL_PATIENCE")) or 1) > 1
      assert(grown < 150 or sanitized, grown .. " MiB more")
      print("ok")
    ]], { limit = 25 })
    assert.are.equal("", result.err)
    assert.are.equal("ok\n", result.out)
  end)

  it("that are used for long do not grow", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(1)
      local function resident()
        collectgarbage() collectgarbage()
        for line in io.lines("/proc/self/status") do
          local size = line:match("^VmRSS:%s*(%d+)")
          if size then return size // 1024 end
        end
      end
      local channel, dict = lpool.channel(4), lpool.dict()
      local function run(n)
        local f = ex:submit(function()
          for i = 1, n do
            channel:send(("x"):rep(i * 7919 % 50000))
            dict:set(i % 5, ("y"):rep(i * 104729 % 50000))
          end
        end)
        for _ = 1, n do channel:receive(20) end
        f:result()
      end
      run(500)
      local before = resident()
      run(10000)
      local grown = resident() - before
      local sanitized = (tonumber(os.getenv("LPOOL_PATIENCE")) or 1) > 1
      assert(grown < 50 or sanitized, grown .. " MiB more")
      print("ok")
    ]], { limit = 25 })
    assert.are.equal("", result.err)
    assert.are.equal("ok\n", result.out)
  end)
end)

describe("a program that has shared objects", function()
  local prelude = [[
    local lpool = require "lpool"
    channel, full, dict = lpool.channel(), lpool.channel(1), lpool.dict()
    counter, buffer = lpool.counter(), lpool.buffer("u8", 10)
    full:send(1)
    -- Without globals, the tasks take these with them.
    local channel, counter, dict = channel, counter, dict
    local function wait(ex, n)
      for i = 1, n do
        ex:submit(function()
          counter:add()
          channel:receive()
        end)
      end
      while counter:get() < n do lpool.sleep(0.001) end
    end
  ]]

  local ends = {
    ["by its end"] = { "", 0, "" },
    ["by its end, with values in them"] = { "channel:send({}) dict:set(1, {})", 0, "" },
    ["by an error"] = { "error('no more')", 1, "no more" },
    ["by os.exit"] = { "os.exit(3)", 3, "" },
    ["by os.exit that closes its state"] = { "os.exit(4, true)", 4, "" },
    ["by its end, once tasks were told to end"] = {
      "wait(lpool.ProcessPoolExecutor(3), 3) channel:close()", 0, "",
    },
    ["by its end, once threads were told to end"] = {
      "wait(lpool.ThreadPoolExecutor(3), 3) channel:close()", 0, "",
    },
    ["by its end, from tasks that wait to those that let them go"] = { [[
      local ex = lpool.ProcessPoolExecutor(2)
      wait(ex, 1)
      ex:submit(function() channel:send(1) end)
    ]], 0, "" },
    ["by os.exit, while processes wait"] = {
      "wait(lpool.ProcessPoolExecutor(3), 3) os.exit(5)", 5, "",
    },
    ["by os.exit, while threads wait"] = {
      "wait(lpool.ThreadPoolExecutor(3), 3) os.exit(6)", 6, "",
    },
    ["by os.exit inside of an update"] = {
      "dict:update(1, function() os.exit(7) end)", 7, "",
    },
    ["by an error inside of an update"] = {
      "dict:update(1, function() error('no more') end)", 1, "no more",
    },
    ["by os.exit that closes its state inside of an update"] = {
      "dict:update(1, function() os.exit(8, true) end)", 8, "",
    },
    ["by an error with executors to be closed"] = { [[
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local closing <close> = setmetatable({}, { __close = function() channel:close() end })
      wait(ex, 2)
      error("no more")
    ]], 1, "no more" },
  }

  for what, case in pairs(ends) do
    it("ends " .. what, function()
      local result = helper.run(prelude .. case[1], { limit = 15 })
      assert.are.equal(case[2], result.code, result.err)
      if case[3] == "" then
        assert.are.equal("", result.err)
      else
        helper.contains(case[3], result.err)
      end
      assert.are.equal("", result.out)
    end)
  end

  it("may use them in finalizers at its end", function()
    local result = helper.run(prelude .. [[
      keep = setmetatable({ channel, full, counter, dict, buffer }, { __gc = function(t)
        for _, object in ipairs(t) do pcall(tostring, object) end
        for _, name in ipairs { "try_receive", "get", "close" } do
          for _, object in ipairs(t) do
            pcall(function() return object[name](object, 1) end)
          end
        end
        print("finalized")
      end })
    ]])
    assert.are.equal("", result.err)
    assert.are.equal("finalized\n", result.out)
    assert.are.equal(0, result.code)
  end)

  for what, wait in pairs {
    ["receive"] = "channel:receive()",
    ["receive with a time limit"] = "channel:receive(1000)",
    ["a loop over a channel"] = "for _ in channel do end",
    ["send"] = "full:send(2)",
    ["a wait for a key"] = [[
      local ex = lpool.ProcessPoolExecutor(1)
      ex:submit(function()
        dict:update("key", function() counter:add() lpool.sleep(1000) end)
      end)
      while counter:get() < 1 do lpool.sleep(0.001) end
      dict:set("key", 1)
    ]],
    ["an update"] = "dict:update(1, function() while true do local t = {} end end)",
  } do
    it("is ended by Ctrl-C, silently, in " .. what, function()
      local result = helper.run(prelude .. [[
        pipe = io.popen("sleep 0.1; kill -INT $PPID")
      ]] .. wait, { limit = 10 })
      assert.are.equal("", result.err)
      assert.are.equal("", result.out)
      assert.are.equal(130, result.code)
      assert.is_true(result.seconds < 3 * helper.patience, result.seconds .. " s")
    end)
  end

  it("may catch Ctrl-C in receive, and go on", function()
    local result = helper.run(prelude .. [[
      pipe = io.popen("sleep 0.1; kill -INT $PPID")
      local ok, err = pcall(channel.receive, channel)
      print(ok, (tostring(err):gsub("^.-: ", "")))
      channel:send("on")
      print(channel:receive())
    ]], { limit = 10 })
    assert.are.equal("", result.err)
    assert.are.equal("false\tinterrupted!\non\n", result.out)
    assert.are.equal(0, result.code)
  end)
end)
