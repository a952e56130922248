-- Process pools under load, each scenario in a program of its own. The usual
-- run is short; `make stress` sets LPOOL_STRESS=full for the full numbers.
local helper = require "spec.helper"
local load = require "spec.support.load"

local FULL, program = load.FULL, load.program

describe("process pools under load #slow:", function()
  it("S1: workers killed in mid-task lose exactly these tasks", function()
    program(100, 1000, 200, [[
      local ex = lpool.ProcessPoolExecutor(4)
      for _, f in ipairs(ex:broadcast(square, 1)) do f:result() end
      local function round(n)
        local bad, good = {}, {}
        for i = 1, n do
          good[2 * i - 1] = ex:submit(square, 2 * i - 1)
          bad[i] = ex:with({ label = "victim " .. i }):submit(crash.raise, 9)
          good[2 * i] = ex:submit(square, 2 * i)
          if i % 50 == 0 then lpool.wait { good[2 * i] } end
        end
        local pids, distinct = {}, 0
        for i = 1, n do
          local err = bad[i]:exception(60)
          assert(lpool.is(err, "WorkerLostError"), tostring(err))
          assert(err.signal == "SIGKILL" and err.label == "victim " .. i)
          distinct = distinct + (pids[err.pid] and 0 or 1)
          pids[err.pid] = true
        end
        assert(distinct == n, distinct .. " pids")
        for i = 1, 2 * n do assert(good[i]:result(60) == i * i) end
        lpool.wait(ex:broadcast(square, 1))
      end
      round(LOAD // 2)
      local before, memory = held(), resident()
      round(LOAD)
      local recoveries = {}
      local function recover()
        local one <close> = lpool.ProcessPoolExecutor(1)
        for i = 1, 51 do
          one:submit(crash.raise, 9):exception(60)
          local start = lpool.now()
          assert(one:submit(square, i):result(60) == i * i)
          recoveries[i] = lpool.now() - start
        end
      end
      recover()
      local recovery = median(recoveries)
      assert(not FULL or recovery < 0.005, recovery .. " s to recover")
      lpool.wait(ex:broadcast(square, 1))
      check_settled(before, memory, 1 << 20)
      print("ok")
    ]])
  end)

  it("S2: idle workers killed lose nothing", function()
    program(60, 1000, 120, [[
      local ex = lpool.ProcessPoolExecutor(2)
      lpool.wait(ex:broadcast(square, 1))
      local before, memory = held(), resident()
      for i = 1, LOAD do
        local pid = ex:submit(lpool.getpid):result(20)
        os.execute("kill -9 " .. pid)
        assert(ex:submit(square, i):result(20) == i * i)
      end
      lpool.wait(ex:broadcast(square, 1))
      check_settled(before, memory, 1 << 20)
      print("ok")
    ]])
  end)

  it("S3: workers killed at random moments mix nothing up", function()
    program(100, 2000, 240, [[
      local ex = lpool.ProcessPoolExecutor(3)
      -- A thread strikes workers at random moments of their tasks.
      local function make(seed, size)
        local text = ("%d,"):format(seed)
        return text:rep(size // #text)
      end
      local sizes = { 10, 1000, 100000, 1 << 20, 4 << 20 }
      if FULL then sizes[6] = 16 << 20 end
      local lost = 0
      for round = 1, LOAD do
        local size = sizes[round % #sizes + 1]
        local bad = ex:submit(function(microseconds)
          os.execute(("(sleep %.6f; kill -9 %d) 2>/dev/null &"):format(microseconds / 1e6,
            lpool.getpid()))
          return make(round, size)
        end, math.random(0, 2000))
        local good = ex:submit(make, round + 7, size)
        local ok, value = pcall(bad.result, bad, 20)
        assert(ok and value == make(round, size) or lpool.is(value, "WorkerLostError"), "damaged")
        local fine, text = pcall(good.result, good, 20)
        assert(fine and text == make(round + 7, size) or lpool.is(text, "WorkerLostError"),
          "damaged")
        lost = lost + (ok and 0 or 1)
      end
      lpool.wait(ex:broadcast(square, 1))
      assert(zombies() == 0)
      print("ok")
    ]])
  end)

  it("S4: workers that end in eight ways are each told by their own", function()
    program(5, 50, 120, [[
      local ways = {
        { os.exit, 0, code = 0, kind = "WorkerExitError" },
        { os.exit, 7, code = 7, kind = "WorkerExitError" },
        { crash.exit, 0, code = 0 },
        { crash.abort, nil, signal = "SIGABRT" },
        { crash.raise, 11, signal = "SIGSEGV" },
        { crash.raise, 4, signal = "SIGILL" },
        { crash.raise, 8, signal = "SIGFPE" },
        { crash.raise, 24, signal = "SIGXCPU" },
      }
      local ex = lpool.ProcessPoolExecutor(2)
      lpool.wait(ex:broadcast(square, 1))
      local before, memory = held(), resident()
      for round = 1, LOAD do
        local futures = {}
        for i, way in ipairs(ways) do futures[i] = ex:submit(way[1], way[2]) end
        local good = ex:submit(square, round)
        for i, way in ipairs(ways) do
          local err = futures[i]:exception(20)
          assert(lpool.is(err, way.kind or "WorkerLostError"), tostring(err))
          assert(err.code == way.code and err.signal == way.signal, tostring(err))
        end
        assert(good:result(20) == round * round)
      end
      lpool.wait(ex:broadcast(square, 1))
      check_settled(before, memory, 1 << 20)
      local threads <close> = lpool.ThreadPoolExecutor(2)
      for _ = 1, LOAD do
        assert(threads:submit(os.exit, 0):exception(20).code == 0)
        assert(threads:submit(os.exit, 7):exception(20).code == 7)
      end
      print("ok")
    ]])
  end)

  it("S12: Ctrl-C at random moments ends all within a second", function()
    local waits = {
      "for _ in ex:map(spin, lpool.range(1, 1000000), { chunksize = 1 }) do end",
      "for i = 1, 1000000 do ex:submit(spin, 1000):result() end",
      "lpool.wait(many())",
      "for _ in lpool.as_completed(many()) do end",
      "many() ex:shutdown()",
      "many()",
    }
    local rounds = FULL and 50 or 2
    helper.limit(FULL and 600 or 60)
    local processes = require "spec.support.processes"
    for round = 1, rounds do
      for index, wait in ipairs(waits) do
        local script = helper.temporary.file(([[
          local lpool = require "lpool"
          local ex <close> = lpool.ProcessPoolExecutor(3)
          function spin(n) local t = {} for i = 1, n %% 5000 do t[i] = i end return #t end
          local function many()
            local futures = {}
            for i = 1, 200000 do futures[i] = ex:submit(spin, 4999) end
            return futures
          end
          %s
        ]]):format(wait))
        local pid_file = helper.temporary.file()
        local again = (round + index) % 2 == 0 and 'env kill -INT -- -"$leader" 2>&-' or ""
        local result = helper.shell(([[
          (
            while [ ! -s %s ]; do sleep 0.002; done
            leader=$(cat %s)
            sleep %.4f
            date +%%s.%%N >>%s
            env kill -INT -- -"$leader" 2>&-
            %s
          ) &
          setsid sh -c 'echo $$ >%s; exec "$LPOOL" %s' </dev/null
          code=$?
          date +%%s.%%N >>%s
          exit $code
        ]]):format(pid_file, pid_file, 0.03 + 0.2 * ((round * 7 + index * 13) % 50) / 50, pid_file,
          again, pid_file, script, pid_file), { limit = 15 })
        local file <close> = io.open(pid_file)
        local session, sent, ended = file:read("n", "n", "n")
        -- A Ctrl-C before the program is there to catch it ends the shell.
        assert.are.equal("", result.out)
        assert.are.equal("", result.err)
        assert.are.equal(130, result.code, wait)
        assert.is_true(ended - sent < helper.patience, ("%s: %.2f s"):format(wait, ended - sent))
        helper.eventually(function()
          return #processes.of_session(math.tointeger(session)) == 0
        end, "all workers had ended")
      end
    end
  end)

  it("S16: programs executed from everywhere while pools work see none of it", function()
    program(60, 500, 120, [[
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local threads <close> = lpool.ThreadPoolExecutor(3)
      local other = ex:map(spin, lpool.range(1, 20000), { chunksize = 1 })
      local function list()
        local pipe <close> = io.popen("ls -l /proc/self/fd")
        return pipe:read("a")
      end
      local function check(text)
        assert(text:find("0 %->") and not text:find("lpool") and not text:find("socket")
          and not text:find("anon_inode"), text)
      end
      local futures = {}
      for i = 1, LOAD do
        futures[#futures + 1] = threads:submit(list)
        if i % 10 == 0 then
          futures[#futures + 1] = ex:submit(list)
          check(list())
          assert(os.execute("true"))
          assert(ex:submit(crash.exit_in_fork):result(20) > 0)
        end
      end
      for _, f in ipairs(futures) do check(f:result(60)) end
      other:close()
      print("ok")
    ]])
  end)

  it("S17: executors that come and go leave nothing", function()
    program(50, 500, 240, [[
      local function round(i)
        if i % 4 == 0 then
          lpool.ProcessPoolExecutor(2):submit(square, i)
          if i % 8 == 0 then collectgarbage() end
        elseif i % 4 == 1 then
          pcall(function()
            local ex <close> = lpool.ProcessPoolExecutor(2)
            ex:submit(square, i)
            error("leave")
          end)
        elseif i % 4 == 2 then
          local ex = lpool.ProcessPoolExecutor(2)
          local f = ex:submit(lpool.sleep, 100)
          ex:kill_workers()
          pcall(f.result, f)
          ex:shutdown()
        else
          local ex <close> = lpool.ProcessPoolExecutor(2)
          assert(ex:submit(square, i):result() == i * i)
        end
      end
      local function settle()
        local deadline = lpool.now() + 10
        repeat
          collectgarbage()
          lpool.poll()
        until held().processes <= 1 or lpool.now() > deadline
      end
      for i = 1, 50 do round(i) end
      settle()
      lpool.sleep(0.05)
      local before, memory = held(), resident()
      for i = 1, LOAD do round(i) end
      check_settled(before, memory, 2 << 20)
      print("ok")
    ]])
  end)

  it("S18: 0 zombies while workers are replaced after each task", function()
    program(500, 10000, 240, [[
      local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, max_tasks_per_child = 1 }
      lpool.wait(ex:broadcast(square, 1))
      local memory
      local seen, stayed = {}, 0
      local window = {}
      for i = 1, LOAD do
        window[i % 20] = ex:submit(square, i)
        local old = window[(i + 1) % 20]
        if old then assert(old:result(20) > 0) end
        if i % 100 == 0 then
          local now = {}
          for _, process in ipairs(processes.below(lpool.getpid())) do
            if process.zombie then
              now[process.pid] = seen[process.pid] or lpool.now()
              if lpool.now() - now[process.pid] > 0.5 then stayed = stayed + 1 end
            end
          end
          seen = now
        end
        if i == LOAD // 2 then memory = resident() end
      end
      assert(stayed == 0, stayed .. " zombies stayed")
      local grown = resident() - memory
      assert(not FULL or grown < 1 << 20, grown .. " bytes more")
      print("ok")
    ]])
  end)

  it("S18: no orphan, at whatever moment the parent ends", function()
    local processes = require "spec.support.processes"
    local rounds = FULL and 50 or 4
    helper.limit(FULL and 300 or 60)
    for round = 1, rounds do
      for _, how in ipairs { "KILL", "SEGV", "exit" } do
        local script = helper.temporary.file(([[
          local lpool = require "lpool"
          io.stdout:setvbuf("no")
          print(lpool.getpid())
          local how = %q
          if how ~= "exit" then
            local command = "(sleep %.4f; kill -%%s %%d) >/dev/null &"
            io.popen(command:format(how, lpool.getpid())):close()
          end
          local deadline = lpool.now() + %.4f
          local ex = lpool.ProcessPoolExecutor { max_workers = 4, max_tasks_per_child = 5 }
          while true do
            local futures = {}
            for i = 1, 40 do
              futures[i] = ex:submit(i %% 10 == 0 and os.exit or math.abs, -i)
            end
            for i = 1, 40 do
              futures[i]:exception()
              if how == "exit" and lpool.now() > deadline then os.exit(3) end
            end
          end
        ]]):format(how, 0.1 * (round % 25) / 25, 0.1 * (round % 25) / 25))
        local result = helper.shell("exec setsid $LPOOL " .. script, { limit = 15 })
        assert.are_not.equal(124, result.code)
        local session = tonumber(result.out:match("^%d+"))
        local start = require("lpool").now()
        helper.eventually(function()
          return not session or #processes.of_session(session) == 0
        end, "all workers had ended")
        assert.is_true(require("lpool").now() - start < 2 * helper.patience)
      end
    end
  end)

  it("S19: replaced workers under a backlog end every task", function()
    program(100, 5000, 400, [[
      for _, tasks in ipairs { 1, 2, 3, 7 } do
        for _, workers in ipairs { 1, 2, 8 } do
          local ex = lpool.ProcessPoolExecutor {
            max_workers = workers, max_tasks_per_child = tasks,
          }
          local futures = {}
          for i = 1, LOAD do
            futures[i] = ex:submit(function(k)
              local sum = 0
              for j = 1, k * 7919 % 5000 do sum = sum + j end
              if k % 100 == 0 then error("one in a hundred", 0) end
              return k, lpool.getpid()
            end, i)
          end
          for i = 1, LOAD // 10 do futures[i]:exception(60) end
          ex:shutdown { wait = false }
          local alive = 0
          for _, process in ipairs(processes.below(lpool.getpid())) do
            if not process.zombie and process.name:find("ProcessPool") then alive = alive + 1 end
          end
          -- One that has said good-bye may still be leaving.
          assert(alive <= 2 * workers, alive .. " workers")
          local each = {}
          for i = 1, LOAD do
            local ok, value, pid = pcall(futures[i].result, futures[i], 60)
            assert(ok == (i % 100 ~= 0))
            assert(value == (ok and i or "one in a hundred"), tostring(value))
            if ok then
              each[pid] = (each[pid] or 0) + 1
              assert(each[pid] <= tasks or LOAD > 4000)
            end
          end
          ex:shutdown()
        end
      end
      print("ok")
    ]])
  end)
end)
