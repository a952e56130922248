-- Measures lpool side by side with its peers and prints a table.
--
--     lpool bench/run.lua [--all | --peers a,b] [--runs N] [--out FILE] [thread|process] [names]
--
-- Run it in the project's folder; `make bench` does. See bench/README.md.

package.path = "bench/?.lua;" .. package.path
local harness = require "harness"
local json = require "json"
local peers = require "peers"
local rows = require "rows"

local KINDS = { thread = "Threads", process = "Processes" }

local takes = {}

function takes.all(options)
  for _, peer in ipairs(peers) do
    options.peers[peer.name] = true
  end
end

function takes.peers(options, value)
  options.peers = { lpool = true }
  for name in value:gmatch("[^,]+") do
    options.peers[name] = true
  end
end

function takes.runs(options, value)
  options.runs = assert(math.tointeger(tonumber(value)), "--runs needs a number")
end

function takes.out(options, value)
  options.out = value
end

local function parse(arguments)
  local options = {
    runs = 5, kinds = {}, names = {}, peers = { lpool = true, cpython = true },
  }
  local i = 1
  while arguments[i] do
    local name = arguments[i]:match("^%-%-(.+)")
    if name then
      local take = assert(takes[name], "no such option: " .. arguments[i])
      if name ~= "all" then i = i + 1 end
      take(options, arguments[i])
    else
      local chosen = KINDS[arguments[i]] and options.kinds or options.names
      chosen[arguments[i]] = true
    end
    i = i + 1
  end
  return options
end

local function is_chosen(chosen, name)
  return not next(chosen) or chosen[name]
end

-- The measurements that were asked for, each with its rows, in their order.
local function measurements(names, kinds)
  local list, known, by_id = {}, {}, {}
  for _, row in ipairs(rows) do
    known[row.work] = true
    if is_chosen(names, row.work) and is_chosen(kinds, row.kind) then
      local id = row.work .. " " .. row.kind
      if not by_id[id] then
        by_id[id] = { work = row.work, kind = row.kind, rows = {} }
        list[#list + 1] = by_id[id]
      end
      table.insert(by_id[id].rows, row)
    end
  end
  for name in pairs(names) do
    if not known[name] then
      error(("no measurement is called '%s'"):format(name), 0)
    end
  end
  return list
end

local function cell(row, summary, ratio)
  if not summary then
    return "-"
  end
  local value = ("%." .. row.digits .. "f"):format(summary.median)
  return ratio and ("%s (%.3gx)"):format(value, ratio) or value
end

-- Prints lines of columns as wide as the number of peers asks for.
local function print_cells(name, cells, rest)
  for i, text in ipairs(cells) do
    cells[i] = ("%19s"):format(text)
  end
  print(("%-44s%s  %s"):format(name, table.concat(cells), rest))
end

local function print_head(measured)
  local cells = {}
  for i, peer in ipairs(measured) do
    cells[i] = peer.title
  end
  print_cells("", cells, "target (ratios: how many times better lpool is)")
end

local function print_row(row, verdict, measured)
  local cells = {}
  for i, peer in ipairs(measured) do
    cells[i] = cell(row, verdict.by[peer.name], verdict.ratios[peer.name])
  end
  local met = verdict.met
  print_cells(row.name, cells, ("%s %s %s"):format(row.unit, harness.target_of(row),
    met == nil and "" or met and "met" or "MISSED"))
end

-- One line for each peer that has the row.
local function write_rows(file, row, verdict, measured)
  for _, peer in ipairs(measured) do
    local summary = verdict.by[peer.name]
    if summary then
      file:write(json.encode {
        peer = peer.name, row = row.name, kind = row.kind, work = row.work, key = row.key,
        series = row.series, x = row.x, unit = row.unit, digits = row.digits,
        median = summary.median, min = summary.min, max = summary.max, runs = summary.runs,
        default = summary.default, ratio = verdict.ratios[peer.name],
        target = harness.target_of(row), met = verdict.met,
      }, "\n")
    end
  end
end

local function describe(origin, measured)
  print(("%s; commit %s; %s; load %.1f"):format(origin.machine, origin.commit, origin.date,
    origin.load))
  for _, peer in ipairs(measured) do
    print(("  %s: %s"):format(peer.title, origin.versions[peer.name]))
  end
end

local options = parse(arg)
local measured, missing = peers.found(options.peers)
local origin = harness.origin(measured)
origin.runs = options.runs
io.stdout:setvbuf("line")
describe(origin, measured)
for _, title in ipairs(missing) do
  print(("  %s: left out, it is not on this machine (try make bench-setup)"):format(title))
end
print_head(measured)

local file <close> = options.out and assert(io.open(options.out, "w"))
if file then
  file:setvbuf("line")
  file:write(json.encode { origin = origin, missing = missing }, "\n")
end

local kind
for _, measurement in ipairs(measurements(options.names, options.kinds)) do
  local results = harness.measure(measurement.work, measurement.kind, options.runs, measured)
  if measurement.kind ~= kind then
    kind = measurement.kind
    print(KINDS[kind])
  end
  for _, row in ipairs(measurement.rows) do
    local verdict = harness.judge(row, results)
    print_row(row, verdict, measured)
    if file then
      write_rows(file, row, verdict, measured)
    end
  end
end
