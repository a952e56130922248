-- 10,000 records { id, name, score } there and back.
package.path = "bench/?.lua;" .. package.path
local trips = require "trips"

local records = {}
for i = 1, 10000 do
  records[i] = { id = i, name = "name " .. i, score = i / 7 }
end
trips.show(records)
