-- Workers: when they start, what they are called, when they are replaced.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

local function name()
  return lpool.worker().name
end

-- Counts in the worker's state; a new worker begins anew.
local function visit()
  _G.lpool_spec_visits = (_G.lpool_spec_visits or 0) + 1
  return _G.lpool_spec_visits
end

return function(kind)
  local make = kind.make

  it("tells a task about its worker", function()
    local ex <close> = make { max_workers = 1 }
    local worker = ex:submit(function()
      return lpool.worker()
    end):result()
    assert.is_string(worker.name)
    assert.are.equal("integer", math.type(worker.index))
    assert.are.equal(kind.name, worker.kind)
    assert.are.equal(kind.same_process, worker.pid == lpool.getpid())
  end)

  it("runs sequential tasks on one worker", function()
    local ex <close> = make { max_workers = 4 }
    local names = {}
    for _ = 1, 3 do
      names[ex:submit(name):result()] = true
    end
    assert.are.equal(1, helper.inventory.count(names))
  end)

  it("starts no thread before the first task", function()
    local before = helper.inventory.count(helper.inventory.threads())
    local ex <close> = make()
    assert.is_true(helper.inventory.count(helper.inventory.threads()) <= before)
    ex:submit(echo):result()
  end)

  it("keeps the state of a worker from task to task", function()
    local ex <close> = make { max_workers = 1 }
    assert.are.equal(1, ex:submit(visit):result())
    assert.are.equal(2, ex:submit(visit):result())
  end)

  it("gives executors states of their own", function()
    local ex <close> = make { max_workers = 1 }
    local other <close> = make { max_workers = 1 }
    assert.are.equal(1, ex:submit(visit):result())
    assert.are.equal(1, other:submit(visit):result())
  end)

  it("opens the whole standard library", function()
    local ex <close> = make()
    local missing = ex:submit(function(names)
      local found = {}
      for _, library in ipairs(names) do
        if type(_G[library]) ~= "table" then
          found[#found + 1] = library
        end
      end
      return table.concat(found, " ")
    end, { "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" })
    assert.are.equal("", missing:result())
  end)

  it("has lpool in the task", function()
    local ex <close> = make()
    assert.are.equal(lpool._VERSION, ex:submit(function()
      return require("lpool")._VERSION
    end):result())
  end)

  it("gives workers random numbers of their own", function()
    local seen = {}
    local function draw()
      return math.random(1 << 60)
    end
    for _ = 1, 3 do
      local ex <close> = make { max_workers = 3 }
      for _, f in ipairs(ex:broadcast(draw)) do
        local number = f:result()
        assert.is_nil(seen[number])
        seen[number] = true
      end
    end
  end)

  it("gives workers random numbers unlike the caller's", function()
    local ex <close> = make { max_workers = 1 }
    local mine = math.random(1 << 60)
    assert.are_not.equal(mine, ex:submit(math.random, 1 << 60):result())
  end)

  it("runs executors inside of tasks", function()
    local ex <close> = make { max_workers = 1 }
    assert.are.same({ 1, 4, 9 }, (ex:submit(function(constructor)
      local inner <close> = require("lpool")[constructor]()
      local futures, results = {}, {}
      for i = 1, 3 do
        futures[i] = inner:submit(function(n)
          return n * n
        end, i)
      end
      for i = 1, 3 do
        results[i] = futures[i]:result()
      end
      return results
    end, kind.constructor):result()))
  end)

  if not kind.concurrent then
    return
  end

  it("starts a worker only for a task that finds none idle", function()
    local ex <close> = make { max_workers = 4 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(helper.gate.hold, gate.path)
    gate:await(1)
    local second = ex:submit(name)
    local first_name, second_name = f:worker(), second:result()
    assert.are_not.equal(first_name, second_name)
    assert.are.equal(second_name, ex:submit(name):result())
  end)

  it("never has more workers than max_workers", function()
    local ex <close> = make { max_workers = 3 }
    local names = {}
    local futures = {}
    for i = 1, 300 do
      futures[i] = ex:submit(name)
    end
    for i = 1, 300 do
      names[futures[i]:result()] = true
    end
    assert.is_true(helper.inventory.count(names) <= 3)
  end)

  it("reuses idle workers", function()
    local ex <close> = make { max_workers = 3 }
    local names = {}
    for _ = 1, 20 do
      for _, f in ipairs(ex:broadcast(name)) do
        names[f:result()] = true
      end
    end
    assert.are.equal(3, helper.inventory.count(names))
  end)

  it("has a worker for each five of a processor, or one, by default", function()
    local per_cpu = kind.name == "process" and 1 or 5
    local ex <close> = lpool[kind.constructor]()
    assert.are.equal(per_cpu * lpool.cpu_count(), #ex:broadcast(echo))
  end)

  it("numbers workers from 0 behind the prefix", function()
    if not kind.knows.thread_name_prefix then
      return
    end
    local ex <close> = make { max_workers = 3, thread_name_prefix = "fetch" }
    local names = {}
    for _, f in ipairs(ex:broadcast(name)) do
      names[f:result()] = true
    end
    assert.are.same({ fetch_0 = true, fetch_1 = true, fetch_2 = true }, names)
  end)

  it("gives the index that is in the name", function()
    local ex <close> = make { max_workers = 3 }
    for _, f in ipairs(ex:broadcast(function()
      return lpool.worker()
    end)) do
      local worker = f:result()
      assert.are.equal(worker.index, tonumber(worker.name:match("_(%d+)$")))
    end
  end)

  it("numbers executors from 0 in a program", function()
    helper.prints(("%s-0_0 %s-1_0\n"):format(kind.constructor, kind.constructor), kind, [[
      local a <close> = lpool[kinds.]] .. kind.name .. [[.constructor] { max_workers = 1 }
      local b <close> = lpool[kinds.]] .. kind.name .. [[.constructor] { max_workers = 1 }
      local function name() return lpool.worker().name end
      print(a:submit(name):result() .. " " .. b:submit(name):result())
    ]])
  end)

  it("replaces a worker after max_tasks_per_child tasks", function()
    local ex <close> = make { max_workers = 1, max_tasks_per_child = 3 }
    local seen = {}
    for i = 1, 7 do
      seen[i] = ex:submit(visit):result()
    end
    assert.are.same({ 1, 2, 3, 1, 2, 3, 1 }, seen)
  end)

  it("replaces workers under a backlog", function()
    for _, tasks in ipairs { 1, 2, 7 } do
      local ex <close> = make { max_workers = 2, max_tasks_per_child = tasks }
      local futures = {}
      for i = 1, 200 do
        futures[i] = ex:submit(visit)
      end
      for i = 1, 200 do
        assert.is_true(futures[i]:result() <= tasks)
      end
    end
  end)

  it("replaces workers after failed tasks as after others", function()
    local ex <close> = make { max_workers = 1, max_tasks_per_child = 2 }
    assert.are.equal(1, ex:submit(visit):result())
    ex:submit(error, "no"):exception()
    assert.are.equal(1, ex:submit(visit):result())
  end)

  it("counts the items of a chunk as one task or as many, but runs them all", function()
    local ex <close> = make { max_workers = 2, max_tasks_per_child = 3 }
    local n = 0
    for i, result in ex:map(echo, lpool.range(1, 100), { chunksize = 10 }) do
      n = n + 1
      assert.are.equal(i, result)
    end
    assert.are.equal(100, n)
  end)

  it("shuts down with a backlog while workers are replaced", function()
    local gate <close> = helper.gate.new()
    do
      local ex <close> = make { max_workers = 2, max_tasks_per_child = 1 }
      for _ = 1, 50 do
        ex:submit(helper.gate.arrive, gate.path)
      end
      ex:shutdown { wait = false }
    end
    assert.are.equal(50, gate:count())
  end)

  it("requires the modules of preload in every worker at its start", function()
    local ex <close> = make { max_workers = 2, preload = { "spec.support.gate", "lfs" } }
    for _, f in ipairs(ex:broadcast(function()
      return type(package.loaded["spec.support.gate"]) .. type(package.loaded.lfs)
    end)) do
      assert.are.equal("tabletable", f:result())
    end
  end)

  it("does not load what nobody asked for", function()
    local ex <close> = make { max_workers = 1 }
    assert.are.equal("nil", ex:submit(function()
      return type(package.loaded["spec.support.kinds"])
    end):result())
  end)

  it("lets a task submit to its own executor, passed as an argument", function()
    if not kind.same_process then
      return
    end
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    ex:submit(function(own, path)
      local gates = require "spec.support.gate"
      for _ = 1, 10 do
        own:submit(gates.arrive, path)
      end
    end, ex, gate.path):result()
    ex:shutdown()
    assert.are.equal(10, gate:count())
  end)

  it("lets a task wait for what it submits to its own executor", function()
    if not kind.same_process then
      return
    end
    local ex <close> = make { max_workers = 2 }
    assert.are.equal(42, ex:submit(function(own)
      return own:submit(function(n)
        return n * 2
      end, 21):result()
    end, ex):result())
  end)

  it("lets an executor be an upvalue of its tasks", function()
    if not kind.same_process then
      return
    end
    local ex <close> = make { max_workers = 2 }
    assert.are.equal(3, ex:submit(function()
      return ex:submit(math.max, 1, 3):result()
    end):result())
  end)
end
