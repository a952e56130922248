-- Maps whose workers die: the item that ran fails; all others come right and once.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"

local gates = helper.gate

-- All that a map gives: results by item, errors, and how often each came.
local function consume(results)
  local got = { values = {}, errors = {}, times = {}, count = 0 }
  while true do
    local ok, i, value = pcall(results)
    if ok and i == nil then
      return got
    end
    got.count = got.count + 1
    assert(got.count <= 1000000, "the map has no end")
    if ok then
      got.values[i] = value
      got.times[i] = (got.times[i] or 0) + 1
    else
      got.errors[#got.errors + 1] = i
    end
  end
end

-- Says in a file that the item runs, and dies at those items that it is told to.
-- A worker that is struck while its last results are not handed in yet must not take them along.
local function item(i, path, deadly)
  local file <close> = io.open(path, "ab")
  file:setvbuf("no")
  file:write(i .. "\n")
  if deadly[i] then
    io.popen("kill -KILL $PPID"):close()
  end
  return 3 * i
end

local function runs_of(path)
  local runs = {}
  for line in io.lines(path) do
    local i = math.tointeger(tonumber(line))
    runs[i] = (runs[i] or 0) + 1
  end
  return runs
end

local function check(n, options, deadly, workers)
  local path = helper.temporary.file()
  local got
  do
    local ex <close> = lpool.ProcessPoolExecutor(workers or 2)
    got = consume(ex:map(function(i)
      return item(i, path, deadly)
    end, lpool.range(1, n), options))
  end
  local wanted = helper.inventory.count(deadly)
  assert.are.equal(n, got.count)
  assert.are.equal(wanted, #got.errors, tostring(got.errors[1]))
  for _, err in ipairs(got.errors) do
    assert.is_true(lpool.is(err, "WorkerLostError"), tostring(err))
    assert.are.equal("SIGKILL", err.signal)
    helper.contains("SIGKILL", err.message)
    helper.contains(tostring(err.pid), err.message)
  end
  local runs = runs_of(path)
  for i = 1, n do
    assert.are.equal(1, runs[i], ("item %d ran %s times"):format(i, runs[i]))
    assert.are.equal(not deadly[i] and 3 * i or nil, got.values[i])
    assert.are.equal(not deadly[i] and 1 or nil, got.times[i])
  end
end

describe("a map over items that kill their worker", function()
  local chunks = { ["chunksize 1"] = 1, ["chunksize 7"] = 7, ["chunksize 1000"] = 1000 }
  chunks["the default chunksize"] = false

  for name, chunksize in pairs(chunks) do
    for _, ordered in ipairs { true, false } do
      it(("with %s, %s, loses those only"):format(name, ordered and "ordered" or "unordered"),
        function()
          local options = { chunksize = chunksize or nil, ordered = ordered }
          check(300, options, { [150] = true })
          check(300, options, { [1] = true, [2] = true, [300] = true })
        end)
    end
  end

  it("loses every item if every item kills", function()
    local deadly = {}
    for i = 1, 40 do
      deadly[i] = true
    end
    check(40, { chunksize = 7 }, deadly)
  end)

  it("loses one in ten of many, on many workers", function()
    local deadly = {}
    for i = 5, 1000, 25 do
      deadly[i] = true
    end
    check(1000, nil, deadly, 6)
  end)

  it("read lazily loses those only", function()
    local path = helper.temporary.file()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    for _, options in ipairs { {}, { buffersize = 5 }, { buffersize = 40, chunksize = 7 } } do
      local n = 0
      local got = consume(ex:map(function(i)
        return item(i, path, { [77] = true, [200] = true })
      end, function()
        n = n + 1
        return n <= 300 and n or nil
      end, options))
      assert.are.equal(300, got.count)
      assert.are.equal(2, #got.errors)
      for i = 1, 300 do
        assert.are.equal(i ~= 77 and i ~= 200 and 3 * i or nil, got.values[i])
      end
    end
  end)

  it("says which, as errors in their places", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local here = debug.getinfo(1, "Sl")
    local place = ("%s:%d"):format(here.short_src, here.currentline + 2)
    local results = ex:with({ label = "five" }):map(function(i)
      if i == 3 then
        io.popen("kill -KILL $PPID"):close()
      end
      return i
    end, { 1, 2, 3, 4, 5 }, { chunksize = 5 })
    local order = {}
    for _ = 1, 5 do
      local ok, i = pcall(results)
      order[#order + 1] = ok and i or "lost"
      if not ok then
        local text = "was killed by SIGKILL while it ran item 3 of map 'five' (submitted at %s)"
        helper.contains(text:format(place), tostring(i))
        assert.are.same({ "five", "SIGKILL" }, { i.label, i.signal })
      end
    end
    assert.are.same({ 1, 2, "lost", 4, 5 }, order)
    assert.is_nil(results())
  end)

  it("is told apart from items that raise or exit", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local kinds = {}
    local results = ex:map(function(i)
      if i % 10 == 1 then
        io.popen("kill -TERM $PPID"):close()
        lpool.sleep(10)
      elseif i % 10 == 2 then
        error("raised", 0)
      elseif i % 10 == 3 then
        os.exit(5)
      end
      return i
    end, lpool.range(1, 50))
    for _ = 1, 50 do
      local ok, value = pcall(results)
      local kind = ok and "right" or lpool.is(value, "WorkerLostError") and value.signal
        or lpool.is(value, "WorkerExitError") and value.code or value
      kinds[kind] = (kinds[kind] or 0) + 1
    end
    assert.are.same({ right = 35, SIGTERM = 5, raised = 5, [5] = 5 }, kinds)
  end)
end)

describe("a worker killed from outside in a map", function()
  for _, options in ipairs { {}, { chunksize = 7 }, { chunksize = 1 }, { ordered = false } } do
    it(("of %s, %s loses at most an item for each death"):format(
      options.chunksize and "chunksize " .. options.chunksize or "default chunks",
      options.ordered == false and "unordered" or "ordered"), function()
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local pids = {}
      for k, f in ipairs(ex:broadcast(lpool.getpid)) do
        pids[k] = f:result()
      end
      local n = 20000
      local results = ex:map(function(i)
        local sum = 0
        for k = 1, 300 do
          sum = sum + k
        end
        return sum - sum + i
      end, lpool.range(1, n), options)
      local seen, lost, count = {}, 0, 0
      while true do
        local ok, i, value = pcall(results)
        if ok and not i then
          break
        end
        count = count + 1
        if ok then
          assert.is_true(value == i and not seen[i])
          seen[i] = true
        else
          assert.is_true(lpool.is(i, "WorkerLostError"), tostring(i))
          lost = lost + 1
        end
        if count == 50 or count == 500 then
          os.execute("kill -9 " .. table.remove(pids))
        end
      end
      assert.are.equal(n, count)
      assert.is_true(lost <= 2, lost .. " lost")
    end)
  end

  it("while its results were not handed in yet loses only what it ran", function()
    -- The first items are done and wait in the worker for the rest of the chunk.
    local path = helper.temporary.file()
    local ex <close> = lpool.ProcessPoolExecutor(1)
    local gate <close> = gates.new()
    local gate_path = gate.path
    local results = ex:map(function(i)
      local file <close> = io.open(path, "ab")
      file:write(i .. "\n")
      file:close()
      if i == 6 and gates.count(gate_path) == 0 then
        gates.arrive(gate_path)
        io.popen("kill -KILL $PPID"):close()
      end
      return ("x"):rep(i)
    end, lpool.range(1, 10), { chunksize = 10 })
    local got = consume(results)
    assert.are.equal(10, got.count)
    assert.are.equal(1, #got.errors)
    for i = 1, 10 do
      assert.are.equal(i ~= 6 and ("x"):rep(i) or nil, got.values[i])
    end
    for i, times in pairs(runs_of(path)) do
      assert.are.equal(1, times, "item " .. i)
    end
  end)

  it("with big results in it damages none of them", function()
    local ex <close> = lpool.ProcessPoolExecutor(2)
    local got = consume(ex:map(function(i)
      if i % 15 == 0 then
        io.popen("kill -KILL $PPID"):close()
      end
      return string.char(65 + i % 26):rep(200000 + i)
    end, lpool.range(1, 100), { chunksize = 8 }))
    assert.are.equal(100, got.count)
    assert.are.equal(6, #got.errors)
    for i, value in pairs(got.values) do
      assert.is_true(value == string.char(65 + i % 26):rep(200000 + i), "item " .. i)
    end
  end)
end)
