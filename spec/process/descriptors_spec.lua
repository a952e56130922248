-- Descriptors: none of ours in what tasks or the script execute, none left behind.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"

-- What a program that the caller executes finds open, besides the listing itself.
local function list_popen()
  local list <close> = io.popen("ls -l /proc/self/fd")
  return (list:read("a"))
end

local function list_execute()
  local path = os.tmpname()
  os.execute("ls -l /proc/self/fd >" .. path)
  local file <close> = io.open(path)
  local text = file:read("a")
  os.remove(path)
  return text
end

local function check_listing(text)
  helper.lacks("lpool", text)
  helper.lacks("memfd", text)
  helper.lacks("socket", text)
  helper.lacks("anon_inode", text)
end

describe("no descriptor of ours is open in", function()
  it("what a task executes", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local other <close> = lpool.ProcessPoolExecutor(2)
    lpool.wait(other:broadcast(math.abs, 1))
    for _, fn in ipairs { list_popen, list_execute } do
      for _, f in ipairs(ex:broadcast(fn)) do
        check_listing(f:result(20))
        local _, lines = f:result():gsub("%d+ %->", "")
        assert.is_true(lines <= 4, f:result()) -- three, and the folder
      end
    end
  end)

  it("what the script executes while pools work", function()
    local result = helper.run [[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(3)
      local threads <close> = lpool.ThreadPoolExecutor(2)
      local many = ex:map(math.abs, lpool.range(1, 5000), { chunksize = 1 })
      for i = 1, 5 do
        local list <close> = io.popen("ls -l /proc/self/fd")
        io.write(list:read("a"))
      end
      local f = threads:submit(function()
        local list <close> = io.popen("ls -l /proc/self/fd")
        return list:read("a")
      end)
      io.write(f:result())
    ]]
    assert.are.equal("", result.err)
    helper.contains("0 ->", result.out)
    check_listing(result.out)
  end)

  it("what is executed while executors are made", function()
    -- A descriptor that is open for a moment without close-on-exec shows here, now and then.
    local result = helper.run([[
      local lpool = require "lpool"
      local threads <close> = lpool.ThreadPoolExecutor(1)
      local f = threads:submit(function()
        local texts = {}
        for i = 1, 60 do
          local list <close> = io.popen("ls -l /proc/self/fd")
          texts[i] = list:read("a")
        end
        return table.concat(texts)
      end)
      repeat
        local ex <close> = lpool.ProcessPoolExecutor(1)
        ex:submit(math.abs, 1):result()
      until f:done()
      io.write(f:result())
    ]])
    assert.are.equal("", result.err)
    helper.contains("0 ->", result.out)
    check_listing(result.out)
  end)
end)

describe("a worker has", function()
  it("no descriptor that the script has open, nor of another executor", function()
    local path = helper.temporary.file("secret")
    local file <close> = io.open(path)
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local function list()
      local pipe <close> = io.popen("ls -l /proc/$PPID/fd")
      return pipe:read("a")
    end
    local alone = ex:submit(list):result(20)
    helper.lacks(path, alone)
    local others = {}
    for i = 1, 5 do
      others[i] = lpool.ProcessPoolExecutor(2)
      lpool.wait(others[i]:broadcast(math.abs, 1))
    end
    local late <close> = lpool.ProcessPoolExecutor(1)
    local text = late:submit(list):result(20)
    -- The pipe to the program that lists is being closed meanwhile.
    local _, before = alone:gsub("%-> /", "")
    local _, after = text:gsub("%-> /", "")
    assert.are.equal(before, after, text)
    for _, other in ipairs(others) do
      other:shutdown()
    end
    assert.is_truthy(file)
  end)
end)

describe("nothing is left of", function()
  -- Each round is run often; then there is what there was.
  local rounds = {
    ["executors that are closed"] = [[
      local ex <close> = lpool.ProcessPoolExecutor(2)
      assert(ex:submit(math.abs, -i):result() == i)
    ]],
    ["executors that nobody used"] = "local ex <close> = lpool.ProcessPoolExecutor(2)",
    ["executors left to the collector"] = [[
      lpool.ProcessPoolExecutor(2):submit(math.abs, i)
      if i % 10 == 0 then collectgarbage() collectgarbage() end
    ]],
    ["executors left by an error"] = [[
      pcall(function()
        local ex <close> = lpool.ProcessPoolExecutor(2)
        ex:submit(math.abs, i)
        error("leave")
      end)
    ]],
    ["executors whose workers crash"] = [[
      local ex <close> = lpool.ProcessPoolExecutor(1)
      ex:submit(processes.strike, "KILL"):exception()
    ]],
    ["executors that are killed"] = [[
      local ex <close> = lpool.ProcessPoolExecutor(2)
      ex:submit(lpool.sleep, 100)
      ex:kill_workers()
      collectgarbage()
    ]],
    ["executors that break"] = [[
      local ex <close> = lpool.ProcessPoolExecutor { max_workers = 2, on_crash = "break" }
      ex:submit(processes.strike, "KILL"):exception()
    ]],
    ["executors with a preload"] = [[
      local ex <close> = lpool.ProcessPoolExecutor {
        max_workers = 1, preload = { "spec.support.gate" },
      }
      assert(ex:submit(math.abs, -i):result() == i)
    ]],
  }
  for what, round in pairs(rounds) do
    it(what, function()
      local result = helper.run(([[
        io.stderr:close() -- kill_workers loses tasks, as is said there
        local lpool = require "lpool"
        local processes = require "spec.support.processes"
        local inventory = require "spec.support.inventory"
        local function round(i) %s end
        local function held()
          collectgarbage()
          collectgarbage()
          local all = inventory.take()
          return ("%%d descriptors, %%d threads, %%d processes"):format(
            inventory.count(all.descriptor), inventory.count(all.thread),
            #processes.below(lpool.getpid()))
        end
        -- What an executor holds is gone as soon as its workers are.
        local function settled(wanted)
          local deadline = lpool.now() + 5
          local before, now, since
          repeat
            now = held()
            if now ~= before then before, since = now, lpool.now() end
            lpool.poll()
          until now == wanted or lpool.now() > deadline
            or not wanted and lpool.now() - since > 0.1
          return now
        end
        for i = 1, 3 do round(i) end
        local before = settled()
        for i = 1, 60 do round(i) end
        local now = settled(before)
        print(now == before and "ok" or before .. " became " .. now)
      ]]):format(round), { limit = 25 })
      assert.are.equal("ok\n", result.out)
      assert.are.equal(0, result.code)
    end)
  end
end)
