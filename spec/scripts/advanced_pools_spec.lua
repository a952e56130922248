-- The scripts of notebook 003 print what it prints, in the time that it takes.

local runs = require "spec.scripts.runs"

describe("advanced_pools:", function()
  it("processed_numbers keeps the order", function()
    local out = runs.timed("advanced_pools/processed_numbers", 4)
    local expected = {}
    for number = 1, 10 do
      expected[number] = ("Processed Number: %d"):format(number)
    end
    assert.are.same(expected, runs.lines(out))
  end)

  it("calculate_squares keeps the order", function()
    assert.are.equal([[
Square of 1: 1
Square of 2: 4
Square of 3: 9
Square of 4: 16
Square of 5: 25
Square of 11: 121
Square of 12: 144
Square of 14: 196
]], runs.timed("advanced_pools/calculate_squares", 3))
  end)

  it("no_entry_guard runs once, and its tasks elsewhere", function()
    local out = runs.timed("advanced_pools/no_entry_guard", 1)
    local lines = runs.lines(out)
    assert.are.equal(5, #lines)

    local script = lines[1]:match("^The script runs in process (%d+)%.$")
    local seen = { [script] = true }
    for number = 1, 3 do
      local pattern = "^Task %d runs in process (%%d+), worker ProcessPoolExecutor%%-0_%%d%%.$"
      local pid = lines[1 + number]:match(pattern:format(number))
      assert.is_string(pid, lines[1 + number])
      assert.is_nil(seen[pid], "not a process of its own: " .. lines[1 + number])
      seen[pid] = true
    end
    assert.are.equal("The script is no worker.", lines[5])
  end)

  for _, name in ipairs { "processed_numbers", "calculate_squares", "no_entry_guard" } do
    runs.refuses("advanced_pools/" .. name, "soon")
  end
end)
