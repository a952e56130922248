-- Large parcels, and workers that die while these are written or read.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"

local MEGABYTE = 1 << 20

local function echo(...)
  return ...
end

-- A text whose every part says where it belongs, so that no mix-up goes unseen.
local function text_of(seed, size)
  local unit = {}
  for i = 1, 64 do
    unit[i] = ("%08d:%06d;"):format(seed, i)
  end
  local block = table.concat(unit)
  return block:rep(size // #block)
end

-- Bytes of memory that the system could give.
local function free_memory()
  for line in io.lines("/proc/meminfo") do
    local kilobytes = line:match("^MemAvailable:%s*(%d+)")
    if kilobytes then
      return tonumber(kilobytes) * 1024
    end
  end
  return 0
end

describe("a worker that dies at a random moment", function()
  -- Strikes after a delay from within the worker's own process, so that it
  -- may come at any moment: before, in or after the transfer.
  local function doom(seconds)
    os.execute(("(sleep %.6f; kill -9 %d) 2>/dev/null &"):format(seconds, lpool.getpid()))
  end

  -- Runs tasks of doomed workers with others among them.
  local function survive(doomed, rounds)
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local lost = 0
    for round = 1, rounds do
      local seconds = (round % 10) * 0.002
      local bad = doomed(ex, seconds, round)
      local good = {}
      for i = 1, 4 do
        good[i] = ex:submit(echo, text_of(round * 10 + i, 100000 * i))
      end
      local ok, value = pcall(bad.result, bad, 25)
      if ok then
        assert.is_true(value == text_of(round, 16 * MEGABYTE), "damaged")
      else
        assert.is_true(lpool.is(value, "WorkerLostError"), tostring(value))
        lost = lost + 1
      end
      for i = 1, 4 do
        -- One of these may run on the worker by the time it dies.
        local fine, text = pcall(good[i].result, good[i], 25)
        assert.is_true(fine or lpool.is(text, "WorkerLostError"), tostring(text))
        assert.is_true(not fine or text == text_of(round * 10 + i, 100000 * i), "damaged")
      end
    end
    return lost
  end

  it("around the writing of 16 MiB damages nothing", function()
    survive(function(ex, seconds, round)
      return ex:submit(function()
        doom(seconds)
        return text_of(round, 16 * MEGABYTE)
      end)
    end, 20)
  end)

  it("around the reading of 16 MiB damages nothing", function()
    survive(function(ex, seconds, round)
      ex:submit(doom, seconds)
      return ex:submit(echo, text_of(round, 16 * MEGABYTE))
    end, 20)
  end)

  it("around the writing of a large table damages nothing", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for round = 1, 10 do
      local bad = ex:submit(function()
        local list = {}
        for i = 1, 100000 do
          list[i] = { id = i, name = "record " .. i }
        end
        doom((round % 10) * 0.005)
        return list
      end)
      local good = ex:submit(echo, { text_of(round, 1000), round })
      local ok, value = pcall(bad.result, bad, 25)
      assert.is_true(ok and #value == 100000 and value[100000].name == "record 100000"
        or lpool.is(value, "WorkerLostError"), tostring(value))
      local fine, list = pcall(good.result, good, 25)
      assert.is_true(fine and list[1] == text_of(round, 1000) and list[2] == round
        or lpool.is(list, "WorkerLostError"), tostring(list))
    end
  end)
end)

describe("large parcels:", function()
  it("16 MiB there and back, many times, leave memory as it was", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local function resident()
        collectgarbage() collectgarbage()
        for line in io.lines("/proc/self/status") do
          local size = line:match("^VmRSS:%s*(%d+)")
          if size then return size // 1024 end
        end
      end
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local text = ("0123456789abcdef"):rep(1 << 20)
      local function echo(s) return s end
      for i = 1, 4 do assert(ex:submit(echo, text):result() == text) end
      local before = resident()
      for i = 1, 30 do assert(ex:submit(echo, text):result() == text) end
      local grown = resident() - before
      -- A sanitizer keeps what was freed.
      local sanitized = (tonumber(os.getenv("LPOOL_PATIENCE")) or 1) > 1
      assert(grown < 100 or sanitized, grown .. " MiB more")
      print("ok")
    ]])
    assert.are.equal("", result.err)
    assert.are.equal("ok\n", result.out)
  end)

  it("a string of 100 MB there and back", function()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local text = ("x"):rep(100000000 - 3) .. "end"
    local back = ex:submit(echo, text):result()
    assert.is_true(back == text)
  end)

  it("four of 25 MB at once", function()
    local ex <close> = lpool.ProcessPoolExecutor(4)
    local texts, futures = {}, {}
    for i = 1, 4 do
      texts[i] = string.char(64 + i):rep(25000000)
      futures[i] = ex:submit(echo, texts[i])
    end
    for i = 1, 4 do
      assert.is_true(futures[i]:result() == texts[i])
    end
  end)

  it("a string of more than 2 GiB there and back #slow", function()
    helper.limit(120)
    if helper.patience > 1 or free_memory() < 14 * 1024 * MEGABYTE then
      return
    end
    -- In a program of its own, so that the memory comes back.
    local result = helper.run([[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(1)
      local size = (1 << 31) + 12345
      local part = ("x"):rep(1 << 30) -- string.rep itself makes no more
      local text = part .. part .. ("x"):rep(12345 - 3) .. "end"
      part = nil
      local back = ex:submit(function(s) return s end, text):result()
      assert(#back == size and back == text)
      print("ok", ex:submit(math.max, 1, 2):result())
    ]], { limit = 100 })
    assert.are.equal("", result.err)
    assert.are.equal("ok\t2\n", result.out)
  end)
end)
