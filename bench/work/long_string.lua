-- A string of 16 MiB there and back.
package.path = "bench/?.lua;" .. package.path
local trips = require "trips"

print("ms", trips.median(("0123456789abcdef"):rep(1 << 20)))
