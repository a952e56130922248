--- What other processes use, from /proc.
local processes = {}

local function contents(pid, name)
  local file <close> = assert(io.open(("/proc/%d/%s"):format(pid, name)))
  return file:read("a")
end

--- The processor time of some processes' main threads, in seconds.
-- @tparam {number,...} pids
-- @treturn number
function processes.processor_time(pids)
  local sum = 0
  for _, pid in ipairs(pids) do
    sum = sum + tonumber(contents(pid, "schedstat"):match("^%d+")) / 1e9
  end
  return sum
end

--- The mean of one kind of memory over some processes, in KiB.
-- @tparam {number,...} pids
-- @tparam string field as in smaps_rollup: "Pss", "Private_Dirty"
-- @treturn number
function processes.memory(pids, field)
  local sum = 0
  for _, pid in ipairs(pids) do
    sum = sum + tonumber(contents(pid, "smaps_rollup"):match("\n" .. field .. ":%s*(%d+) kB"))
  end
  return sum / #pids
end

return processes
