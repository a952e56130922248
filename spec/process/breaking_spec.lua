-- on_crash = "break", terminate_workers and kill_workers: executors that end before their time.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"
local processes = require "spec.support.processes"

local gates = helper.gate

-- CPython's words.
local PENDING = "A process in the process pool was terminated abruptly while the future was "
  .. "running or pending."
local USELESS = "A child process terminated abruptly, the process pool is not usable anymore"

local function square(n)
  return n * n
end

local function pids_of(ex)
  local pids = {}
  for i, f in ipairs(ex:broadcast(lpool.getpid)) do
    pids[i] = f:result(20)
  end
  return pids
end

local function await_death(pids)
  helper.eventually(function()
    for _, pid in ipairs(pids) do
      if processes.alive(pid) then
        return false
      end
    end
    return true
  end, "all workers had ended")
end

local function stun(path)
  require("spec.support.gate").hold(path)
  io.popen("kill -KILL $PPID"):close()
end

describe("on_crash = 'break'", function()
  it("fails what runs and what waits, as CPython does, and ends the other workers", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, on_crash = "break" }
    local pids = pids_of(ex)
    local gate <close> = gates.new()
    local bad = ex:submit(stun, gate.path)
    local running = ex:submit(function(path)
      require("spec.support.gate").arrive(path)
      lpool.sleep(100)
    end, gate.path)
    local pending = {}
    for i = 1, 20 do
      pending[i] = ex:submit(square, i)
    end
    gate:await(2)
    gate:open()
    for _, f in ipairs { bad, running, table.unpack(pending) } do
      local err = f:exception(20)
      assert.is_true(lpool.is(err, "BrokenProcessPool"), tostring(err))
      assert.is_true(lpool.is(err, "BrokenExecutor"))
      assert.are.equal(PENDING, err.message)
      assert.are.equal("failed", f:state())
    end
    await_death(pids)
    for _ = 1, 2 do
      local err = helper.raises("BrokenProcessPool", ex.submit, ex, square, 1)
      assert.are.equal(USELESS, err.message)
    end
    for _, method in ipairs { "map", "broadcast" } do
      local err = helper.raises("BrokenProcessPool", ex[method], ex, square, {})
      assert.are.equal(USELESS, err.message)
    end
    helper.contains("broken", tostring(ex))
  end)

  it("keeps what was done before, and another executor", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 1, on_crash = "break" }
    local other <close> = lpool.ProcessPoolExecutor { max_workers = 1 }
    local done = ex:submit(square, 5)
    assert.are.equal(25, done:result())
    local kept = other:submit(square, 6)
    ex:submit(processes.strike, "KILL"):exception(20)
    assert.are.equal(25, done:result())
    assert.are.equal(36, kept:result())
    assert.are.equal(49, other:submit(square, 7):result())
  end)

  it("breaks when an idle worker dies", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, on_crash = "break" }
    local pids = pids_of(ex)
    os.execute("kill -9 " .. pids[1])
    helper.eventually(function()
      return not pcall(ex.submit, ex, square, 1)
    end, "submit raised")
    await_death(pids)
  end)

  it("does not break over os.exit, errors or replaced workers", function()
    local ex <close> = lpool.ProcessPoolExecutor {
      max_workers = 1, on_crash = "break", max_tasks_per_child = 2,
    }
    for i = 1, 6 do
      assert.are.equal(i * i, ex:submit(square, i):result(20))
      assert.are.equal("no", ex:submit(error, "no", 0):exception(20))
    end
    assert.is_true(lpool.is(ex:submit(os.exit, 3):exception(20), "WorkerExitError"))
    assert.are.equal(4, ex:submit(square, 2):result(20))
  end)

  it("fails all of a map that has not come", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, on_crash = "break" }
    local results = ex:map(function(i)
      if i == 10 then
        io.popen("kill -KILL $PPID"):close()
      end
      return i
    end, lpool.range(1, 1000), { chunksize = 5 })
    local errors, count = 0, 0
    while true do
      local ok, i = pcall(results)
      if ok and not i then
        break
      end
      count = count + 1
      if not ok then
        errors = errors + 1
        assert.is_true(lpool.is(i, "BrokenProcessPool"), tostring(i))
      end
    end
    assert.are.equal(1000, count)
    assert.is_true(errors >= 1)
  end)

  it("is 'isolate' or 'break', and nothing else", function()
    for _, wrong in ipairs { "Break", "", 1, true, {} } do
      assert.is_false(pcall(lpool.ProcessPoolExecutor, { on_crash = wrong }))
    end
    local ex <close> = lpool.ProcessPoolExecutor { on_crash = "isolate", max_workers = 1 }
    ex:submit(processes.strike, "KILL"):exception(20)
    assert.are.equal(4, ex:submit(square, 2):result(20))
  end)
end)

for stop, signal in pairs { terminate_workers = "SIGTERM", kill_workers = "SIGKILL" } do
  describe(stop, function()
    it("loses what runs, cancels what waits, and ends the workers", function()
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local pids = pids_of(ex)
      local gate <close> = gates.new()
      local running, pending = {}, {}
      for i = 1, 2 do
        running[i] = ex:with({ label = "run" }):submit(gates.hold, gate.path)
      end
      gate:await(2)
      for i = 1, 50 do
        pending[i] = ex:submit(square, i)
      end
      ex[stop](ex)
      for i = 1, 2 do
        local err = running[i]:exception(20)
        assert.is_true(lpool.is(err, "WorkerLostError"), tostring(err))
        assert.are.equal(signal, err.signal)
        assert.are.equal("run", err.label)
      end
      for i = 1, 50 do
        assert.is_true(pending[i]:cancelled())
        helper.raises("CancelledError", pending[i].result, pending[i], 0)
      end
      await_death(pids)
      helper.raises("ShutdownError", ex.submit, ex, square, 1)
    end)

    it("says so of what runs, however many workers are just starting", function()
      for _ = 1, 40 do
        local ex <close> = lpool.ProcessPoolExecutor(8)
        local f = ex:submit(function()
          while true do
            local _ = {}
          end
        end)
        helper.eventually(function()
          return f:running()
        end, "the task ran")
        for _ = 1, 40 do
          ex:submit(square, 1)
        end
        ex[stop](ex)
        helper.raises("WorkerLostError", f.result, f, 20)
      end
    end)

    it("never raises: again, unstarted, after the end, after a crash", function()
      local ex = lpool.ProcessPoolExecutor(2)
      ex[stop](ex)
      ex[stop](ex)
      ex:shutdown()
      ex[stop](ex)
      local used = lpool.ProcessPoolExecutor(1)
      used:submit(processes.strike, "KILL"):exception(20)
      used[stop](used)
      used[stop](used)
      used:shutdown()
      used[stop](used)
      local broken = lpool.ProcessPoolExecutor { max_workers = 1, on_crash = "break" }
      broken:submit(processes.strike, "KILL"):exception(20)
      broken[stop](broken)
      broken:shutdown()
      local dead <close> = lpool.ProcessPoolExecutor(2)
      for _, pid in ipairs(pids_of(dead)) do
        os.execute("kill -9 " .. pid)
      end
      dead[stop](dead)
    end)

    it("keeps results that are there", function()
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local f = ex:submit(string.rep, "x", 1 << 20)
      lpool.wait { f }
      ex[stop](ex)
      ex:shutdown()
      assert.are.equal(("x"):rep(1 << 20), f:result(0))
    end)

    it("ends a map, whose items are all answered for", function()
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local gate <close> = gates.new()
      local path = gate.path
      local results = ex:map(function(i)
        if i == 5 then
          require("spec.support.gate").hold(path)
        end
        return i
      end, lpool.range(1, 1000), { chunksize = 1 })
      gate:await(1)
      ex[stop](ex)
      local count, right = 0, 0
      while true do
        local ok, i = pcall(results)
        if ok and not i then
          break
        end
        count = count + 1
        right = right + (ok and 1 or 0)
        assert.is_true(count <= 1000)
        assert.is_true(ok or lpool.is(i, "WorkerLostError") or lpool.is(i, "CancelledError"),
          tostring(i))
      end
      assert.is_true(right < 1000)
    end)

    it("ends workers that are still being started", function()
      for _ = 1, 10 do
        local ex = lpool.ProcessPoolExecutor(4)
        local futures = {}
        for i = 1, 20 do
          futures[i] = ex:submit(lpool.sleep, 100)
        end
        ex[stop](ex)
        ex:shutdown()
        for i = 1, 20 do
          assert.is_true(futures[i]:done())
          local ok, err = pcall(futures[i].result, futures[i], 0)
          assert.is_true(not ok and (lpool.is(err, "WorkerLostError")
            or lpool.is(err, "CancelledError")), tostring(err))
        end
      end
    end)

    it("ends a worker that ignores SIGTERM or is stopped, sooner or later", function()
      local ex = lpool.ProcessPoolExecutor(1)
      local pid = ex:submit(lpool.getpid):result()
      local f = ex:submit(lpool.sleep, 100)
      helper.eventually(function()
        return f:running()
      end, "the task ran")
      os.execute("kill -STOP " .. pid)
      ex[stop](ex)
      os.execute("kill -CONT " .. pid .. " 2>/dev/null")
      ex:shutdown()
      assert.are.equal(signal, f:exception(0).signal)
      await_death { pid }
    end)

    it("of one executor leaves the workers of others", function()
      local other <close> = lpool.ProcessPoolExecutor(1)
      local pid = other:submit(lpool.getpid):result()
      local ex = lpool.ProcessPoolExecutor(1)
      local f = ex:submit(lpool.sleep, 100)
      ex[stop](ex)
      ex:shutdown()
      pcall(f.result, f)
      assert.are.equal(pid, other:submit(lpool.getpid):result())
    end)
  end)
end
