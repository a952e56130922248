-- Bugs that were found and mended, each named after its symptom. What crashed
-- or hung the program runs in a child.
local helper = require "spec.helper"

-- Runs a program that must end well and put out what is expected.
local function prints(expected, source)
  local result = helper.run("local lpool = require 'lpool'\n" .. source, { limit = 20 })
  assert.are.equal(expected, result.out, result.err)
  assert.are.equal(0, result.code, result.err)
end

describe("regressions:", function()
  it("a finalizer may use an executor or a future that was collected before it", function()
    -- Where futures have no finalizer, this one is not collected yet.
    prints("done\ndone\n", [[
      for _, use in ipairs {
        function(o) return o.ex:shutdown {} end,
        function(o) return o.f:result() end,
      } do
        local function try(o)
          local fine, problem = pcall(use, o)
          print(fine and "done" or problem:find("was collected") and "done" or problem)
        end
        local o = setmetatable({}, { __gc = try })
        o.ex = lpool.ThreadPoolExecutor(1)
        o.f = o.ex:submit(math.max, 1)
        o = nil
        collectgarbage()
        collectgarbage()
      end
    ]])
  end)

  it("a callback may close the results that are waited for", function()
    prints("nil\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local f = ex:submit(lpool.sleep, 0.02)
      local r = ex:map(function(i) lpool.sleep(0.1) return i end, { 1, 2, 3 })
      f:add_done_callback(function() r:close() end)
      print(r())
    ]])
  end)

  it("an iterator may close the results that read it", function()
    prints("ended\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local r, n = nil, 0
      r = ex:map(function(i) return i end, function()
        n = n + 1
        if r and n > 20 then r:close() end
        if n < 100 then return n end
      end)
      for _ in r do end
      print("ended")
    ]])
  end)

  it("an iterator that asks its own results is refused", function()
    prints("false\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local r, ok
      local n = 0
      r = ex:map(function(i) return i end, function()
        n = n + 1
        if r then ok = pcall(r) end
        return n < 100 and n or nil
      end)
      for _ in r do end
      print(ok)
    ]])
  end)

  it("__deserialize may close the results that it is part of", function()
    prints("true\t1\t1\nnil\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local mt = {}
      mt.__serialize = function() return 1 end
      mt.__deserialize = function(v) R:close() return v end
      R = ex:map(function() return setmetatable({}, mt) end, { 1, 2, 3 })
      print(pcall(R))
      print(R())
    ]])
  end)

  it("a map whose function holds another executor ends without a deadlock", function()
    prints("ended\n", [[
      do
        local ex1, ex2 = lpool.ThreadPoolExecutor(1), lpool.ThreadPoolExecutor(1)
        ex1:map(function() lpool.sleep(0.02) local _ = ex2 end, { 1, 2, 3 })
      end
      for _ = 1, 20 do
        collectgarbage()
        lpool.sleep(0.01)
      end
      print("ended")
    ]])
  end)

  it("a map whose function holds its own executor does not keep the program", function()
    prints("ended\n", [[
      do
        local ex = lpool.ThreadPoolExecutor(1)
        ex:map(function() lpool.sleep(0.02) local _ = ex end, { 1, 2, 3 })
      end
      collectgarbage()
      collectgarbage()
      print("ended")
    ]])
  end)

  it("a callback at the end of the program may open an executor", function()
    prints("ended\n", [[
      local ex = lpool.ThreadPoolExecutor(1)
      ex:submit(lpool.sleep, 0.05):add_done_callback(function()
        Another = lpool.ThreadPoolExecutor(1)
        Another:submit(math.max, 1)
      end)
      print("ended")
    ]])
  end)

  it("a finalizer at the end of the program may make futures and executors", function()
    prints("ended\n", [[
      K = setmetatable({}, { __gc = function()
        lpool.Future()
        lpool.ThreadPoolExecutor(1):submit(math.max, 1)
      end })
      print("ended")
    ]])
  end)

  it("workers that retire are joined while the pool goes on", function()
    prints("few\n", [[
      local function size()
        for line in io.lines("/proc/self/status") do
          local found = line:match("VmSize:%s+(%d+)")
          if found then return tonumber(found) end
        end
      end
      local ex <close> = lpool.ThreadPoolExecutor { max_workers = 2, max_tasks_per_child = 1 }
      for i = 1, 100 do ex:submit(math.max, i):result() end
      local before = size()
      for i = 1, 1000 do ex:submit(math.max, i):result() end
      local grown = size() - before
      print(grown < 300000 and "few" or grown)
    ]])
  end)

  it("broadcasts count for max_tasks_per_child", function()
    prints("1 1 1 1 1 1 ", [[
      local ex <close> = lpool.ThreadPoolExecutor { max_workers = 1, max_tasks_per_child = 1 }
      local count = function() N = (N or 0) + 1 return N end
      local first = ex:submit(lpool.sleep, 0.05)
      local futures = {}
      for i = 1, 3 do futures[i] = ex:broadcast(count)[1] end
      for i = 1, 3 do io.write(futures[i]:result(), " ") end
      for _ = 1, 3 do io.write(ex:submit(count):result(), " ") end
      first:result()
    ]])
  end)

  it("initargs with a wild n are refused", function()
    prints("false\nfalse\n", [[
      for _, n in ipairs { 1 << 32, -3 } do
        print((pcall(lpool.ThreadPoolExecutor, { initializer = print, initargs = { n = n } })))
      end
    ]])
  end)

  it("os.exit ends a task through coroutines within coroutines", function()
    prints("4\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local f = ex:submit(function()
        pcall(coroutine.wrap(function()
          pcall(coroutine.wrap(function() os.exit(4) end))
          print("still running")
        end))
        print("still running")
      end)
      print(f:exception().code)
    ]])
  end)

  it("a task cannot return an executor, and is told so", function()
    prints("cannot return result 1: an executor, which travels to workers only\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      print((ex:submit(function(e) return e end, ex):exception()))
    ]])
  end)

  it("a failure is not reported by a worker that was sent the future", function()
    local result = helper.run [[
      local lpool = require "lpool"
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local other <close> = lpool.ThreadPoolExecutor(1)
      local f = ex:submit(error, "looked at", 0)
      lpool.wait { f }
      other:submit(function(future) return future:done() end, f):result()
      other:submit(collectgarbage):result()
      print(f:exception())
    ]]
    assert.are.equal("", result.err)
    assert.are.equal("looked at", result.out:match("^[^\t]*"))
  end)

  it("a task stopped while it loaded lpool leaves no half of it to the next", function()
    prints("1\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      -- As far as a task may have come when it is stopped.
      ex:submit(function() require "lpool.core" end):result()
      print(ex:submit(function(own) return own:map(math.abs, { -1 }):totable()[1] end, ex):result())
    ]])
  end)

  it("cancelling what and_then made is quiet", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local f = ex:submit(lpool.sleep, 0.05)
      local chained = f:and_then(function() print("not called") end)
      chained:cancel()
      f:result()
      lpool.poll()
    ]])
    assert.are.equal("", result.out .. result.err)
  end)

  it("a view of a view keeps the label, and no label is nil", function()
    prints("q\tnil\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local view = ex:with { label = "q" }:with {}
      print(view:submit(math.max, 1):label(), ex:with {}:submit(math.max, 1):label())
    ]])
  end)

  it("an uncaught error of a map says which item it was #program", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local ex <close> = lpool.ThreadPoolExecutor(1)
      for _ in ex:map(math.sqrt, { 4, "x" }) do end
    ]])
    assert.are.equal(1, result.code)
    helper.contains("item 2 of the map", result.err)
  end)

  it("what a dropped manual future held is collected", function()
    prints("true\tnil\ttrue\n", [[
      local held = setmetatable({}, { __mode = "v" })
      local function settle(value)
        held[1] = value
        local f = lpool.Future()
        f:set_result(value)
        return f:result() == value
      end
      local same = settle({})
      collectgarbage()
      collectgarbage()
      lpool.poll() -- where futures have no finalizer, this lets go of values
      collectgarbage()
      local left = held[1]
      -- And an address that is used again has none of them.
      local again = true
      for i = 1, 1000 do
        local f = lpool.Future()
        again = again and not f:done() and (i % 2 == 0 or settle({}))
        if i % 100 == 0 then collectgarbage() end
      end
      print(same, left, again)
    ]])
  end)

  it("a failure is reported once, whoever else had the future #program", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local ex <close> = lpool.ThreadPoolExecutor(1)
      do
        local next_done = lpool.as_completed { ex:submit(error, "A!") }
        next_done()
        next_done = nil
        collectgarbage() collectgarbage()
      end
      do
        local f = ex:submit(error, "B!")
        f:add_done_callback(function() f = nil collectgarbage() collectgarbage() end)
        lpool.wait { ex:submit(math.max, 1) }
      end
      collectgarbage() collectgarbage()
    ]], { limit = 20 })
    for _, name in ipairs { "A!", "B!" } do
      local _, times = result.err:gsub("looked at it: " .. name, "")
      assert.are.equal(1, times, result.err)
    end
  end)

  it("Ctrl-C cancels what is left of manual futures that were dropped", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local ex = lpool.ThreadPoolExecutor(1)
      local begun = lpool.counter()
      ex:submit(function()
        local lpool = require "lpool"
        local m = lpool.Future()
        do
          local _, _, _, waiter = lpool.as_completed { m }
          waiter:close()
        end
        m = nil
        collectgarbage() collectgarbage()
        begun:add(1)
        while true do end
      end)
      while begun:get() == 0 do lpool.sleep(0.001) end
      -- Later: os.execute ignores the signal.
      os.execute("(sleep 0.1; kill -INT " .. lpool.getpid() .. ") &")
      lpool.sleep(20)
    ]], { limit = 20 })
    assert.are.equal(130, result.code, result.err)
  end)

  -- Slow: the thread sanitizer keeps a frame for each error.
  it("a map ends, whenever its workers are killed #slow", function()
    prints("ended\n", [[
      for round = 1, 40 do
        local ex = lpool.ProcessPoolExecutor(2)
        local results = ex:map(function(i) return i end, lpool.range(1, 50000))
        for _ = 1, 1000 do results() end
        ex:kill_workers()
        local fine, number
        repeat fine, number = pcall(results) until fine and not number
        ex:shutdown()
      end
      print("ended")
    ]])
  end)

  it("a userdata of somebody else is no executor, future or channel", function()
    prints("false\nfalse\nfalse\n", [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local f, c = ex:submit(math.max, 1), lpool.channel()
      for _, call in ipairs {
        function() return f.result(io.stdout) end,
        function() return ex.submit(f, math.max, 1) end,
        function() return c.receive(ex) end,
      } do
        local fine, problem = pcall(call)
        print(fine or not problem:find("expected, got"))
      end
    ]])
  end)

  it("a base function that a script has wrapped goes along with the wrapper", function()
    for _, kind in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor" } do
      prints(">\tin the task\n>\t4 <5>\n>\t4 5\n", ([[
        local ex <close> = lpool.%s(1)
        local original, text = print, tostring
        function print(...) original(">", ...) end
        local function task(n)
          if n == 0 then print("in the task") end
          return math.sqrt(16) // 1 | 0, tostring(5)
        end
        ex:submit(task, 0):result()
        function tostring(value) return "<" .. text(value) .. ">" end
        print(table.concat({ ex:submit(task, 1):result() }, " "))
        tostring = text
        print(table.concat({ ex:submit(task, 1):result() }, " "))
      ]]):format(kind))
    end
  end)

  it("buffers take what was written, and those that were dropped nothing #program", function()
    prints("true\ttrue\n", [[
      local function shared() -- KiB
        for line in io.lines("/proc/self/status") do
          local kib = line:match("RssShmem:%s*(%d+)")
          if kib then return tonumber(kib) end
        end
      end
      local large = lpool.buffer("f64", 1 << 28)
      large[1], large[#large] = 1, 2
      local sparse = shared() < 1024
      local most = 0
      for _ = 1, 300 do
        lpool.buffer("u8", 1 << 20):fill(1)
        most = math.max(most, shared())
      end
      print(sparse, most < 100 * 1024)
    ]])
  end)

  it("submits from ever new lines do not fill the library", function()
    prints("generated:2\ngenerated:?\n5\n", [[
      local ex <close> = lpool.ThreadPoolExecutor { max_workers = 2, max_queue = 1000 }
      local hasty = ex:with { timeout = 0.01 }
      local late = "return hasty:submit(sleep, 5), ex:submit(fn, 1)\n"
      local function origins(lines)
        local chunk = "local ex, hasty, fn, sleep = ...\n" .. lines
        local slow, last = load(chunk, "=generated")(ex, hasty, math.abs, lpool.sleep)
        last:result()
        print(tostring(slow:exception()):match("submitted at ([^)]*)"))
      end
      origins(late)
      origins(("ex:submit(fn, 1)\n"):rep(70000) .. late)
      print(ex:submit(load("return 5")):result())
    ]])
  end)
end)
