--- How long a value takes to a worker and back.
local lpool = require "lpool"
local pools = require "pools"

local trips = {}

local function echo(value)
  return value
end

--- The median of several trips, in milliseconds.
-- @param value
-- @treturn number
function trips.median(value)
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
  return times[11] * 1e3
end

return trips
