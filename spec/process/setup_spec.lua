-- Workers that cannot begin, what is loaded for them, and how they are replaced.
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

-- A folder with Lua modules in it, for preload.
local function modules(sources)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
  for name, source in pairs(sources) do
    local path = ("%s/%s.lua"):format(folder, name)
    local file <close> = assert(io.open(path, "w"))
    file:write(source)
    helper.temporary.claim(path)
  end
  helper.temporary.claim(folder) -- after its files
  return folder .. "/?.lua;"
end

local function with_path(path, body)
  local before = package.path
  package.path = path .. package.path
  local ok, err = pcall(body)
  package.path = before
  if not ok then
    error(err, 0)
  end
end

-- An executor whose workers cannot begin says so on every future, starts few, and then no more.
local function check_broken(program, text, most)
  local gate <close> = gates.new()
  local result = helper.run([[
    local lpool = require "lpool"
    local gates = require "spec.support.gate"
    local crash = require("spec.support.processes").crash()
    local PATH = ...
  ]] .. program .. [[
    local ok, futures = pcall(function()
      local list = {}
      for i = 1, 20 do list[i] = ex:submit(math.max, i) end
      return list
    end)
    if ok then
      for i, f in ipairs(futures) do
        local err = f:exception(15)
        local fits = lpool.is(err, "BrokenProcessPool") or lpool.is(err, "WorkerLostError")
        assert(fits, tostring(err))
        print(tostring(err))
      end
    end
    local tries = 0
    repeat
      tries = tries + 1
      local again, f = pcall(ex.submit, ex, math.max, 1)
      if again then f:exception(15) end
    until not again or tries > 20
    local ok, err = pcall(ex.submit, ex, math.max, 1)
    assert(not ok, "submit did not raise")
    assert(lpool.is(err, "BrokenProcessPool"), tostring(err))
    print(tostring(err))
    assert(not pcall(ex.map, ex, math.max, { 1 }))
    ex:shutdown()
    print("end")
  ]], { args = gate.path, limit = 15 })
  assert.matches("end\n$", result.out, result.out .. result.err)
  assert.are.equal(0, result.code)
  helper.contains(text, result.out)
  assert.is_true(gate:count() <= most, gate:count() .. " were started")
  return result
end

describe("an initializer", function()
  it("that raises breaks the executor", function()
    local result = check_broken([[
      local ex = lpool.ProcessPoolExecutor { max_workers = 2, initializer = function(path)
        gates.arrive(path)
        error("no database")
      end, initargs = { PATH } }
    ]], "no database", 2)
    helper.contains("no database", result.err)
  end)

  it("whose process is killed breaks the executor, after few tries", function()
    check_broken([[
      local ex = lpool.ProcessPoolExecutor { max_workers = 2, initializer = function(path)
        gates.arrive(path)
        crash.raise(9)
      end, initargs = { PATH } }
    ]], "SIGKILL", 6)
  end)

  it("that writes wild breaks the executor, after few tries", function()
    check_broken([[
      local ex = lpool.ProcessPoolExecutor { max_workers = 1, initializer = function(path)
        gates.arrive(path)
        crash.segfault()
      end, initargs = { PATH } }
    ]], "while it started", 6)
  end)

  it("that exits breaks the executor, after few tries", function()
    for _, exit in ipairs { "os.exit(3)", "crash.exit(3)", "crash.exit(0)", "os.exit(0)" } do
      check_broken(([[
        local ex = lpool.ProcessPoolExecutor { max_workers = 1, initializer = function(path)
          gates.arrive(path)
          %s
        end, initargs = { PATH } }
      ]]):format(exit), exit:match("%d"), 6)
    end
  end)

  it("that breaks some workers only lets the others work", function()
    -- The second worker kills itself; the task that it was started for runs all the same.
    local gate <close> = gates.new()
    local ex <close> = lpool.ProcessPoolExecutor {
      max_workers = 2,
      initializer = function(path)
        gates.arrive(path)
        if gates.count(path) == 2 then
          crash.raise(9)
        end
      end,
      initargs = { gate.path },
    }
    local futures = {}
    for i = 1, 50 do
      futures[i] = ex:submit(square, i)
    end
    for i = 1, 50 do
      assert.are.equal(i * i, futures[i]:result(20))
    end
  end)

  it("runs in the worker that follows one that crashed", function()
    local ex <close> = lpool.ProcessPoolExecutor {
      max_workers = 1,
      initializer = function(...)
        _G.lpool_spec_given = table.pack(...)
      end,
      initargs = { 1, nil, "three", n = 4 },
    }
    for _ = 1, 3 do
      local given = ex:submit(function()
        return _G.lpool_spec_given
      end):result(20)
      assert.are.same({ 1, nil, "three", n = 4 }, given)
      ex:submit(crash.raise, 9):exception(20)
    end
  end)
end)

for _, stop in ipairs { "kill_workers", "terminate_workers" } do
  describe(stop, function()
    it("ends initializers and finalizers that never return", function()
      local function endless()
        while true do end -- luacheck: ignore 542
      end
      local ex = lpool.ProcessPoolExecutor { max_workers = 2, initializer = endless }
      local f = ex:submit(square, 1)
      ex[stop](ex)
      assert.is_true(ex:shutdown { timeout = 20 })
      assert.is_true(f:done())
      pcall(f.result, f)
      ex = lpool.ProcessPoolExecutor { max_workers = 2, finalizer = endless }
      assert.are.equal(1, ex:submit(square, 1):result())
      assert.is_false(ex:shutdown { timeout = 0.05 })
      ex[stop](ex)
      assert.is_true(ex:shutdown { timeout = 20 })
    end)
  end)
end

describe("a finalizer", function()
  it("runs once in each worker that ends in order, not in one that crashed", function()
    local gate <close> = gates.new()
    local path = gate.path
    do
      local ex <close> = lpool.ProcessPoolExecutor {
        max_workers = 3,
        finalizer = function()
          gates.arrive(path)
        end,
      }
      local all = ex:broadcast(lpool.getpid)
      lpool.wait(all)
      assert.are.equal(0, gate:count())
      os.execute("kill -9 " .. all[1]:result())
    end
    assert.is_true(gate:count() == 2 or gate:count() == 3, gate:count() .. " ran")
  end)

  it("that crashes, exits or raises hinders nothing", function()
    for _, fn in ipairs { crash.segfault, os.exit, error, function()
      crash.exit(9)
    end } do
      local f
      do
        local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, finalizer = fn }
        f = ex:submit(square, 3)
      end
      assert.are.equal(9, f:result(0))
    end
  end)

  it("that crashes in workers that are replaced loses no task", function()
    local ex <close> = lpool.ProcessPoolExecutor {
      max_workers = 2, max_tasks_per_child = 2, finalizer = crash.segfault,
    }
    local futures = {}
    for i = 1, 30 do
      futures[i] = ex:submit(square, i)
    end
    for i = 1, 30 do
      assert.are.equal(i * i, futures[i]:result(20))
    end
  end)
end)

describe("preload", function()
  it("of a module that is not there breaks the executor, naming it", function()
    check_broken([[
      local ex = lpool.ProcessPoolExecutor { max_workers = 2, preload = { "no.such.module" } }
    ]], "no.such.module", 0)
  end)

  for what, source in pairs {
    ["raises"] = "error('not today')",
    ["is killed"] = "io.popen('kill -KILL $PPID'):close()",
    ["exits"] = "os.exit(4)",
    ["writes wild"] = "require('crash').segfault()",
    ["is no Lua"] = "this is no Lua",
  } do
    it("of a module that " .. what .. " breaks the executor", function()
      local path = modules { lpool_spec_bad = source }
      check_broken(([[
        package.path = %q .. package.path
        local ex = lpool.ProcessPoolExecutor { max_workers = 2, preload = { "lpool_spec_bad" } }
      ]]):format(path), "", 0)
    end)
  end

  it("of a module that never returns can be ended", function()
    local path = modules { lpool_spec_bad = "while true do end" }
    for _, stop in ipairs { "kill_workers", "terminate_workers" } do
      local result = helper.run(([[
        package.path = %q .. package.path
        local lpool = require "lpool"
        local ex = lpool.ProcessPoolExecutor { max_workers = 2, preload = { "lpool_spec_bad" } }
        local f = ex:submit(print)
        ex:%s()
        print(f:state())
        ex:shutdown()
      ]]):format(path, stop), { limit = 10 })
      assert.are.equal("", result.err)
      assert.are.equal("cancelled\n", result.out)
      assert.are.equal(0, result.code)
    end
  end)

  it("that takes its process along says so", function()
    local path = modules { lpool_spec_bad = "io.popen('kill -KILL $PPID'):close()" }
    with_path(path, function()
      local ex <close> = lpool.ProcessPoolExecutor { preload = { "lpool_spec_bad" } }
      local ok, err = pcall(function()
        ex:submit(square, 1):result(20)
      end)
      assert.is_true(not ok and lpool.is(err, "BrokenProcessPool"))
      helper.contains("preload", err.message)
    end)
  end)

  it("leaves other executors of the program alone, whatever happens to it", function()
    local path = modules { lpool_spec_bad = "io.popen('kill -KILL $PPID'):close()" }
    with_path(path, function()
      local other <close> = lpool.ProcessPoolExecutor(1)
      local pid = other:submit(lpool.getpid):result()
      local ex <close> = lpool.ProcessPoolExecutor {
        max_workers = 1, preload = { "lpool_spec_bad" },
      }
      pcall(function()
        ex:submit(square, 1):exception(20)
      end)
      assert.are.equal(pid, other:submit(lpool.getpid):result())
    end)
  end)

  it("runs once for many workers, and is there in each", function()
    local gate <close> = gates.new()
    local path = modules {
      lpool_spec_once = ([[
        require("spec.support.gate").arrive(%q)
        return { pid = require("lpool").getpid(), list = { 1, 2, 3 } }
      ]]):format(gate.path),
    }
    with_path(path, function()
      local ex <close> = lpool.ProcessPoolExecutor {
        max_workers = 6, preload = { "lpool_spec_once" }, max_tasks_per_child = 5,
      }
      for _ = 1, 4 do
        local loaders = {}
        for _, f in ipairs(ex:broadcast(function()
          local module = package.loaded.lpool_spec_once
          return module.pid, #module.list, lpool.getpid()
        end)) do
          local loader, length, own = f:result(20)
          assert.are.equal(3, length)
          assert.are_not.equal(loader, own)
          loaders[loader] = true
        end
        assert.are.equal(1, helper.inventory.count(loaders))
      end
      ex:submit(crash.raise, 9):exception(20)
      assert.are.equal(9, ex:submit(square, 3):result(20))
      assert.are.equal(1, gate:count())
    end)
  end)

  it("is each executor's own", function()
    local path = modules { lpool_spec_a = "return 'a'", lpool_spec_b = "return 'b'" }
    with_path(path, function()
      local a <close> = lpool.ProcessPoolExecutor { max_workers = 1, preload = { "lpool_spec_a" } }
      local b <close> = lpool.ProcessPoolExecutor { max_workers = 1, preload = { "lpool_spec_b" } }
      local none <close> = lpool.ProcessPoolExecutor { max_workers = 1 }
      local function loaded()
        return package.loaded.lpool_spec_a, package.loaded.lpool_spec_b
      end
      assert.are.same({ n = 2, "a", nil }, table.pack(a:submit(loaded):result(20)))
      assert.are.same({ n = 2, nil, "b" }, table.pack(b:submit(loaded):result(20)))
      assert.are.same({ n = 2, nil, nil }, table.pack(none:submit(loaded):result(20)))
    end)
  end)

  it("shares its memory between workers", function()
    local path = modules {
      lpool_spec_big = "local list = {} for i = 1, 400000 do list[i] = i end return list",
    }
    with_path(path, function()
      local ex <close> = lpool.ProcessPoolExecutor {
        max_workers = 2, preload = { "lpool_spec_big" },
      }
      for _, f in ipairs(ex:broadcast(function()
        local private = 0
        for line in io.lines("/proc/self/smaps_rollup") do
          local kilobytes = line:match("^Private_Dirty:%s*(%d+)")
          private = private + (tonumber(kilobytes) or 0)
        end
        return private, #package.loaded.lpool_spec_big
      end)) do
        local private, length = f:result(20)
        assert.are.equal(400000, length)
        -- The table takes 6 MiB and more.
        assert.is_true(private < 4096 or helper.patience > 1, private .. " KiB")
      end
    end)
  end)
end)

describe("max_tasks_per_child", function()
  it("gives each process so many tasks", function()
    for _, limit in ipairs { 1, 3 } do
      local ex <close> = lpool.ProcessPoolExecutor { max_workers = 1, max_tasks_per_child = limit }
      local pids, order = {}, {}
      for _ = 1, 4 * limit do
        local pid = ex:submit(lpool.getpid):result(20)
        if not pids[pid] then
          order[#order + 1] = pid
        end
        pids[pid] = (pids[pid] or 0) + 1
      end
      assert.are.equal(4, #order)
      for _, pid in ipairs(order) do
        assert.are.equal(limit, pids[pid])
      end
    end
  end)

  it("of 1 gives each of many queued tasks a process of its own", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 3, max_tasks_per_child = 1 }
    local futures, pids = {}, {}
    for i = 1, 60 do
      futures[i] = ex:submit(lpool.getpid)
    end
    for i = 1, 60 do
      local pid = futures[i]:result(20)
      assert.is_nil(pids[pid])
      pids[pid] = true
    end
  end)

  it("goes with workers that crash", function()
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, max_tasks_per_child = 3 }
    local futures = {}
    for i = 1, 100 do
      futures[i] = i % 10 == 0 and ex:submit(crash.raise, 9) or ex:submit(square, i)
    end
    for i = 1, 100 do
      if i % 10 == 0 then
        assert.are.equal("SIGKILL", futures[i]:exception(20).signal)
      else
        assert.are.equal(i * i, futures[i]:result(20))
      end
    end
  end)
end)

describe("broadcast", function()
  it("reaches each process once", function()
    local ex <close> = lpool.ProcessPoolExecutor(4)
    local pids = {}
    for _, f in ipairs(ex:broadcast(lpool.getpid)) do
      pids[f:result(20)] = true
    end
    assert.are.equal(4, helper.inventory.count(pids))
    for _, f in ipairs(ex:broadcast(lpool.getpid)) do
      assert.is_true(pids[f:result(20)])
    end
  end)

  it("that kills every worker fails each future by its own worker", function()
    local ex <close> = lpool.ProcessPoolExecutor(4)
    local pids = {}
    for _, f in ipairs(ex:broadcast(crash.raise, 9)) do
      local err = f:exception(20)
      assert.are.equal("SIGKILL", err.signal)
      pids[err.pid] = true
    end
    assert.are.equal(4, helper.inventory.count(pids))
    for _, f in ipairs(ex:broadcast(square, 5)) do
      assert.are.equal(25, f:result(20))
    end
  end)
end)

describe("shutdown", function()
  for _, wait in ipairs { true, false } do
    for _, cancel in ipairs { true, false } do
      it(("with wait = %s, cancel_futures = %s ends all tasks, even if workers crash"):format(wait,
        cancel), function()
        local ex = lpool.ProcessPoolExecutor(2)
        local gate <close> = gates.new()
        local futures = {
          ex:submit(gates.hold, gate.path, "kept"),
          ex:submit(function(path)
            gates.hold(path)
            crash.raise(9)
          end, gate.path),
        }
        gate:await(2)
        for i = 3, 40 do
          futures[i] = i % 8 == 0 and ex:submit(crash.raise, 9) or ex:submit(square, i)
        end
        -- The gate opens while shutdown waits.
        os.execute(("(sleep 0.05; : >%s.open) &"):format(gate.path))
        local ended = ex:shutdown { wait = wait, cancel_futures = cancel }
        assert.is_true(not wait or ended)
        lpool.wait(futures)
        assert.are.equal("kept", futures[1]:result(0))
        assert.are.equal("SIGKILL", futures[2]:exception(0).signal)
        for i = 3, 40 do
          if cancel then
            assert.are.equal("cancelled", futures[i]:state())
          elseif i % 8 == 0 then
            assert.are.equal("SIGKILL", futures[i]:exception(0).signal)
          else
            assert.are.equal(i * i, futures[i]:result(0))
          end
        end
        assert.is_true(ex:shutdown())
      end)
    end
  end

  it("with a timeout says whether work is still going on", function()
    local ex = lpool.ProcessPoolExecutor(1)
    local gate <close> = gates.new()
    local f = ex:submit(gates.hold, gate.path, 1)
    gate:await(1)
    assert.is_false(ex:shutdown { timeout = 0.01 })
    gate:open()
    assert.is_true(ex:shutdown { timeout = 20 })
    assert.are.equal(1, f:result(0))
  end)

  it("of an executor whose only worker was killed while idle ends", function()
    for _ = 1, 20 do
      local ex = lpool.ProcessPoolExecutor(1)
      os.execute("kill -9 " .. ex:submit(lpool.getpid):result())
      assert.is_true(ex:shutdown { timeout = 20 })
    end
  end)
end)

describe("a worker that cannot be started", function()
  -- Each of these programs must end, and say on each future what is wrong, or work.
  local program = [[
    local lpool = require "lpool"
    local ok, err = pcall(function()
      local ex <close> = lpool.ProcessPoolExecutor(%d)
      local futures = {}
      for i = 1, 10 do futures[i] = ex:submit(math.max, i) end
      for i = 1, 10 do
        local ok, value = pcall(futures[i].result, futures[i], 10)
        if ok then assert(value == i) else
          assert(not lpool.is(value, "TimeoutError"), "no answer")
          print(i, value)
        end
      end
    end)
    if not ok then print("raised", err) end
    print("end")
  ]]

  local function run_limited(limit, workers)
    local script = helper.temporary.file(program:format(workers))
    local result = helper.shell(("%s; exec $LPOOL %s"):format(limit, script), { limit = 15 })
    assert.are_not.equal(124, result.code, "hangs: " .. result.out)
    helper.lacks("no answer", result.out)
    return result
  end

  for _, kilobytes in ipairs { 20000, 40000, 80000, 200000 } do
    it(("for want of memory, with %d KB, is an error, not a hang"):format(kilobytes), function()
      if helper.patience == 1 then
        run_limited("ulimit -v " .. kilobytes, 2)
      end
    end)
  end

  for _, descriptors in ipairs { 6, 8, 10, 12, 14, 16, 20 } do
    it(("for want of descriptors, with %d, is an error, not a hang"):format(descriptors), function()
      run_limited("ulimit -n " .. descriptors, 4)
    end)
  end

  it("for want of processes is an error, not a hang", function()
    -- root has no such limit; another user has, if there is a way to be one.
    local script = helper.temporary.file(program:format(4))
    local result = helper.shell(([[
      command -v setpriv >/dev/null || { echo end; exit; }
      chmod 644 %s
      exec setpriv --reuid=65534 --clear-groups prlimit --nproc=3 $LPOOL %s
    ]]):format(script, script), { limit = 15 })
    assert.are_not.equal(124, result.code, "hangs: " .. result.out)
    helper.lacks("no answer", result.out)
  end)

  it("because the program has gone says so", function()
    -- A copy of the program that is removed before its first pool.
    local copy = helper.temporary.file()
    local script = helper.temporary.file([[
      local lpool = require "lpool"
      os.remove(arg[-1])
    ]] .. program:format(2))
    local command = ("cp $LPOOL %s && chmod +x %s && exec %s %s"):format(copy, copy, copy, script)
    local result = helper.shell(command, { limit = 15 })
    assert.are_not.equal(124, result.code, "hangs: " .. result.out)
    helper.lacks("no answer", result.out)
    helper.contains("end", result.out .. result.err)
  end)
end)

describe("memory_limit of processes", function()
  -- What the system lets a process have, and what it has; a sanitizer's
  -- processes have terabytes from the start.
  local function data_limit()
    for line in io.lines("/proc/self/limits") do
      local soft = line:match("^Max data size%s+(%S+)")
      if soft then
        return tonumber(soft) or math.huge
      end
    end
  end

  local function data_room()
    for line in io.lines("/proc/self/status") do
      local used = line:match("^VmData:%s+(%d+) kB")
      if used then
        return data_limit() - used * 1024
      end
    end
  end

  it("limits what C libraries take as well", function()
    local limit = 32 << 20
    local ex <close> = lpool.ProcessPoolExecutor { max_workers = 1, memory_limit = limit }
    local room = ex:submit(data_room):result(10)
    assert.is_true(room >= limit and room < 64 * limit, room)
    local free <close> = lpool.ProcessPoolExecutor(1)
    assert.are.equal(data_limit(), free:submit(data_limit):result(10))
  end)
end)
