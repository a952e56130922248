-- Without arguments the scripts wait as long as their notebooks do.

local helper = require "spec.helper"
local lpool = require "lpool"

local waves = math.ceil(5 / lpool.cpu_count())

-- At least so many seconds each; no entry where chance decides.
local seconds = {
  ["comparing_executors/download_files"] = 2 * 2,
  ["comparing_executors/compute_squares"] = 2 * 1,
  ["comparing_executors/sequential_thread_process"] = 5 * 2 + 2 + 2,
  ["executor_basics/switch_executor"] = 2 * 0.5 + 2 * 0.5,
  ["executor_basics/download_names"] = 1 * 2,
  ["executor_basics/process_squares"] = 2 * 1,
  ["executor_basics/mixed_timing"] = 1 + waves * 1,
  ["executor_basics/initializer"] = 2 * 0.1 + 2 * 0.1,
  ["futures_and_map/submit_downloads"] = 2 * 2,
  ["advanced_pools/processed_numbers"] = 4 * 1,
  ["advanced_pools/calculate_squares"] = 3 * 2,
  ["advanced_pools/no_entry_guard"] = 1 * 0.1,
  ["choosing_a_pool/fetch_urls"] = 1 * 1,
}

describe("scripts of the notebooks:", function()
  -- They only wait, so they wait together.
  it("take the times of the notebooks by default #slow", function()
    helper.limit(60)
    local commands = {}
    for name in pairs(seconds) do
      commands[#commands + 1] = ([[
        ( start=$(date +%%s%%N)
          $LPOOL scripts/%s.lua >/dev/null || echo "%s failed"
          echo "%s $((($(date +%%s%%N) - start) / 1000000))" ) &
      ]]):format(name, name, name)
    end
    local result = helper.shell(table.concat(commands) .. "wait", { limit = 50 })
    assert.are.equal("", result.err)
    helper.lacks("failed", result.out)
    for name, least in pairs(seconds) do
      local took = tonumber(result.out:match(name .. " (%d+)\n")) / 1000
      assert.is_true(took >= least, ("%s took %g s, less than %g"):format(name, took, least))
      assert.is_true(took <= least * 1.25 + 1 * helper.patience,
        ("%s took %g s, more than %g"):format(name, took, least))
    end
  end)
end)
