--- How long a value takes to a worker and back.
local lpool = require "lpool"
local pools = require "pools"

local trips = {}

local function echo(value)
  return value
end

--- Prints the median and the best of several trips, in milliseconds.
-- @param value
function trips.show(value)
  local ex <close> = pools.new { max_workers = 2 }
  for _ = 1, 5 do
    ex:submit(echo, value):result()
  end
  local times = {}
  for i = 1, 21 do
    local start = lpool.now()
    ex:submit(echo, value):result()
    times[i] = lpool.now() - start
  end
  table.sort(times)
  print("ms", times[11] * 1e3)
  print("best_ms", times[1] * 1e3)
end

return trips
