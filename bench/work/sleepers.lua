-- 1,000 workers run 2,000 tasks that sleep for 50 ms: the time from making the
-- executor to having closed it, and the most memory that took.
package.path = "bench/?.lua;" .. package.path
local lpool = require "lpool"
local memory = require "memory"
local pools = require "pools"

local start = lpool.now()
do
  local ex <close> = pools.new { max_workers = 1000 }
  for _ = 1, 2000 do
    ex:submit(lpool.sleep, 0.05)
  end
end
print("seconds", lpool.now() - start)
if pools.kind == "thread" then
  print("mib", memory.peak() / 1024)
end
