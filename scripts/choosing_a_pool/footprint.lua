-- Notebooks 001 and 004, the tables: threads against processes, measured.
--
--     lpool footprint.lua [workers, 8 by default [names of executors...]]
--
-- Memory is what the system counts as proportional set size (PSS): a page that
-- several processes share counts for each in part.
--
-- The notebooks' tables hold for Python. Of lpool two rows are different: threads
-- share no variables, and they compute in parallel, as there is no GIL. What
-- stays: processes take more memory and more time to start, and when one of them
-- crashes the others go on.

package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
local lpool = require "lpool"
local notebook = require "notebook"

-- What the system knows of a process -------------------------------------------

-- A number that a file of /proc/<pid> gives a name.
local function in_proc(pid, file, name)
  local path = ("/proc/%d/%s"):format(pid, file)
  for line in io.lines(path) do
    local number = line:match("^" .. name .. ":%s*(%d+)")
    if number then
      return tonumber(number)
    end
  end
  error(path .. " does not tell " .. name)
end

-- The sum of such numbers over several processes.
local function total(pids, file, name)
  local sum = 0
  for pid in pairs(pids) do
    sum = sum + in_proc(pid, file, name)
  end
  return sum
end

-- What workers do --------------------------------------------------------------

local function compute()
  local sum = 0
  for i = 1, 3000000 do
    sum = sum + i * i
  end
  return sum
end

local function fail()
  error("on purpose")
end

local function crash(script)
  if lpool.getpid() == script then
    error("a crash would end the script")
  end
  os.execute("kill -KILL " .. lpool.getpid())
end

-- The rows of the table --------------------------------------------------------

local function add(rows, label, format, value)
  rows[#rows + 1] = { label = label, value = format:format(value) }
end

local function seconds_of(fn)
  local start = lpool.now()
  fn()
  return lpool.now() - start
end

-- The median of nine times.
local function usual_seconds_of(fn)
  local times = {}
  for i = 1, 9 do
    times[i] = seconds_of(fn)
  end
  table.sort(times)
  return times[5]
end

-- Starts all workers of an executor. Returns the processes they are in.
local function processes_of(executor)
  local pids = {}
  for _, future in ipairs(executor:broadcast(lpool.getpid)) do
    pids[future:result()] = true
  end
  return pids
end

-- Comes first: what other measurements leave behind would be used again.
local function workers(rows, PoolExecutor, count)
  local script = lpool.getpid()
  collectgarbage()
  local memory = in_proc(script, "smaps_rollup", "Pss")
  local executor <close> = PoolExecutor { max_workers = count }

  local pids
  local start = seconds_of(function()
    pids = processes_of(executor)
  end)
  pids[script] = nil
  local processes = 0
  for _ in pairs(pids) do
    processes = processes + 1
  end
  add(rows, "processes besides the script's", "%d", processes)
  add(rows, "threads in the script's process", "%d", in_proc(script, "status", "Threads"))

  pids[script] = true
  memory = total(pids, "smaps_rollup", "Pss") - memory
  add(rows, "memory of a worker", "%.0f KiB", memory / count)
  add(rows, "start of a worker", "%.2f ms", start / count * 1e3)
end

local function start_up(rows, PoolExecutor)
  local seconds = usual_seconds_of(function()
    local executor <close> = PoolExecutor { max_workers = 1 }
    executor:submit(math.abs, -1):result()
  end)
  add(rows, "start, one task, shutdown", "%.2f ms", seconds * 1e3)
end

local function communication(rows, PoolExecutor)
  local executor <close> = PoolExecutor { max_workers = 1 }
  processes_of(executor)
  local seconds = usual_seconds_of(function()
    executor:submit(math.abs, -1):result()
  end)
  add(rows, "a task, there and back", "%.0f us", seconds * 1e6)

  local words = {}
  for i = 1, 10000 do
    words[i] = "word " .. i
  end
  seconds = usual_seconds_of(function()
    executor:submit(table.move, words, 1, #words, 1):result()
  end)
  add(rows, "10,000 strings, there and back", "%.1f ms", seconds * 1e3)

  local shared = false
  executor:submit(function()
    shared = true
  end):result()
  add(rows, "shares variables", "%s", shared and "yes" or "no")
end

local function parallelism(rows, PoolExecutor)
  local executor <close> = PoolExecutor { max_workers = lpool.cpu_count() }
  processes_of(executor)
  local alone = usual_seconds_of(compute)
  local together = usual_seconds_of(function()
    for _, future in ipairs(executor:broadcast(compute)) do
      future:result()
    end
  end)
  local label = ("speed-up on %d processors"):format(lpool.cpu_count())
  add(rows, label, "%.1f x", lpool.cpu_count() * alone / together)
end

-- Whether the executor works after a task has ended badly.
local function survives(PoolExecutor, task)
  local executor <close> = PoolExecutor { max_workers = 1 }
  local problem = executor:submit(task, lpool.getpid()):exception()
  if tostring(problem):find("would end the script") then
    return "no"
  end
  return executor:submit(math.max, 1, 2):result() == 2 and "yes" or "no"
end

local function measure(PoolExecutor, count)
  local rows = {}
  workers(rows, PoolExecutor, count)
  start_up(rows, PoolExecutor)
  communication(rows, PoolExecutor)
  parallelism(rows, PoolExecutor)
  add(rows, "survives an error in a task", "%s", survives(PoolExecutor, fail))
  add(rows, "survives the crash of a worker", "%s", survives(PoolExecutor, crash))
  return rows
end

-- The program ------------------------------------------------------------------

local function wanted()
  local count = arg[1] == nil and 8 or math.tointeger(tonumber(arg[1])) or 0
  local names = table.move(arg, 2, #arg, 1, {})
  for _, name in ipairs(names) do
    count = name:find("PoolExecutor$") and lpool[name] and count or 0
  end
  if count < 1 or count > 1000 then
    notebook.usage("[1 to 1000 workers [ThreadPoolExecutor | ProcessPoolExecutor...]]")
  end
  return count, #names > 0 and names or { "ThreadPoolExecutor", "ProcessPoolExecutor" }
end

local count, names = wanted()
local columns = {}
for i, name in ipairs(names) do
  columns[i] = measure(lpool[name], count)
end

local LABEL <const>, CELL <const> = "%-32s", "%21s"
local heading = ("%d worker%s each"):format(count, count == 1 and "" or "s")
io.write(LABEL:format(heading), CELL:rep(#names):format(table.unpack(names)), "\n")
for line, row in ipairs(columns[1]) do
  io.write(LABEL:format(row.label))
  for _, column in ipairs(columns) do
    io.write(CELL:format(column[line].value))
  end
  io.write("\n")
end
