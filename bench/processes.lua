--- What other processes use, from /proc.
local processes = {}

local function contents(pid, name)
  local file <close> = assert(io.open(("/proc/%d/%s"):format(pid, name)))
  return file:read("a")
end

--- The processor time of some threads, or of processes' main threads, in seconds.
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

--- How many pages a process has touched for the first time.
-- @tparam integer pid
-- @treturn integer
function processes.faults(pid)
  return math.tointeger(contents(pid, "stat"):match("%) %S+" .. (" %S+"):rep(6) .. " (%d+)"))
end

--- The threads of a process, without its first one.
-- @tparam integer pid
-- @treturn {integer,...} their ids, which /proc takes like those of processes
function processes.other_threads(pid)
  local ids = {}
  local pipe <close> = assert(io.popen(("ls /proc/%d/task"):format(pid)))
  for line in pipe:lines() do
    local id = math.tointeger(line)
    if id ~= pid then
      ids[#ids + 1] = id
    end
  end
  return ids
end

--- The process that has forked another.
-- @tparam integer pid
-- @treturn integer
function processes.parent(pid)
  return math.tointeger(contents(pid, "status"):match("\nPPid:%s*(%d+)"))
end

return processes
