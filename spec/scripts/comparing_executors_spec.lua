-- The scripts of notebook 000 print what it prints, in the time that it takes.

local runs = require "spec.scripts.runs"

local NUMBERS = { 1, 2, 3, 4, 5 }
local T = runs.SECONDS

describe("comparing_executors:", function()
  it("download_files downloads three at a time", function()
    local out = runs.timed("comparing_executors/download_files", 2)
    runs.overlap(out, "^📥 Downloading file (%d)%.%.%.$", "^✅ File (%d) downloaded%.$", 3)

    local begun, others = runs.divide(out, "^📥")
    local ended, last = runs.divide(others, "^✅")
    assert.are.same(runs.each("📥 Downloading file %d...", NUMBERS), begun)
    assert.are.same(runs.each("✅ File %d downloaded.", NUMBERS), ended)
    assert.are.equal("All downloads completed!\n", last)
    assert.matches("\nAll downloads completed!\n$", out)
  end)

  it("compute_squares computes three at a time", function()
    local out = runs.timed("comparing_executors/compute_squares", 2)
    local begun, last = runs.divide(out, "^Computing")
    assert.are.same(runs.each("Computing square of %d", NUMBERS), begun)
    assert.are.equal("Squares: [1, 4, 9, 16, 25]\n", last)
    assert.matches("\nSquares: [^\n]+\n$", out)
  end)

  it("sequential_thread_process compares the three", function()
    local out = runs.timed("comparing_executors/sequential_thread_process", 5 + 1 + 1)
    local processing = {}
    for i, n in ipairs { 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5 } do
      processing[i] = ("Processing %d..."):format(n)
    end
    local begun, others = runs.divide(out, "^Processing")
    assert.are.same(processing, begun)
    assert.are.equal(([[
Sequential results: [1, 4, 9, 16, 25]
Sequential time: D.DD seconds

Thread pool results: [1, 4, 9, 16, 25]
Thread pool time: D.DD seconds

Process pool results: [1, 4, 9, 16, 25]
Process pool time: D.DD seconds
]]), (others:gsub("%d%.%d%d", "D.DD")))

    local times = {}
    for name, seconds in others:gmatch("(%a+)[^\n]- time: (%S+)") do
      times[name] = tonumber(seconds)
    end
    assert.is_true(times.Sequential >= 5 * T)
    for _, pool in ipairs { "Thread", "Process" } do
      assert.is_true(times[pool] >= T - 0.005, pool)
      assert.is_true(times[pool] < times.Sequential, pool)
    end
  end)

  for _, name in ipairs { "download_files", "compute_squares", "sequential_thread_process" } do
    runs.refuses("comparing_executors/" .. name, "soon")
  end
  for _, arguments in ipairs { "-1", "1e999", "nan", "''", "1 2", "--help" } do
    runs.refuses("comparing_executors/download_files", arguments)
  end
end)
