-- ThreadPoolExecutor: what every executor promises, then what only it has.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"
local kinds = require "spec.support.kinds"

require "spec.support.conformance" (kinds.thread)

local function names_of_threads()
  local names = {}
  for _, name in pairs(helper.inventory.threads()) do
    names[name] = (names[name] or 0) + 1
  end
  return names
end

describe("ThreadPoolExecutor:", function()
  it("runs every task in the caller's process", function()
    local ex <close> = lpool.ThreadPoolExecutor(2)
    for _, f in ipairs(ex:broadcast(lpool.getpid)) do
      assert.are.equal(lpool.getpid(), f:result())
    end
  end)

  it("runs its workers in threads of their own", function()
    local before = helper.inventory.count(helper.inventory.threads())
    local ex <close> = lpool.ThreadPoolExecutor(3)
    ex:broadcast(math.abs, -1)
    assert.are.equal(before + 3, helper.inventory.count(helper.inventory.threads()))
  end)

  it("starts one thread for sequential tasks", function()
    local before = helper.inventory.count(helper.inventory.threads())
    local ex <close> = lpool.ThreadPoolExecutor(8)
    for i = 1, 3 do
      ex:submit(math.abs, i):result()
    end
    assert.are.equal(before + 1, helper.inventory.count(helper.inventory.threads()))
  end)

  it("names threads for the system as for lpool", function()
    local ex <close> = lpool.ThreadPoolExecutor { max_workers = 2, thread_name_prefix = "fetcher" }
    for _, f in ipairs(ex:broadcast(math.abs, -1)) do
      f:result()
    end
    local names = names_of_threads()
    assert.are.equal(1, names.fetcher_0)
    assert.are.equal(1, names.fetcher_1)
  end)

  it("gives the system what it takes of a long name, and lpool all of it", function()
    local prefix = "a_long_name_for_a_thread"
    local ex <close> = lpool.ThreadPoolExecutor { max_workers = 1, thread_name_prefix = prefix }
    local name = ex:submit(function()
      return lpool.worker().name
    end):result()
    assert.are.equal(prefix .. "_0", name)
    local found = false
    for thread in pairs(names_of_threads()) do
      found = found or #thread == 15 and prefix:find(thread:sub(1, 8), 1, true) == 1
    end
    assert.is_true(found)
  end)

  it("takes an empty prefix and one of any bytes", function()
    for _, prefix in ipairs { "", "\xf0\x9f\x93\xa5", "%s%n", "a b" } do
      local ex <close> = lpool.ThreadPoolExecutor { max_workers = 1, thread_name_prefix = prefix }
      assert.are.equal(prefix .. "_0", ex:submit(function()
        return lpool.worker().name
      end):result())
    end
  end)

  it("leaves the caller's thread its name", function()
    local file <close> = io.open("/proc/self/comm")
    local before = file:read("a")
    local ex <close> = lpool.ThreadPoolExecutor(1)
    ex:submit(math.abs, -1):result()
    file:seek("set")
    assert.are.equal(before, file:read("a"))
  end)

  it("keeps threads silent to signals: the caller's thread takes them", function()
    local ex <close> = lpool.ThreadPoolExecutor(1)
    local blocked = ex:submit(function()
      for line in io.lines("/proc/thread-self/status") do
        local mask = line:match("^SigBlk:%s*(%x+)")
        if mask then
          return tonumber(mask, 16)
        end
      end
    end):result()
    local SIGINT, SIGTERM = 1 << 1, 1 << 14
    assert.are.equal(SIGINT | SIGTERM, blocked & (SIGINT | SIGTERM))
  end)

  it("computes in parallel where there are processors", function()
    if lpool.cpu_count() < 2 then
      return
    end
    -- Each task ends only after it has seen the other move, both computing.
    local first, second = helper.temporary.file(), helper.temporary.file()
    local function task(mine, other)
      local gates = require "spec.support.gate"
      gates.arrive(mine)
      local deadline = lpool.now() + 20
      while gates.count(other) == 0 and lpool.now() < deadline do end -- luacheck: ignore 542
      return gates.count(other)
    end
    local ex <close> = lpool.ThreadPoolExecutor(2)
    local f, g = ex:submit(task, first, second), ex:submit(task, second, first)
    assert.are.equal(1, f:result())
    assert.are.equal(1, g:result())
  end)

  it("runs 200 workers at once", function()
    local ex <close> = lpool.ThreadPoolExecutor(200)
    local gate <close> = helper.gate.new()
    for _ = 1, 200 do
      ex:submit(helper.gate.hold, gate.path)
    end
    gate:await(200)
  end)

  it("shares its queue between tasks that submit from many workers", function()
    local ex <close> = lpool.ThreadPoolExecutor(4)
    local gate <close> = helper.gate.new()
    for _, f in ipairs(ex:broadcast(function(own, path)
      local gates = require "spec.support.gate"
      for _ = 1, 50 do
        own:submit(gates.arrive, path)
      end
    end, ex, gate.path)) do
      f:result()
    end
    ex:shutdown()
    assert.are.equal(200, gate:count())
  end)

  it("refuses what a task submits after shutdown, where that is asked", function()
    local ex = lpool.ThreadPoolExecutor(1)
    local gate <close> = helper.gate.new()
    local f = ex:submit(function(own, path)
      require("spec.support.gate").hold(path)
      own:submit(print)
    end, ex, gate.path)
    gate:await(1)
    ex:shutdown { wait = false }
    gate:open()
    assert.is_true(lpool.is(f:exception(), "ShutdownError"))
    ex:shutdown()
  end)

  it("keeps an executor going that only its tasks hold", function()
    local gate <close> = helper.gate.new()
    local function leave()
      local ex = lpool.ThreadPoolExecutor(1)
      return ex:submit(function(own, path)
        local gates = require "spec.support.gate"
        gates.hold(path)
        own:submit(gates.arrive, path)
      end, ex, gate.path)
    end
    leave()
    collectgarbage()
    collectgarbage()
    gate:open()
    gate:await(2)
  end)
end)
