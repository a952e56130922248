-- SerialExecutor: what every executor promises, then what only it has.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"
local kinds = require "spec.support.kinds"

require "spec.support.conformance" (kinds.serial)

describe("SerialExecutor:", function()
  it("runs a task at once: its future is done when submit returns", function()
    local ex <close> = lpool.SerialExecutor()
    local f, g = ex:submit(math.max, 1, 2), ex:submit(error, "no")
    assert.are.equal("finished", f:state())
    assert.are.equal("failed", g:state())
    g:exception()
  end)

  it("runs tasks in the caller's thread", function()
    local before = helper.inventory.threads()
    local ex <close> = lpool.SerialExecutor()
    local own, pid = ex:submit(function()
      local file <close> = io.open("/proc/thread-self/stat")
      return file:read("n"), lpool.getpid()
    end):result()
    assert.are.equal(pid, own)
    assert.are.same(before, helper.inventory.threads())
  end)

  it("runs tasks in a state of its own, with copies", function()
    local ex <close> = lpool.SerialExecutor()
    local list = { 1 }
    ex:submit(function(t)
      t[1] = "changed"
      _G.lpool_spec_serial = true
    end, list):result()
    assert.are.same({ 1 }, list)
    assert.is_nil(rawget(_G, "lpool_spec_serial"))
  end)

  it("runs tasks in the order of submission", function()
    local ex <close> = lpool.SerialExecutor()
    local path = helper.temporary.file()
    for i = 1, 5 do
      ex:submit(function(n)
        local file <close> = io.open(path, "a")
        file:write(n, " ")
      end, i)
    end
    assert.are.equal("1 2 3 4 5 ", helper.temporary.read(path))
  end)

  it("has one worker, for all tasks", function()
    local ex <close> = lpool.SerialExecutor()
    assert.are.equal(1, #ex:broadcast(math.abs, -1))
  end)

  it("refuses max_workers, which it does not have", function()
    helper.misuse(function()
      lpool.SerialExecutor { max_workers = 1 }
    end, "max_workers")
    helper.misuse(function()
      lpool.SerialExecutor(1)
    end, "")
  end)

  it("lets a task use another serial executor", function()
    local ex <close> = lpool.SerialExecutor()
    assert.are.equal(3, ex:submit(function()
      local inner <close> = lpool.SerialExecutor()
      return inner:submit(math.max, 1, 3):result()
    end):result())
  end)
end)
