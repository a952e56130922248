-- The scripts of notebook 001 print what it prints, in the time that it takes.

local helper = require "spec.helper"
local lpool = require "lpool"
local runs = require "spec.scripts.runs"

local T = runs.SECONDS

-- The process ids of lines that match a pattern, each once.
local function processes(text, pattern)
  local found, seen = {}, {}
  for pid in text:gmatch(pattern) do
    if not seen[pid] then
      seen[pid] = true
      found[#found + 1] = pid
    end
  end
  return found
end

describe("executor_basics:", function()
  it("switch_executor runs the same lines in threads and in processes", function()
    local out = runs.timed("executor_basics/switch_executor", 2 + 2)
    assert.are.equal([[
ThreadPoolExecutor: [1, 4, 9, 16, 25, 36, 49, 64]
  in 1 process, D.DD seconds
ProcessPoolExecutor: [1, 4, 9, 16, 25, 36, 49, 64]
  in 4 processes, D.DD seconds
]], (out:gsub("%d%.%d%d", "D.DD")))
  end)

  it("download_names downloads all three at once", function()
    local out = runs.timed("executor_basics/download_names", 1)
    runs.overlap(out, "^Downloading (file%d)%.%.%.%.$", "^(file%d) downloaded%.$", 3)
    assert.matches("\nAll download complete:  %['file1', 'file2', 'file3'%]\n$", out)
    assert.are.equal(7, #runs.lines(out))
  end)

  it("process_squares uses three processes", function()
    local out = runs.timed("executor_basics/process_squares", 2)
    local computing, last = runs.divide(out, "^Process %d+ computing square of %d$")
    assert.are.equal(5, #computing)
    for n = 1, 5 do
      helper.contains((" computing square of %d\n"):format(n), out)
    end
    assert.are.equal("Squares: [1, 4, 9, 16, 25]\n", last)
    assert.are.equal(3, #processes(out, "Process (%d+)"))
  end)

  it("process_squares never computes in the script's process", function()
    local script_file = "scripts/executor_basics/process_squares.lua"
    local result = helper.shell(("echo $$; exec $LPOOL %s 0"):format(script_file))
    assert.are.equal("", result.err)
    local script = result.out:match("^%d+")
    helper.lacks(("Process %s "):format(script), result.out)
    helper.contains("Squares: [1, 4, 9, 16, 25]\n", result.out)
  end)

  it("process_squares has a hole where a square failed", function()
    local out = runs.output("executor_basics/process_squares", "0 2 three 4 five")
    assert.matches("\nSquares: %[4, None, 16, None%]\n$", out)
    local errors = runs.divide(out, "^Error in process %d+: .*squares%.lua:%d+: attempt to ")
    assert.are.equal(2, #errors)
  end)

  it("mixed_timing uses the default numbers of workers", function()
    local waves = math.ceil(5 / lpool.cpu_count())
    local out = runs.timed("executor_basics/mixed_timing", 1 + waves)
    local pattern = ("Working on %d\n"):rep(5)
    local thread, process = out:match("^" .. pattern .. "Thread time : (%d+%.%d+)\n"
      .. pattern .. "Process time: (%d+%.%d+)\n$")
    assert.is_true(tonumber(thread) >= T)
    assert.is_true(tonumber(process) >= waves * T)
    local working = runs.divide(out, "^Working")
    assert.are.same(runs.each("Working on %d", { 0, 0, 1, 1, 2, 2, 3, 3, 4, 4 }), working)
  end)

  it("initializer prepares each worker once", function()
    local out = runs.timed("executor_basics/initializer", 2 + 2)
    local words = "['eins', 'zwei', 'drei', 'vier']\n"
    local loads, others = runs.divide(out, " loads its German dictionary$")
    assert.are.same({
      "ProcessPoolExecutor-0_0 loads its German dictionary",
      "ProcessPoolExecutor-0_1 loads its German dictionary",
      "ThreadPoolExecutor-0_0 loads its German dictionary",
      "ThreadPoolExecutor-0_1 loads its German dictionary",
    }, loads)
    assert.are.equal("ThreadPoolExecutor: " .. words .. "ProcessPoolExecutor: " .. words
      .. "The script's own dictionary: [None]\n", others)
  end)

  for _, name in ipairs { "switch_executor", "download_names", "process_squares", "mixed_timing",
    "initializer" } do
    runs.refuses("executor_basics/" .. name, "soon")
  end
end)
