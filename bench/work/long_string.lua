-- A string of 16 MiB there and back.
package.path = "bench/?.lua;" .. package.path
local trips = require "trips"

trips.show(("0123456789abcdef"):rep(1 << 20))
