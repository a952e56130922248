-- Thread pools under load. LPOOL_STRESS scales the loads (0.1: a tenth), for
-- sanitizers; bounds on time and memory hold at full load only.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"

local full = helper.stress >= 1 and helper.patience == 1

local function load_of(n)
  return math.max(1, math.ceil(n * helper.stress))
end

local function echo(...)
  return ...
end

-- Lua for child programs: what the process holds now, in bytes and numbers.
local measures = [[
  local lpool = require "lpool"
  local inventory = require "spec.support.inventory"
  local function status(field)
    for line in io.lines("/proc/self/status") do
      local value = line:match("^" .. field .. ":%s*(%d+)")
      if value then return tonumber(value) end
    end
  end
  local function resident() collectgarbage() collectgarbage() return status("VmRSS") * 1024 end
  local function threads() return status("Threads") end
  -- No program is asked: its pipe would still be closing while it counts.
  local function descriptors() return inventory.count(inventory.descriptors()) end
  local LOAD, FULL = math.ceil(tonumber((...))), select(2, ...) == "true"
]]

-- Runs such a program, which must put out "ok".
local function program(load, seconds, source)
  helper.limit(seconds + 10)
  local result = helper.run(measures .. source,
    { args = ("%d %s"):format(load, full), limit = seconds })
  assert.are.equal("", result.err:sub(1, 2000))
  assert.are.equal("ok\n", result.out)
  assert.are.equal(0, result.code)
end

describe("thread pools under load #slow:", function()
  it("leave nothing behind after 1000 executors", function()
    program(load_of(1000), 120, [[
      local function round(i)
        if i % 20 == 0 then collectgarbage() end
        if i % 4 == 0 then -- left to the collector
          lpool.ThreadPoolExecutor(2):submit(math.max, i)
        elseif i % 4 == 1 then -- left by an error
          pcall(function()
            local ex <close> = lpool.ThreadPoolExecutor(2)
            ex:submit(math.max, i)
            error("leave")
          end)
        else
          local ex <close> = lpool.ThreadPoolExecutor(2)
          assert(ex:submit(math.max, i):result() == i)
        end
      end
      local function settle(before)
        local deadline = lpool.now() + 20
        repeat
          collectgarbage()
          lpool.sleep(0.005)
        until threads() <= before or lpool.now() > deadline
      end
      for i = 1, 100 do round(i) end
      settle(2)
      local start_threads, start_descriptors, start = threads(), descriptors(), resident()
      for i = 1, LOAD do round(i) end
      settle(start_threads)
      assert(threads() <= start_threads, threads() .. " threads")
      assert(descriptors() <= start_descriptors, descriptors() .. " descriptors")
      local grown = resident() - start
      assert(not FULL or grown < 2 << 20, grown .. " bytes more")
      print("ok")
    ]])
  end)

  it("run a chain of 100000 submits, each from the callback of the one before", function()
    helper.limit(120)
    for _, length in ipairs { 100, 50, 60, load_of(100000) } do
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local left = length
      local finished = lpool.Future()
      local function step(future)
        future:result()
        left = left - 1
        if left == 0 then
          finished:set_result("end")
        else
          ex:submit(echo, left):add_done_callback(step)
        end
      end
      ex:submit(echo, left):add_done_callback(step)
      assert.are.equal("end", finished:result(100))
    end
  end)

  it("fan out from callbacks to 65536 tasks", function()
    helper.limit(120)
    local depth = math.max(4, math.floor(math.log(load_of(65536), 2)))
    local ex <close> = lpool.ThreadPoolExecutor(2)
    local leaves = 0
    local finished = lpool.Future()
    local function grow(future)
      local level = future:result()
      if level == depth then
        leaves = leaves + 1
        if leaves == 1 << depth then
          finished:set_result(leaves)
        end
        return
      end
      ex:submit(echo, level + 1):add_done_callback(grow)
      ex:submit(echo, level + 1):add_done_callback(grow)
    end
    ex:submit(echo, 0):add_done_callback(grow)
    assert.are.equal(1 << depth, finished:result(100))
  end)

  it("give every one of 10000 futures one final state when half are cancelled", function()
    helper.limit(120)
    local n = load_of(10000)
    local ex <close> = lpool.ThreadPoolExecutor(8)
    for _ = 1, 5 do
      local futures, calls = {}, {}
      for i = 1, n do
        local f = ex:submit(echo, i)
        calls[f] = 0
        f:add_done_callback(function(future)
          calls[future] = calls[future] + 1
        end)
        futures[i] = f
      end
      local cancelled = {}
      for i = n, 1, -2 do
        cancelled[futures[i]] = futures[i]:cancel()
      end
      local done, not_done = lpool.wait(futures)
      lpool.poll()
      assert.are.equal(n, #done)
      assert.are.equal(0, #not_done)
      for i, f in ipairs(futures) do
        assert.is_true(f:state() == (cancelled[f] and "cancelled" or "finished"))
        assert.is_true(cancelled[f] or f:result(0) == i)
        assert.is_true(calls[f] == 1)
      end
    end
  end)

  it("cancel 10000 pending tasks in a few milliseconds", function()
    local n = load_of(10000)
    local ex <close> = lpool.ThreadPoolExecutor(1)
    local gate <close> = helper.gate.new()
    ex:submit(helper.gate.hold, gate.path)
    local futures = {}
    for i = 1, n do
      futures[i] = ex:submit(echo, i)
    end
    local start = lpool.now()
    for i = 1, n do
      futures[i]:cancel()
    end
    local taken = lpool.now() - start
    for i = 1, n do
      assert.is_true(futures[i]:cancelled())
    end
    assert.is_true(not full or taken < 0.02, ("took %g s"):format(taken))
  end)

  it("survive cancel at the moment of completion, 100000 times", function()
    helper.limit(300)
    local ex <close> = lpool.ThreadPoolExecutor(2)
    local calls, states = 0, { finished = 0, cancelled = 0 }
    local function callback()
      calls = calls + 1
    end
    local n = load_of(100000)
    for i = 1, n do
      local f = ex:submit(echo, i)
      f:add_done_callback(callback)
      for _ = 1, i % 50 do end -- luacheck: ignore 542
      local was_cancelled = f:cancel()
      local ok, value = pcall(f.result, f, 20)
      if was_cancelled then
        assert.is_true(not ok and lpool.is(value, "CancelledError"))
      else
        assert.is_true(ok and value == i)
      end
      states[f:state()] = states[f:state()] + 1
    end
    lpool.poll()
    assert.are.equal(n, calls)
    assert.are.equal(n, states.finished + states.cancelled)
  end)

  it("hold a million pending tasks in less than 300 bytes each", function()
    program(load_of(1000000), 120, [[
      local gates = require "spec.support.gate"
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local function noop() end
      for i = 1, 1000 do ex:submit(noop):result() end
      local start = resident()
      local gate = gates.new()
      ex:submit(gates.hold, gate.path)
      gate:await(1)
      for i = 1, LOAD do ex:submit(noop, i) end
      local each = (resident() - start) / LOAD
      assert(not FULL or each < 300, each .. " bytes each")
      gate:open()
      ex:shutdown()
      os.remove(gate.path) os.remove(gate.path .. ".open")
      print("ok")
    ]])
  end)

  it("keep memory flat in a map over millions of items", function()
    local items = os.getenv("LPOOL_STRESS") == "full" and 10000000 or 2000000
    program(load_of(items), 300, [[
      local ex <close> = lpool.ThreadPoolExecutor(2)
      local function double(n) return 2 * n end
      local function run(count)
        local n = 0
        local sum = 0
        for i, result in ex:map(double, function()
          n = n + 1
          return n <= count and n or nil
        end) do sum = sum + result end
        assert(sum == count * (count + 1))
      end
      run(math.max(1000, LOAD // 20))
      local start = resident()
      run(LOAD)
      local grown = resident() - start
      assert(not FULL or grown < 4 << 20, grown .. " bytes more")
      print("ok")
    ]])
  end)

  it("start 1000 workers that all work at once", function()
    -- Tasks block in the opening of a pipe, for which nobody needs to poll.
    program(load_of(1000), 120, [[
      local pipe = os.tmpname()
      os.remove(pipe)
      assert(os.execute("mkfifo " .. pipe))
      local start, before = resident(), threads()
      local futures = {}
      do
        local ex <close> = lpool.ThreadPoolExecutor(LOAD)
        for i = 1, LOAD do
          futures[i] = ex:submit(function() io.open(pipe):close() return i end)
        end
        for i = 1, LOAD do
          while not futures[i]:running() do lpool.sleep(0.001) end
        end
        local now, grown = threads(), resident() - start
        local writer = io.open(pipe, "r+")
        for i = 1, LOAD do assert(futures[i]:result() == i) end
        writer:close()
        os.remove(pipe)
        assert(now >= before + LOAD, now .. " threads")
        assert(not FULL or grown < 80 << 20, grown .. " bytes more")
      end
      assert(threads() <= before + 1)
      print("ok")
    ]])
  end)

  it("run 2000 sleeping tasks on 1000 workers in little more than their time", function()
    program(load_of(1000), 60, [[
      local start = lpool.now()
      do
        local ex <close> = lpool.ThreadPoolExecutor(LOAD)
        for i = 1, 2 * LOAD do ex:submit(lpool.sleep, 0.05) end
      end
      local taken = lpool.now() - start
      assert(taken >= 0.1 or LOAD < 10, "too fast: " .. taken)
      assert(not FULL or taken < 0.6, taken .. " s")
      print("ok")
    ]])
  end)

  it("replace workers under a backlog, whatever the limit and the end", function()
    helper.limit(240)
    for _, tasks in ipairs { 1, 2, 3, 7 } do
      for _, workers in ipairs { 1, 2, 8 } do
        local ex = lpool.ThreadPoolExecutor { max_workers = workers, max_tasks_per_child = tasks }
        local futures = {}
        local n = load_of(500)
        for i = 1, n do
          futures[i] = ex:submit(function(k)
            if k % 100 == 0 then
              error("one in a hundred", 0)
            end
            return k
          end, i)
        end
        ex:shutdown { wait = false }
        for i = 1, n do
          local ok, value = pcall(futures[i].result, futures[i], 60)
          assert.is_true(ok == (i % 100 ~= 0))
          assert.is_true(value == (ok and i or "one in a hundred"))
        end
        ex:shutdown()
      end
    end
  end)

  it("refuse what cannot cross 10000 times without a leak", function()
    program(load_of(10000), 120, [[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local co = coroutine.create(print)
      local function bad_result() return { { coroutine.create(print) } } end
      local function run(n)
        for i = 1, n do
          assert(not pcall(ex.submit, ex, print, { { i, co } }))
          local f = ex:submit(bad_result)
          assert(lpool.is(f:exception(), "SerializationError"))
        end
      end
      run(math.max(100, LOAD // 10))
      local start = resident()
      run(LOAD)
      local grown = resident() - start
      assert(not FULL or grown < 2 << 20, grown .. " bytes more")
      print("ok")
    ]])
  end)

  it("run many executors from many tasks at once", function()
    helper.limit(120)
    local ex <close> = lpool.ThreadPoolExecutor(4)
    local n = load_of(200)
    for i, sum in ex:map(function(k)
      local inner <close> = lpool.ThreadPoolExecutor(2)
      local total = 0
      for _, result in inner:map(math.abs, lpool.range(-k, -1)) do
        total = total + result
      end
      return total
    end, lpool.range(1, n), { chunksize = 1 }) do
      assert.are.equal(i * (i + 1) // 2, sum)
    end
  end)
end)
