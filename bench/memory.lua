--- How much memory this process has resident, from /proc.
local memory = {}

local function field(name)
  local file <close> = assert(io.open("/proc/self/status"))
  return tonumber(file:read("a"):match(name .. ":%s*(%d+) kB"))
end

--- Now, in KiB, after a full garbage collection.
function memory.resident()
  collectgarbage()
  collectgarbage()
  return field("VmRSS")
end

--- The most it ever was, in KiB.
function memory.peak()
  return field("VmHWM")
end

return memory
