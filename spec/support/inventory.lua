--- What this process holds: threads, open descriptors and children.
-- Read from /proc; where there is none, everything is empty.
local lfs = require "lfs"

local inventory = {}

local function read(path, format)
  local file <close> = io.open(path)
  return file and file:read(format or "l")
end

local function entries(path)
  local names = {}
  if lfs.attributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name:find("^%d+$") then
        names[#names + 1] = name
      end
    end
  end
  return names
end

--- The live threads: thread id to name, as the system sees them.
-- @treturn table
function inventory.threads()
  local found = {}
  for _, tid in ipairs(entries("/proc/self/task")) do
    found[tid] = read(("/proc/self/task/%s/comm"):format(tid))
  end
  return found
end

--- The open descriptors: number to what it refers to.
-- @treturn table
function inventory.descriptors()
  local found = {}
  for _, fd in ipairs(entries("/proc/self/fd")) do
    -- The descriptor that listed the folder is closed by now.
    found[fd] = lfs.symlinkattributes("/proc/self/fd/" .. fd, "target")
  end
  return found
end

--- The child processes, zombies too: process id to command.
-- @treturn table
function inventory.children()
  local own = tostring(read("/proc/self/stat", "n"))
  local found = {}
  for _, pid in ipairs(entries("/proc")) do
    local stat = read(("/proc/%s/stat"):format(pid))
    local command, parent = (stat or ""):match("%((.*)%) %a (%d+)")
    if parent == own then
      found[pid] = command
    end
  end
  return found
end

--- How many entries such a table has.
-- @tparam table found
-- @treturn integer
function inventory.count(found)
  local n = 0
  for _ in pairs(found) do
    n = n + 1
  end
  return n
end

--- Everything at once.
-- @treturn table
function inventory.take()
  return {
    thread = inventory.threads(),
    descriptor = inventory.descriptors(),
    child = inventory.children(),
  }
end

--- What is there now and was not before, as text; nil if nothing is.
-- Threads and descriptors are told apart by number, and a number can be used
-- again; so nothing counts as new as long as there is no more than before.
-- @tparam table before what take() returned
-- @treturn string|nil
function inventory.leaks(before)
  local lines = {}
  for what, found in pairs(inventory.take()) do
    if inventory.count(found) > inventory.count(before[what]) then
      for id, name in pairs(found) do
        if before[what][id] ~= name then
          lines[#lines + 1] = ("%s %s (%s)"):format(what, id, name)
        end
      end
    end
  end
  table.sort(lines)
  return lines[1] and table.concat(lines, ", ")
end

return inventory
