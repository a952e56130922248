-- The scripts of notebook 002 print what it prints, in the time that it takes.

local helper = require "spec.helper"
local runs = require "spec.scripts.runs"

local FILES = { "file1.pdf", "file2.pdf", "file3.pdf", "file4.pdf", "file5.pdf" }
local T = runs.SECONDS

-- Where a line stands in a text.
local function position(line, text)
  return assert(("\n" .. text):find("\n" .. line .. "\n", 1, true), line .. " is missing")
end

describe("futures_and_map:", function()
  it("submit_downloads has its first results before the last downloads", function()
    local out = runs.timed("futures_and_map/submit_downloads", 2)
    runs.overlap(out, "^Starting download: (%S+)$", "^Completed download: (%S+)$", 3)

    local started, others = runs.divide(out, "^Starting")
    local completed, results = runs.divide(others, "^Completed")
    assert.are.same(runs.each("Starting download: %s", FILES), started)
    assert.are.same(runs.each("Completed download: %s", FILES), completed)
    local expected = table.concat(runs.each("Result: %s downloaded", FILES), "\n") .. "\n"
    assert.are.equal(expected, results)

    for _, file in ipairs { "file1.pdf", "file2.pdf", "file3.pdf" } do
      local result = position(("Result: %s downloaded"):format(file), out)
      assert.is_true(result > position("Completed download: " .. file, out))
      assert.is_true(result < position("Completed download: file4.pdf", out))
      assert.is_true(result < position("Completed download: file5.pdf", out))
    end
  end)

  it("factorial_digits counts the digits", function()
    assert.are.equal([[
Factorial of 5000 = 16326 digits
Factorial of 6000 = 20066 digits
Factorial of 7000 = 23878 digits
Factorial of 8000 = 27753 digits
]], (runs.output("futures_and_map/factorial_digits")))
  end)

  it("as_completed prints tasks as they complete", function()
    local out, seconds = runs.output("futures_and_map/as_completed", T)
    local started, others = runs.divide(out, "^Task %d starting%.%.%.$")
    assert.are.same(runs.each("Task %d starting...", { 0, 1, 2, 3, 4 }), started)

    -- Each once, and as long as it says.
    local duration, completed = {}, {}
    for _, line in ipairs(runs.lines(others)) do
      local id, text = line:match("^✓ Task (%d) completed in (%d%.%d%d)s$")
      assert.is_string(id, line)
      assert.is_nil(duration[id])
      duration[id] = tonumber(text)
      completed[#completed + 1] = id
      assert.is_true(duration[id] >= T and duration[id] <= 3 * T)
      assert.is_true(position(("Task %s starting..."):format(id), out) < position(line, out))
    end
    assert.are.equal(5, #completed)

    -- Three begin at once; a fourth and a fifth, as soon as a worker is free.
    local free, ends = { 0, 0, 0 }, {}
    for number = 0, 4 do
      local id = tostring(number)
      table.sort(free)
      free[1] = free[1] + duration[id]
      ends[id] = free[1]
    end
    local last = math.max(table.unpack(free))
    assert.is_true(seconds >= last - 0.02, "it took less than its tasks")
    assert.is_true(seconds < last + 1 * helper.patience, "it took longer than its tasks")
    for i = 2, 5 do
      local before, after = completed[i - 1], completed[i]
      assert.is_true(ends[before] < ends[after] + 0.15 * helper.patience,
        "not in order: " .. others)
    end
  end)

  for _, name in ipairs { "submit_downloads", "factorial_digits", "as_completed" } do
    runs.refuses("futures_and_map/" .. name, "soon")
  end
end)
