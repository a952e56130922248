-- initializer, initargs and finalizer.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

return function(kind)
  local make = kind.make

  it("runs the initializer in every worker before its first task", function()
    local ex <close> = make {
      max_workers = 3,
      initializer = function()
        _G.lpool_spec_setup = (_G.lpool_spec_setup or 0) + 1
      end,
    }
    local futures = ex:broadcast(function()
      return _G.lpool_spec_setup
    end)
    assert.are.equal(kind.concurrent and 3 or 1, #futures)
    for _, f in ipairs(futures) do
      assert.are.equal(1, f:result())
    end
  end)

  it("runs the initializer once, not once per task", function()
    local gate <close> = helper.gate.new()
    local ex <close> = make {
      max_workers = 1, initializer = helper.gate.arrive, initargs = { gate.path },
    }
    for _ = 1, 5 do
      ex:submit(echo):result()
    end
    assert.are.equal(1, gate:count())
  end)

  it("gives the initializer its initargs, nils included", function()
    local ex <close> = make {
      max_workers = 1,
      initializer = function(...)
        _G.lpool_spec_given = table.pack(...)
      end,
      initargs = { nil, "x", nil, n = 3 },
    }
    assert.are.same({ nil, "x", nil, n = 3 }, (ex:submit(function()
      return _G.lpool_spec_given
    end):result()))
  end)

  it("gives the initializer a list without n too", function()
    local ex <close> = make {
      max_workers = 1,
      initializer = function(...)
        _G.lpool_spec_given = select("#", ...)
      end,
      initargs = { "a", "b" },
    }
    assert.are.equal(2, ex:submit(function()
      return _G.lpool_spec_given
    end):result())
  end)

  it("runs the initializer for no worker that is never started", function()
    local gate <close> = helper.gate.new()
    do
      local _ <close> = make { initializer = helper.gate.arrive, initargs = { gate.path } }
    end
    assert.are.equal(0, gate:count())
  end)

  it("knows its worker in the initializer", function()
    local ex <close> = make {
      max_workers = 1,
      initializer = function()
        _G.lpool_spec_name = lpool.worker().name
      end,
    }
    local in_initializer, in_task = ex:submit(function()
      return _G.lpool_spec_name, lpool.worker().name
    end):result()
    assert.are.equal(in_task, in_initializer)
  end)

  it("runs the finalizer in every worker that started, when it ends", function()
    local gate <close> = helper.gate.new()
    local path = gate.path
    do
      local ex <close> = make {
        max_workers = 3,
        finalizer = function()
          require("spec.support.gate").arrive(path)
        end,
      }
      for _, f in ipairs(ex:broadcast(echo)) do
        f:result()
      end
      assert.are.equal(0, gate:count())
    end
    assert.are.equal(kind.concurrent and 3 or 1, gate:count())
  end)

  it("runs no finalizer without a worker", function()
    local gate <close> = helper.gate.new()
    local path = gate.path
    do
      local _ <close> = make {
        finalizer = function()
          require("spec.support.gate").arrive(path)
        end,
      }
    end
    assert.are.equal(0, gate:count())
  end)

  it("runs the finalizer in the state of the tasks", function()
    local path = helper.temporary.file()
    do
      local ex <close> = make {
        max_workers = 1,
        finalizer = function()
          local file = io.open(path, "w")
          file:write(_G.lpool_spec_result)
          file:close()
        end,
      }
      ex:submit(function()
        _G.lpool_spec_result = "left by the task"
      end):result()
    end
    assert.are.equal("left by the task", helper.temporary.read(path))
  end)

  it("closes in spite of a finalizer that fails, and logs it", function()
    local result = helper.script(kind, [[
      do
        local ex <close> = make { max_workers = 1, finalizer = function() error("no end") end }
        print(ex:submit(math.max, 1, 2):result())
      end
      print("closed")
    ]])
    assert.are.equal("2\nclosed\n", result.out)
    helper.contains("no end", result.err)
    assert.are.equal(0, result.code)
  end)

  -- The rest in programs of their own: a failing initializer is logged.

  local broken = ([[
    local KIND = %q
  ]]):format(kind.broken)

  it("fails a task with the error of the initializer", function()
    local result = helper.script(kind, broken .. [[
      local ex <close> = make { max_workers = 1, initializer = function() error("no database") end }
      local ok, f = pcall(ex.submit, ex, math.max, 1)
      if ok then f = f:exception() end
      print(lpool.is(f, KIND), lpool.is(f, "BrokenExecutor"))
      print(f.message)
    ]])
    assert.is_truthy(result.out:find("^true\ttrue\n"))
    helper.contains("no database", result.out)
    assert.are.equal(0, result.code)
  end)

  it("logs the error of the initializer, once per worker", function()
    local result = helper.script(kind, broken .. [[
      local ex <close> = make { max_workers = 1, initializer = function() error("no database") end }
      pcall(function() ex:submit(math.max, 1):exception() end)
    ]])
    local _, times = result.err:gsub("no database", "")
    assert.is_true(times >= 1)
    helper.contains("initializer", result.err)
  end)

  it("logs an initializer that calls os.exit as what it is", function()
    local result = helper.script(kind, broken .. [[
      local ex <close> = make { max_workers = 1, initializer = function() os.exit(3) end }
      pcall(function() ex:submit(math.max, 1):exception() end)
    ]])
    helper.contains("os.exit(3) was called", result.err)
    helper.lacks("task", result.err)
  end)

  it("refuses submits after its initializer has failed, for the same reason", function()
    local result = helper.script(kind, broken .. [[
      local ex <close> = make { max_workers = 1, initializer = function() error("no database") end }
      pcall(function() ex:submit(math.max, 1):exception() end)
      for _ = 1, 3 do
        local ok, err = pcall(ex.submit, ex, math.max, 1)
        print(ok, lpool.is(err, KIND), err.message:find("no database", 1, true) ~= nil)
      end
      print(pcall(ex.map, ex, math.max, {}))
    ]])
    helper.contains(("false\ttrue\ttrue\n"):rep(3) .. "false\t", result.out)
    assert.are.equal(0, result.code)
  end)

  it("breaks an executor by an initializer that calls error(nil)", function()
    local result = helper.script(kind, broken .. [[
      local ex <close> = make { max_workers = 1, initializer = function() error(nil) end }
      local ok, f = pcall(ex.submit, ex, math.max, 1)
      if ok then f = f:exception() end
      print(lpool.is(f, KIND))
    ]])
    assert.are.equal("true\n", result.out)
  end)

  it("breaks an executor by an initializer that calls os.exit", function()
    local result = helper.script(kind, broken .. [[
      local ex <close> = make { max_workers = 1, initializer = function() os.exit(3) end }
      local ok, f = pcall(ex.submit, ex, math.max, 1)
      if ok then f = f:exception() end
      print(lpool.is(f, KIND))
    ]])
    assert.are.equal("true\n", result.out)
    assert.are.equal(0, result.code)
  end)

  it("can be closed although it is broken", function()
    local result = helper.script(kind, [[
      do
        local ex <close> = make { initializer = function() error("no") end }
        pcall(function() ex:submit(math.max, 1):exception() end)
      end
      print("closed")
    ]])
    assert.are.equal("closed\n", result.out)
    assert.are.equal(0, result.code)
  end)

  if not kind.concurrent then
    return
  end

  it("fails every pending future when an initializer fails", function()
    local result = helper.script(kind, broken .. [[
      local gates = require "spec.support.gate"
      local ex <close> = make {
        max_workers = 2,
        initializer = function(path)
          require("spec.support.gate").pass(path)
          error("no database", 0)
        end,
        initargs = { ... },
      }
      local futures = {}
      for i = 1, 20 do futures[i] = ex:submit(math.max, i) end
      io.open((...) .. ".open", "w"):close()
      for i = 1, 20 do
        local err = futures[i]:exception()
        assert(lpool.is(err, KIND), err)
        assert(err.message:find("no database", 1, true), err.message)
      end
      print("all")
    ]], (function()
      local path = helper.temporary.file()
      helper.temporary.claim(path .. ".open")
      return { args = path }
    end)())
    assert.are.equal("all\n", result.out, result.err)
  end)

  it("does not start one worker after the other when initializers fail", function()
    local gate <close> = helper.gate.new()
    local result = helper.script(kind, [[
      local ex <close> = make {
        max_workers = 2,
        initializer = function(path)
          require("spec.support.gate").arrive(path)
          error("no")
        end,
        initargs = { ... },
      }
      for i = 1, 50 do
        pcall(function() ex:submit(math.max, i):exception() end)
      end
    ]], { args = gate.path })
    assert.are.equal(0, result.code)
    assert.is_true(gate:count() <= 2)
  end)

  it("runs the initializer again in a worker that replaces another", function()
    local gate <close> = helper.gate.new()
    local ex <close> = make {
      max_workers = 1, max_tasks_per_child = 1,
      initializer = helper.gate.arrive, initargs = { gate.path },
    }
    for _ = 1, 3 do
      ex:submit(echo):result()
    end
    helper.eventually(function()
      return gate:count() >= 3
    end, "three workers had started")
  end)

  it("runs the finalizer of a worker that is replaced", function()
    local gate <close> = helper.gate.new()
    local path = gate.path
    do
      local ex <close> = make {
        max_workers = 1, max_tasks_per_child = 1,
        finalizer = function()
          require("spec.support.gate").arrive(path)
        end,
      }
      for _ = 1, 3 do
        ex:submit(echo):result()
      end
    end
    assert.is_true(gate:count() >= 3)
  end)

  it("breaks over a preload that cannot be loaded, naming the module", function()
    local result = helper.script(kind, broken .. [[
      local ex <close> = make { max_workers = 1, preload = { "no.such.module" } }
      local ok, err = pcall(function() return ex:submit(math.max, 1):exception() end)
      print(lpool.is(err, KIND), err.message:find("no.such.module", 1, true) ~= nil)
    ]])
    assert.are.equal("true\ttrue\n", result.out)
  end)
end
