-- What is left when the program ends, however it does; and when the zygote does.
local helper = require "spec.helper"
local processes = require "spec.support.processes"

-- Runs a program in a session of its own; gives the result and the session.
-- The program starts six workers: busy, asleep, idle, in a child of their own.
local prelude = [[
  local lpool = require "lpool"
  local processes = require "spec.support.processes"
  local gates = require "spec.support.gate"
  local PATH = ...
  ex = lpool.ProcessPoolExecutor(3)
  local function start()
    ex:submit(function(path) gates.arrive(path) while true do local t = {} end end, PATH)
    ex:submit(function(path) gates.arrive(path) lpool.sleep(1000) end, PATH)
    ex:submit(function(path) gates.arrive(path) return 1 end, PATH)
    idle = lpool.ProcessPoolExecutor(2)
    for _, f in ipairs(idle:broadcast(math.abs, 1)) do f:result() end
    gates.meet(PATH, 3)
  end
  local function strike(signal)
    io.popen("kill -" .. signal .. " $PPID"):close()
    lpool.sleep(30)
  end
  io.stdout:setvbuf("no")
  print(lpool.getpid())
]]

local function run(source)
  local gate <close> = helper.gate.new()
  local script = helper.temporary.file(prelude .. source)
  local command = ("exec setsid $LPOOL %s %s"):format(script, gate.path)
  local result = helper.shell(command, { limit = 15 })
  result.session = assert(tonumber(result.out:match("^%d+")), result.err)
  return result
end

-- Waits until none of the session is left; two seconds are what is promised.
local function check_gone(result)
  local start = require("lpool").now()
  local left
  helper.eventually(function()
    left = processes.of_session(result.session)
    return #left == 0
  end, "all processes of the program had ended")
  local seconds = require("lpool").now() - start
  assert.is_true(seconds < 2 * helper.patience, seconds .. " s")
end

describe("no process is left after", function()
  local ends = {
    ["an error"] = { "ex:submit(math.abs, 1) ex:submit(print, 1) error('no more')", 1 },
    ["os.exit()"] = { "start() os.exit()", 0 },
    ["os.exit(3)"] = { "start() os.exit(3)", 3 },
    ["os.exit(0, true)"] = { "start() ex:kill_workers() os.exit(0, true)", 0 },
    ["SIGTERM"] = { "start() strike('TERM')", 143 },
    ["SIGKILL"] = { "start() strike('KILL')", 137 },
    ["SIGSEGV"] = { "start() strike('SEGV')" },
    ["SIGABRT"] = { "start() strike('ABRT')" },
    ["SIGHUP"] = { "start() strike('HUP')", 129 },
    ["a wild write"] = { "start() processes.crash().segfault()" },
    ["_exit in C"] = { "start() processes.crash().exit(4)", 4 },
    ["its normal end"] = { [[
      for i = 1, 20 do ex:submit(math.abs, i) end
    ]], 0 },
    ["its normal end, with killed workers"] = { [[
      for i = 1, 20 do ex:submit(processes.strike, "KILL"):exception() end
    ]], 0 },
    ["kill_workers"] = { "start() ex:kill_workers()", 0 },
    ["its end before the first task"] = { "", 0 },
    ["SIGKILL while workers are being started"] = { [[
      local many = lpool.ProcessPoolExecutor(20)
      for i = 1, 40 do many:submit(lpool.sleep, 100) end
      strike("KILL")
    ]], 137 },
    ["SIGKILL while tasks wait at channels and for keys"] = { [[
      local empty, full, dict = lpool.channel(), lpool.channel(1), lpool.dict()
      full:send(1)
      local function update() dict:update(1, function() gates.arrive(PATH) lpool.sleep(100) end) end
      ex:submit(update)
      gates.meet(PATH, 1)
      ex:submit(function() gates.arrive(PATH) empty:receive() end)
      ex:submit(function() gates.arrive(PATH) full:send(1) end)
      idle = lpool.ProcessPoolExecutor(1)
      idle:submit(function() gates.arrive(PATH) update() end)
      gates.meet(PATH, 4)
      strike("KILL")
    ]], 137 },
    ["SIGKILL while a task has pools of its own"] = { [[
      ex:submit(function(path)
        local inner = lpool.ProcessPoolExecutor(2)
        for i = 1, 2 do
          inner:submit(function() gates.arrive(path) lpool.sleep(100) end)
        end
        lpool.sleep(100)
      end, PATH)
      gates.meet(PATH, 2)
      strike("KILL")
    ]], 137 },
  }

  for what, case in pairs(ends) do
    it(what, function()
      local result = run(case[1])
      assert.are_not.equal(124, result.code, "hangs: " .. result.err)
      if case[2] then
        assert.are.equal(case[2], result.code)
      end
      check_gone(result)
    end)
  end

  it("a worker whose own pool has workers is killed", function()
    local result = run [[
      local f = ex:submit(function(path)
        local inner = lpool.ProcessPoolExecutor(2)
        for i = 1, 2 do
          inner:submit(function() gates.arrive(path) lpool.sleep(100) end)
        end
        gates.meet(path, 2)
        io.popen("kill -KILL $PPID"):close()
      end, PATH)
      local err = f:exception(10)
      assert(err.signal == "SIGKILL")
      local deadline = lpool.now() + 5
      repeat
        local found = 0
        for _, p in ipairs(processes.of_session(lpool.getpid())) do
          if p.name ~= "sh" and p.name ~= "timeout" then found = found + 1 end
        end
        lpool.sleep(0.005)
      until found <= 3 or lpool.now() > deadline -- itself, the zygote, perhaps a new worker
      print(#processes.of_session(lpool.getpid()) <= 3)
    ]]
    assert.are.equal("", result.err)
    assert.matches("\ntrue\n$", result.out)
    check_gone(result)
  end)
end)

describe("a zombie", function()
  it("is never there for longer than a moment, whatever ends workers", function()
    local result = run [[
      local recycled = lpool.ProcessPoolExecutor { max_workers = 2, max_tasks_per_child = 1 }
      -- A zombie that is there twice, a tenth of a second apart, is not being reaped.
      local seen, stayed = {}, 0
      for i = 1, 100 do
        recycled:submit(math.abs, i):result()
        ex:submit(processes.strike, "KILL"):exception()
        if i % 5 == 0 then
          local now = {}
          for _, p in ipairs(processes.below(lpool.getpid())) do
            if p.zombie then
              now[p.pid] = seen[p.pid] or lpool.now()
              if lpool.now() - now[p.pid] > 0.5 then stayed = stayed + 1 end
            end
          end
          seen = now
        end
      end
      recycled:shutdown()
      ex:shutdown()
      local deadline = lpool.now() + 5
      local zombies
      repeat
        zombies = 0
        for _, p in ipairs(processes.below(lpool.getpid())) do
          zombies = zombies + (p.zombie and 1 or 0)
        end
      until zombies == 0 or lpool.now() > deadline
      print(stayed, zombies)
    ]]
    assert.are.equal("", result.err)
    assert.matches("\n0\t0\n$", result.out)
    check_gone(result)
  end)
end)

describe("a zygote that is killed", function()
  for _, signal in ipairs { "KILL", "ABRT", "TERM" } do
    it("by SIG" .. signal .. " loses what ran; all else gets its answer from a new one", function()
      local result = run(([[
        local SIGNAL = %q
        local running, pending = {}, {}
        for i = 1, 3 do
          running[i] = ex:submit(function(path) gates.arrive(path) lpool.sleep(100) end, PATH)
        end
        gates.meet(PATH, 3)
        for i = 1, 50 do pending[i] = ex:submit(math.abs, -i) end
        local zygotes = processes.zygotes(lpool.getpid())
        assert(#zygotes == 1, #zygotes .. " zygotes")
        os.execute("kill -" .. SIGNAL .. " " .. zygotes[1].pid)
        for i = 1, 3 do
          local err = running[i]:exception(10)
          assert(lpool.is(err, "WorkerLostError"), tostring(err))
          assert(err.signal == "SIGKILL", tostring(err))
        end
        for i = 1, 50 do
          local ok, value = pcall(pending[i].result, pending[i], 10)
          assert(ok and value == i, tostring(value))
        end
        for i = 1, 50 do assert(ex:submit(math.abs, -i):result(10) == i) end
        local another = lpool.ProcessPoolExecutor(2)
        assert(another:submit(math.abs, -7):result(10) == 7)
        local now
        local deadline = lpool.now() + 5
        repeat
          now = processes.zygotes(lpool.getpid())
        until #now == 1 or lpool.now() > deadline
        assert(#now == 1 and now[1].pid ~= zygotes[1].pid, processes.describe(now))
        for i, value in ex:map(math.abs, lpool.range(1, 1000)) do assert(i == value) end
        ex:shutdown()
        another:shutdown()
        print("ok")
      ]]):format(signal))
      assert.are.equal("", result.err)
      assert.matches("\nok\n$", result.out)
      check_gone(result)
    end)
  end

  it("again and again is replaced again and again", function()
    local result = run [[
      for i = 1, 15 do
        local futures = {}
        for k = 1, 20 do futures[k] = ex:submit(math.abs, -k) end
        for _, zygote in ipairs(processes.zygotes(lpool.getpid())) do
          os.execute("kill -KILL " .. zygote.pid .. " 2>/dev/null") -- it may be gone by now
        end
        for k = 1, 20 do
          local ok, value = pcall(futures[k].result, futures[k], 10)
          assert(ok and value == k or lpool.is(value, "WorkerLostError"), tostring(value))
        end
      end
      ex:shutdown()
      print("ok")
    ]]
    assert.are.equal("", result.err)
    assert.matches("\nok\n$", result.out)
    check_gone(result)
  end)

  it("while idle costs nothing", function()
    local result = run [[
      assert(ex:submit(math.abs, -1):result(10) == 1)
      for _, zygote in ipairs(processes.zygotes(lpool.getpid())) do
        os.execute("kill -KILL " .. zygote.pid)
      end
      for _, f in ipairs(ex:broadcast(math.abs, -4)) do assert(f:result(10) == 4) end
      ex:shutdown()
      print("ok")
    ]]
    assert.are.equal("", result.err)
    assert.matches("\nok\n$", result.out)
    check_gone(result)
  end)

  it("with a preload of its own gives an answer to every future", function()
    local result = run [[
      local loaded = lpool.ProcessPoolExecutor {
        max_workers = 2, preload = { "spec.support.gate" },
      }
      assert(loaded:submit(math.abs, -1):result(10) == 1)
      for _, zygote in ipairs(processes.zygotes(lpool.getpid())) do
        os.execute("kill -KILL " .. zygote.pid)
      end
      for i = 1, 10 do
        local ok, value = pcall(function() return loaded:submit(math.abs, -i):result(10) end)
        assert(ok and value == i or lpool.is(value, "BrokenExecutor"), tostring(value))
      end
      loaded:shutdown()
      assert(ex:submit(math.abs, -1):result(10) == 1)
      ex:shutdown()
      print("ok")
    ]]
    assert.are.equal("", result.err)
    assert.matches("\nok\n$", result.out)
    check_gone(result)
  end)
end)
