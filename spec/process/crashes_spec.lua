-- Workers that die in every way: one task fails, and says how; all else goes on.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"
local processes = require "spec.support.processes"

local crash = processes.crash()
local gates = helper.gate

local function square(n)
  return n * n
end

-- What a loss must say of itself.
local function check_loss(err, label, signal, code)
  assert.is_true(lpool.is(err, "WorkerLostError"), tostring(err))
  assert.is_true(lpool.is(err, "BrokenExecutor"))
  assert.are.equal("WorkerLostError", err.kind)
  assert.are.equal(tostring(err), err.message)
  assert.are.equal("integer", math.type(err.pid))
  helper.contains(tostring(err.pid), err.message)
  assert.are.equal(label, err.label)
  helper.contains(label, err.message)
  assert.are.equal(signal, err.signal)
  assert.are.equal(code, err.code)
  helper.contains(signal or "code " .. code, err.message)
end

-- One worker dies, with tasks behind: those run elsewhere, as if nothing was.
local function check_crash(label, signal, code, fn, ...)
  local ex <close> = lpool.ProcessPoolExecutor(1)
  local pid = ex:submit(lpool.getpid):result()
  local bad = ex:with({ label = label }):submit(fn, ...)
  local others = {}
  for i = 1, 20 do
    others[i] = ex:submit(square, i)
  end
  local err, traceback = bad:exception(20)
  check_loss(err, label, signal, code)
  assert.are.equal(pid, err.pid)
  assert.are.equal("string", type(traceback))
  assert.are.equal("failed", bad:state())
  assert.are.equal(err.message, helper.raised(bad.result, bad).message)
  for i = 1, 20 do
    assert.are.equal(i * i, others[i]:result(20))
  end
  assert.is_false(processes.alive(pid))
  assert.are_not.equal(pid, ex:submit(lpool.getpid):result(20))
end

describe("a worker's death by", function()
  for _, name in ipairs {
    "KILL", "SEGV", "BUS", "FPE", "ILL", "ABRT", "TERM", "HUP", "QUIT", "PIPE", "USR1", "USR2",
    "ALRM", "TRAP", "SYS", "XCPU", "XFSZ", "VTALRM", "PROF", "POLL", "PWR",
  } do
    it("SIG" .. name .. " fails the task that it ran, and only that", function()
      check_crash("dies by " .. name, "SIG" .. name, nil, processes.die, name)
    end)
  end

  it("a signal without a name says its number", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local err = ex:submit(crash.raise, 40):exception(20)
    assert.is_true(lpool.is(err, "WorkerLostError"))
    assert.is_string(err.signal)
    assert.is_true(err.signal:find("40") ~= nil or err.signal:find("RTMIN") ~= nil, err.signal)
    helper.contains(err.signal, err.message)
  end)

  it("a write to nowhere fails its task", function()
    check_crash("writes wild", "SIGSEGV", nil, crash.segfault)
  end)

  it("an overflow of C's stack fails its task", function()
    check_crash("sinks", "SIGSEGV", nil, crash.overflow)
  end)

  it("bytecode that is none fails its task", function()
    -- Not every garbage kills Lua; what does not, raises, and is tried again.
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local deaths = 0
    for seed = 1, 40 do
      local f = ex:submit(function(n)
        math.randomseed(n)
        local code = string.dump(load("local a, b = ... for i = 1, 9 do a = { a, b } end return a"))
        local at = #code - math.random(20, 120)
        crash.untrap()
        local garbage = code:sub(1, at):gsub("..$", string.char(math.random(255), 255))
        local fn = load(garbage .. code:sub(at + 1), "=garbage", "b")
        if fn then
          local ok, err = pcall(fn, 1, 2)
          return ok, tostring(err)
        end
      end, seed)
      local err = f:exception(20)
      if lpool.is(err, "WorkerLostError") then
        deaths = deaths + 1
      end
    end
    assert.are.equal(16, ex:submit(square, 4):result(20))
    assert.is_true(deaths >= 0)
  end)

  it("abort() fails its task", function()
    check_crash("aborts", "SIGABRT", nil, crash.abort)
  end)

  for _, code in ipairs { 0, 1, 7, 127, 255 } do
    it(("_exit(%d) in C fails its task"):format(code), function()
      check_crash("leaves", nil, code, crash.exit, code)
    end)
  end

  for _, code in ipairs { 0, 3 } do
    it(("exit(%d) in C fails its task"):format(code), function()
      check_crash("leaves in order", nil, code, crash.exit_normally, code)
    end)
  end

  it("closing all its descriptors leaves results right", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    ex:submit(crash.close_all):exception(20)
    for i = 1, 10 do
      local ok, result = pcall(function()
        return ex:submit(square, i):result(20)
      end)
      assert.is_true(ok and result == i * i or lpool.is(result, "BrokenExecutor"), tostring(result))
    end
  end)
end)

describe("os.exit in a process's task", function()
  for _, code in ipairs { 0, 1, 7, 255 } do
    it(("ends the task with WorkerExitError, code %d, and replaces the worker")
      :format(code), function()
      local ex <close> = lpool.ProcessPoolExecutor(1)
      local pid = ex:submit(lpool.getpid):result()
      local f = ex:with({ label = "goes" }):submit(os.exit, code)
      local after = ex:submit(lpool.getpid)
      local err = f:exception(20)
      assert.are.equal("WorkerExitError", err.kind)
      assert.are.equal(code, err.code)
      assert.are.equal(pid, err.pid)
      assert.are.equal("goes", err.label)
      assert.is_nil(err.signal)
      for _, part in ipairs { "goes", ("os.exit(%d)"):format(code), pid } do
        helper.contains(tostring(part), err.message)
      end
      assert.are_not.equal(pid, after:result(20))
    end)
  end

  it("is not stopped by pcall, a coroutine, or a to-be-closed variable", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    for index, fn in ipairs {
      function()
        pcall(os.exit, 1)
      end,
      function()
        pcall(coroutine.wrap(function()
          pcall(os.exit, 2)
        end))
      end,
      function()
        local _ <close> = setmetatable({}, {
          __close = function()
            os.exit(3)
          end,
        })
      end,
    } do
      local err = ex:submit(fn):exception(20)
      assert.is_true(lpool.is(err, "WorkerExitError"), tostring(err))
      assert.are.equal(index, err.code)
    end
  end)

  it("takes true and false", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    assert.are.equal(0, ex:submit(os.exit, true):exception(20).code)
    assert.are.equal(1, ex:submit(os.exit, false):exception(20).code)
    assert.are.equal(0, ex:submit(os.exit, true, true):exception(20).code)
  end)
end)

describe("a stack overflow", function()
  local overflows = {
    ["of Lua"] = function()
      local function f(n)
        return 1 + f(n + 1)
      end
      return f(1)
    end,
    ["of gsub in gsub"] = function()
      local function f()
        return (("x"):gsub("x", f))
      end
      return f()
    end,
    ["of metamethods"] = function()
      local t = {}
      setmetatable(t, {
        __index = function(_, k)
          return t[k .. "x"]
        end,
      })
      return t.a
    end,
    ["of coroutines"] = function()
      local function f()
        return coroutine.wrap(f)()
      end
      return f()
    end,
    ["of the parser"] = function()
      return assert(load("return " .. ("("):rep(100000) .. "1" .. (")"):rep(100000)))
    end,
    ["of tostring"] = function()
      local t = setmetatable({}, {})
      getmetatable(t).__tostring = function()
        return tostring(t)
      end
      return tostring(t)
    end,
  }
  for what, fn in pairs(overflows) do
    it(what .. " is an error of the task, and the worker lives", function()
      local ex <close> = lpool.ProcessPoolExecutor(1)
      local pid = ex:submit(lpool.getpid):result()
      local err, traceback = ex:submit(fn):exception(25)
      assert.are.equal("string", type(traceback))
      assert.is_false(lpool.is(err, "WorkerLostError"), tostring(err))
      assert.are.equal(pid, ex:submit(lpool.getpid):result(20))
    end)
  end
end)

describe("workers that die", function()
  it("all at once lose their tasks, and what was queued runs", function()
    local ex <close> = lpool.ProcessPoolExecutor(8)
    local gate <close> = gates.new()
    local bad, good = {}, {}
    for i = 1, 8 do
      bad[i] = ex:with({ label = "victim " .. i }):submit(function(path)
        require("spec.support.gate").hold(path)
        require("spec.support.processes").die("KILL")
      end, gate.path)
    end
    gate:await(8)
    for i = 1, 200 do
      good[i] = ex:submit(square, i)
    end
    gate:open()
    local pids = {}
    for i = 1, 8 do
      local err = bad[i]:exception(20)
      check_loss(err, "victim " .. i, "SIGKILL")
      assert.is_nil(pids[err.pid])
      pids[err.pid] = true
    end
    for i = 1, 200 do
      assert.are.equal(i * i, good[i]:result(20))
    end
  end)

  it("are replaced within milliseconds", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local quickest = math.huge
    for i = 1, 5 do
      local f = ex:submit(crash.raise, 9)
      assert.are.equal("SIGKILL", f:exception(20).signal)
      local start = lpool.now()
      assert.are.equal(i * i, ex:submit(square, i):result(20))
      quickest = math.min(quickest, lpool.now() - start)
    end
    assert.is_true(quickest < 0.1 * helper.patience, ("%g s"):format(quickest))
  end)

  it("take nothing of others' that ran at the same time", function()
    local ex <close> = lpool.ProcessPoolExecutor(3)
    local gate <close> = gates.new()
    local kept = { ex:submit(gates.hold, gate.path, "a"), ex:submit(gates.hold, gate.path, "b") }
    gate:await(2)
    for _ = 1, 10 do
      assert.are.equal("SIGKILL", ex:submit(crash.raise, 9):exception(20).signal)
    end
    gate:open()
    assert.are.equal("a", kept[1]:result(20))
    assert.are.equal("b", kept[2]:result(20))
  end)

  it("idle fail nothing", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for i = 1, 10 do
      local pids = {}
      for k, f in ipairs(ex:broadcast(lpool.getpid)) do
        pids[k] = f:result(20)
      end
      for _, pid in ipairs(pids) do
        os.execute("kill -9 " .. pid)
      end
      -- A task may come to a worker that is dying; it must not be lost.
      assert.are.equal(i * i, ex:submit(square, i):result(20))
    end
  end)

  it("tell their pid and name while they run", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local gate <close> = gates.new()
    local pid = ex:submit(lpool.getpid):result()
    local f = ex:submit(gates.hold, gate.path)
    gate:await(1)
    assert.are.equal("running", f:state())
    assert.are.equal(pid, f:pid())
    helper.contains("ProcessPoolExecutor-", f:worker())
  end)

  it("stopped and then killed lose their task only", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local gate <close> = gates.new()
    local f = ex:submit(function(path)
      local file <close> = io.open(path .. ".pid", "w")
      file:write(lpool.getpid())
      file:close()
      require("spec.support.gate").hold(path)
    end, gate.path)
    helper.temporary.claim(gate.path .. ".pid")
    gate:await(1)
    local pid = helper.temporary.read(gate.path .. ".pid")
    os.execute("kill -STOP " .. pid)
    for i = 1, 100 do
      assert.are.equal(i * i, ex:submit(square, i):result(20))
    end
    os.execute("kill -KILL " .. pid)
    assert.are.equal("SIGKILL", f:exception(20).signal)
  end)

  it("stopped and continued lose nothing", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local pid = ex:submit(lpool.getpid):result()
    os.execute("kill -STOP " .. pid)
    local f = ex:submit(square, 3)
    assert.is_false(pcall(f.result, f, 0.05))
    os.execute("kill -CONT " .. pid)
    assert.are.equal(9, f:result(20))
  end)

  it("run callbacks of what they lost, once", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local calls = 0
    local f = ex:submit(crash.raise, 9)
    f:add_done_callback(function(g)
      calls = calls + 1
      assert(lpool.is(g:exception(), "WorkerLostError"))
    end)
    lpool.wait { f }
    helper.eventually(function()
      return calls == 1
    end, "the callback had run")
    lpool.poll()
    assert.are.equal(1, calls)
  end)

  it("are not confused by children of their own that end as they do", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local pid = ex:submit(lpool.getpid):result()
    for i = 1, 10 do
      assert.are.equal("integer", math.type(ex:submit(crash.exit_in_fork):result(20)))
      assert.are.equal(i * i, ex:submit(square, i):result(20))
    end
    assert.are.equal(pid, ex:submit(lpool.getpid):result(20))
  end)

  it("leave no zombie", function()
    local ex <close> = lpool.ProcessPoolExecutor(4)
    local futures = {}
    for i = 1, 40 do
      futures[i] = ex:submit(crash.raise, 9)
    end
    for i = 1, 40 do
      assert.are.equal("SIGKILL", futures[i]:exception(20).signal)
    end
    helper.eventually(function()
      for _, process in ipairs(processes.below(lpool.getpid())) do
        if process.zombie then
          return false
        end
      end
      return true
    end, "no zombie was left")
  end)
end)

describe("a worker that writes over what it shares", function()
  -- Lists that lead anywhere lead to races as well, which are not ours.
  local races = [[TSAN_OPTIONS="$TSAN_OPTIONS exitcode=0"]]

  -- The executor may be lost with it, and says so; the program and other executors are not.
  local source = [[
    local lpool = require "lpool"
    local crash = require("spec.support.processes").crash()
    local name, seed = ..., tonumber((select(2, ...)))
    local other = lpool.ProcessPoolExecutor(1)
    assert(other:submit(math.abs, -1):result() == 1)
    local ex = lpool.ProcessPoolExecutor(2)
    lpool.wait(ex:broadcast(math.abs, 1))
    local futures = {}
    for i = 1, 20 do futures[i] = ex:submit(math.abs, -i) end
    ex:map(math.abs, lpool.range(1, 1000))
    local wild = ex:submit(crash.scribble, name, seed)
    for i = 21, 40 do
      local ok, future = pcall(ex.submit, ex, math.abs, -i)
      if not ok then break end -- the executor was found broken
      futures[i] = future
    end
    lpool.wait(futures, { timeout = 0.5 })
    assert(other:submit(math.abs, -5):result(5) == 5)
    ex:kill_workers()
    for _, future in ipairs(futures) do pcall(future.result, future, 0.01) end
    pcall(wild.result, wild, 0.01)
    ex:shutdown { timeout = 1 }
    other:shutdown()
    local new <close> = lpool.ProcessPoolExecutor(1)
    assert(new:submit(math.abs, -5):result(5) == 5)
    print("alive")
    os.exit(0)
  ]]
  for _, name in ipairs { "words", "outcomes", "host", "library", "bell" } do
    it(("(%s) damages its own executor at most"):format(name), function()
      for seed = 0, name == "words" and 6 or 2 do
        local result = helper.run(source, {
          args = ("%s %d"):format(name, seed),
          env = races,
          limit = 10,
        })
        assert.are.equal("alive\n", result.out, result.err)
        assert.are.equal(0, result.code)
      end
    end)
  end
end)
