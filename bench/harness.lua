--- Runs measurements and says how they compare.
-- A measurement is a program of its own: bench/work/<name>.lua, or that of a
-- peer (bench/peers.lua). It prints lines of a key and a number. The harness
-- runs all peers in turns, several times, each time in a new process, and
-- keeps median, least and most of each key.
local peers = require "peers"

local harness = {}

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

-- The commit, "-dirty" if what is measured differs from it: the report writes
-- to docs.
local COMMIT = [[git rev-parse --short HEAD 2>/dev/null || echo none
  git status --porcelain -- . ':!docs' 2>/dev/null | grep -q . && echo -dirty]]

--- Where these numbers come from.
-- @tparam {table,...} measured peers
-- @treturn table machine, commit, date, versions
function harness.origin(measured)
  local cpu = harness.output_of("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1")
  local cores = harness.output_of("nproc")
  local versions = {}
  for _, peer in ipairs(measured) do
    versions[peer.name] = harness.output_of(peer.version)
  end
  return {
    machine = ("%s, %s cores, %s"):format(cpu, cores, harness.output_of("uname -sr")),
    commit = harness.output_of(COMMIT):gsub("\n", ""),
    date = os.date("%Y-%m-%d"),
    versions = versions,
    start_method = harness.output_of(START_METHOD),
    load = tonumber(harness.output_of("cut -d ' ' -f 1 /proc/loadavg")),
  }
end

--- Appends what one run of a program prints to the lists of its keys.
-- @tparam string command
-- @tparam table samples key -> list of numbers
-- @raise a string, if it printed none
function harness.run_once(command, samples)
  local output = harness.output_of("timeout 120 " .. command)
  local any = false
  for key, value in output:gmatch("([%w_]+)%s+(%-?[%d.]+[%d.e+-]*)") do
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

--- Runs a measurement by all who can.
-- @tparam string work
-- @tparam string kind of pool
-- @tparam integer runs
-- @tparam {table,...} measured peers
-- @treturn table name of a peer -> key -> { median, min, max, runs }
function harness.measure(work, kind, runs, measured)
  local samples, summaries = {}, {}
  for _ = 1, runs do
    for _, peer in ipairs(measured) do
      local command = peers.command(peer, work, kind)
      if command then
        samples[peer.name] = samples[peer.name] or {}
        harness.run_once(command, samples[peer.name])
      end
    end
  end
  for name, of_peer in pairs(samples) do
    summaries[name] = summary(of_peer)
  end
  return summaries
end

local function short(value)
  return value >= 1e6 and ("%g million"):format(value / 1e6) or ("%g"):format(value)
end

--- The targets of a row, as text; "" if it has none.
function harness.target_of(row)
  local parts = {}
  if row.at_least then parts[#parts + 1] = ">= " .. short(row.at_least) end
  if row.at_most then parts[#parts + 1] = "<= " .. short(row.at_most) end
  for _, peer in ipairs(peers) do
    local times = row.times and row.times[peer.name]
    if times then parts[#parts + 1] = ("%gx %s"):format(times, peer.title) end
  end
  return table.concat(parts, ", ")
end

-- Whether a row's numbers reach its targets; nil if none can be judged.
local function is_met(row, value, ratios)
  local met
  local function judge(reached)
    met = reached and met ~= false
  end
  if value and row.at_least then judge(value >= row.at_least) end
  if value and row.at_most then judge(value <= row.at_most) end
  for name, times in pairs(row.times or {}) do
    if ratios[name] then judge(ratios[name] >= times) end
  end
  return met
end

--- Compares the numbers of one row with each other and with its targets.
-- @tparam table row as in bench/rows.lua
-- @tparam table measured name of a peer -> key -> summary
-- @treturn table by (name -> summary), ratios (name -> how many times better
-- lpool is), met
function harness.judge(row, measured)
  local verdict = { by = {}, ratios = {} }
  for name, keys in pairs(measured) do
    verdict.by[name] = keys[row.key]
    if keys[row.key] and keys[row.key .. "_default"] then
      keys[row.key].default = keys[row.key .. "_default"].median
    end
  end
  local ours = verdict.by.lpool and verdict.by.lpool.median
  for name, theirs in pairs(verdict.by) do
    if name ~= "lpool" and ours and ours > 0 and theirs.median > 0 then
      verdict.ratios[name] = row.better == "more" and ours / theirs.median or theirs.median / ours
    end
  end
  verdict.met = is_met(row, ours, verdict.ratios)
  return verdict
end

return harness
