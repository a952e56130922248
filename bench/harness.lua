--- Runs measurements and says how they compare.
-- A measurement is a program of its own: bench/work/<name>.lua, or its peer
-- bench/peers/<name>.py. Its argument is the kind of pool, "thread" or
-- "process". It prints lines of a key and a number. The harness runs work and
-- peer in turns, several times, and keeps median, least and most of each key.
local harness = {}

local function first_index(list)
  local index = 0
  while list[index - 1] do
    index = index - 1
  end
  return index
end

--- The program that runs this script, which is the one that is measured.
harness.program = arg[first_index(arg)]

--- What a shell command prints, without the line end.
-- @tparam string command
-- @treturn string
function harness.output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  pipe:close()
  return (output:gsub("%s+$", ""))
end

-- How CPython starts its processes if nobody asks for a way.
local START_METHOD = "python3 -c 'import multiprocessing as m; print(m.get_start_method())'"

--- Where these numbers come from.
-- @treturn table machine, commit, date
function harness.origin()
  local cpu = harness.output_of("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1")
  local cores = harness.output_of("nproc")
  return {
    machine = ("%s, %s cores, %s"):format(cpu, cores, harness.output_of("uname -sr")),
    commit = harness.output_of("git describe --always --dirty 2>/dev/null || echo none"),
    date = os.date("%Y-%m-%d"),
    python = harness.output_of("python3 --version"),
    start_method = harness.output_of(START_METHOD),
  }
end

-- Appends what one run of a program prints to the lists of its keys.
local function run_once(command, samples)
  local output = harness.output_of(command)
  local any = false
  for key, value in output:gmatch("([%w_]+)%s+([%d.e+-]+)") do
    samples[key] = samples[key] or {}
    table.insert(samples[key], tonumber(value))
    any = true
  end
  if not any then
    error(("%s measured nothing, but printed: %s"):format(command, output), 0)
  end
end

local function summary(samples)
  local summaries = {}
  for key, values in pairs(samples) do
    table.sort(values)
    summaries[key] = {
      median = values[#values // 2 + 1], min = values[1], max = values[#values], runs = #values,
    }
  end
  return summaries
end

local function exists(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

--- Runs a measurement and its peer, if it has one.
-- @tparam string name
-- @tparam string kind of pool
-- @tparam integer runs
-- @treturn table key -> { median, min, max, runs }, of lpool
-- @treturn table the same of the peer; empty if there is none
function harness.measure(name, kind, runs)
  local work = ("%s bench/work/%s.lua %s"):format(harness.program, name, kind)
  local peer = ("bench/peers/%s.py"):format(name)
  local ours, theirs = {}, {}
  for _ = 1, runs do
    run_once(work, ours)
    if exists(peer) then
      run_once(("python3 %s %s"):format(peer, kind), theirs)
    end
  end
  return summary(ours), summary(theirs)
end

--- Compares the numbers of one row with each other and with its target.
-- @tparam table row as in bench/rows.lua
-- @tparam table ours key -> summary
-- @tparam table theirs key -> summary
-- @treturn table ours, theirs, ratio (how many times better lpool is), met
function harness.judge(row, ours, theirs)
  local verdict = { ours = ours[row.key], theirs = theirs[row.key] }
  if not verdict.ours then
    error(("bench/work/%s.lua does not measure '%s'"):format(row.work, row.key), 0)
  end
  local value = verdict.ours.median
  local other = verdict.theirs and verdict.theirs.median
  if other and value > 0 and other > 0 then
    verdict.ratio = row.better == "more" and value / other or other / value
  end
  if row.times_peer then
    verdict.met = verdict.ratio and verdict.ratio >= row.times_peer
  elseif row.at_least then
    verdict.met = value >= row.at_least
  elseif row.at_most then
    verdict.met = value <= row.at_most
  end
  return verdict
end

return harness
