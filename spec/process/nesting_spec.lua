-- Tasks that have executors of their own, and scripts that could fork bombs.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"
local processes = require "spec.support.processes"

local function square(n)
  return n * n
end

describe("a task in a process", function()
  it("may use a pool of threads", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for i, sum in ex:map(function(k)
      local inner <close> = lpool.ThreadPoolExecutor(3)
      local total = 0
      for _, value in inner:map(square, lpool.range(1, k)) do
        total = total + value
      end
      return total
    end, lpool.range(1, 20), { chunksize = 1 }) do
      assert.are.equal(i * (i + 1) * (2 * i + 1) // 6, sum)
    end
  end)

  it("may use a pool of processes, and that another", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local outer, middle, inner = ex:submit(function()
      local second <close> = lpool.ProcessPoolExecutor(2)
      return lpool.getpid(), second:submit(function()
        local third <close> = lpool.ProcessPoolExecutor(2)
        return lpool.getpid(), third:submit(lpool.getpid):result()
      end):result()
    end):result(25)
    assert.are.equal("integer", math.type(inner))
    assert.are_not.equal(outer, middle)
    assert.are_not.equal(middle, inner)
  end)

  it("may be one of a pool of threads that uses processes", function()
    local ex <close> = lpool.ThreadPoolExecutor(3)
    local futures = {}
    for i = 1, 9 do
      futures[i] = ex:submit(function(n)
        local inner <close> = lpool.ProcessPoolExecutor(2)
        local f = inner:submit(function(k)
          return k * k, lpool.getpid()
        end, n)
        return f:result()
      end, i)
    end
    for i = 1, 9 do
      local value, pid = futures[i]:result(25)
      assert.are.equal(i * i, value)
      assert.are_not.equal(lpool.getpid(), pid)
    end
  end)

  it("loses only its own when a worker of its pool crashes", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local kind, signal, after = ex:submit(function()
      local inner <close> = lpool.ProcessPoolExecutor(1)
      local err = inner:submit(function()
        io.popen("kill -KILL $PPID"):close()
      end):exception()
      return err.kind, err.signal, inner:submit(math.abs, -3):result()
    end):result(25)
    assert.are.equal("WorkerLostError", kind)
    assert.are.equal("SIGKILL", signal)
    assert.are.equal(3, after)
  end)

  it("sends errors of its own pool on", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local err = ex:submit(function()
      local inner <close> = lpool.ProcessPoolExecutor(1)
      inner:submit(error, { code = 7 }):result()
    end):exception(25)
    assert.are.equal(7, err.code)
    local lost = ex:submit(function()
      local inner <close> = lpool.ProcessPoolExecutor(1)
      inner:submit(function()
        io.popen("kill -KILL $PPID"):close()
      end):result()
    end):exception(25)
    assert.is_true(lpool.is(lost, "WorkerLostError"), tostring(lost))
    assert.are.equal("SIGKILL", lost.signal)
  end)

  it("that leaves its pool open leaves no worker when it ends", function()
    do
      local ex <close> = lpool.ProcessPoolExecutor(1)
      ex:submit(function()
        _G.lpool_spec_inner = lpool.ProcessPoolExecutor(2)
        return _G.lpool_spec_inner:submit(math.abs, -1):result()
      end):result(25)
    end
    helper.eventually(function()
      -- The zygote stays, and what busted's helper started itself.
      for _, process in ipairs(processes.below(lpool.getpid())) do
        if process.name:find("ProcessPool") then
          return false
        end
      end
      return true
    end, "no worker was left")
  end)
end)

describe("recursion of", function()
  for kind, constructor in pairs {
    processes = "ProcessPoolExecutor",
    threads = "ThreadPoolExecutor",
  } do
    it("executors of " .. kind .. " without limit is a clear error", function()
      local result = helper.run(([[
        local lpool = require "lpool"
        function dive(n)
          local ok, ex = pcall(lpool.%s, 1)
          if not ok then return n, ex end
          local depth, err = ex:submit(dive, n + 1):result()
          ex:shutdown()
          return depth, err
        end
        print(dive(0))
      ]]):format(constructor), { limit = 25 })
      assert.are.equal("", result.err)
      local depth, message = result.out:match("^(%d+)\t(.*)\n$")
      assert.are.equal("8", depth)
      helper.contains("deep", message)
      helper.contains("8", message)
      assert.are.equal(0, result.code)
    end)
  end
end)

describe("a script without an entry-point guard", function()
  it("that makes a pool at top level runs once", function()
    local result = helper.run [[
      local lpool = require "lpool"
      print("top level")
      local ex <close> = lpool.ProcessPoolExecutor(3)
      for i, v in ex:map(function(n) return n * n end, lpool.range(1, 3)) do print(i, v) end
    ]]
    assert.are.equal("", result.err)
    assert.are.equal("top level\n1\t1\n2\t4\n3\t9\n", result.out)
  end)

  it("whose module makes a pool when it is required does not multiply without end", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local path = folder .. "/lpool_spec_bomb.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write [[
      local lpool = require "lpool"
      local bomb = {}
      bomb.ex = lpool.ProcessPoolExecutor(1)
      bomb.answer = bomb.ex:submit(function() return require("lpool_spec_bomb") and 1 end)
      function bomb.work(n) return n * n end
      local ok, err = pcall(bomb.answer.result, bomb.answer)
      bomb.said = ok and "ok" or tostring(err)
      return bomb
    ]]
    file:close()
    helper.temporary.claim(path)
    helper.temporary.claim(folder)
    local result = helper.run(([[
      package.path = "%s/?.lua;" .. package.path
      local bomb = require "lpool_spec_bomb"
      print(bomb.said)
    ]]):format(folder), { limit = 25 })
    assert.are_not.equal(124, result.code)
    assert.is_true(result.code == 0 or result.code == 1)
  end)
end)
