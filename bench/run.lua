-- Measures lpool side by side with CPython and prints a table.
--
--     lpool bench/run.lua [--json] [--runs N] [thread|process] [names of bench/work/...]
--
-- Run it in the project's folder; `make bench` does. See bench/README.md.

package.path = "bench/?.lua;" .. package.path
local harness = require "harness"
local rows = require "rows"

local KINDS = { thread = "Threads", process = "Processes" }

local function parse(arguments)
  local options = { runs = 5, kinds = {}, names = {} }
  local i = 1
  while arguments[i] do
    local argument = arguments[i]
    if argument == "--json" then
      options.json = true
    elseif argument == "--runs" then
      i = i + 1
      options.runs = assert(math.tointeger(tonumber(arguments[i])), "--runs needs a number")
    else
      local chosen = KINDS[argument] and options.kinds or options.names
      chosen[argument] = true
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

local function target_of(row)
  if row.times_peer then
    return (">= %g x"):format(row.times_peer)
  elseif row.at_least then
    return (">= %g"):format(row.at_least)
  elseif row.at_most then
    return ("<= %g"):format(row.at_most)
  end
  return ""
end

local function number(row, summary)
  return summary and ("%." .. row.digits .. "f"):format(summary.median) or "-"
end

local LINE = "%-40s %12s %12s %-8s %8s %8s  %s"

local function print_row(row, verdict)
  local met = ""
  if verdict.met ~= nil then
    met = verdict.met and "met" or "MISSED"
  end
  print(LINE:format(row.name, number(row, verdict.ours), number(row, verdict.theirs), row.unit,
    verdict.ratio and ("%.1f"):format(verdict.ratio) or "-", target_of(row), met))
end

local function json(value)
  if type(value) ~= "table" then
    return type(value) == "string" and '"' .. value:gsub('[\\"]', "\\%0") .. '"' or tostring(value)
  end
  local fields = {}
  for key, field in pairs(value) do
    fields[#fields + 1] = ('"%s":%s'):format(key, json(field))
  end
  table.sort(fields)
  return "{" .. table.concat(fields, ",") .. "}"
end

local function print_json(row, verdict, origin)
  print(json {
    row = row.name, kind = row.kind, work = row.work, key = row.key, unit = row.unit,
    target = target_of(row),
    lpool = verdict.ours, cpython = verdict.theirs, ratio = verdict.ratio, met = verdict.met,
    machine = origin.machine, commit = origin.commit, date = origin.date, python = origin.python,
  })
end

local options = parse(arg)
local origin = harness.origin()
io.stdout:setvbuf("line")
if not options.json then
  print(("%s; commit %s; %s, processes by %s; medians of %d, %s"):format(origin.machine,
    origin.commit, origin.python, origin.start_method, options.runs, origin.date))
  print(LINE:format("", "lpool", "CPython", "", "ratio", "target", ""))
end

local kind
for _, measurement in ipairs(measurements(options.names, options.kinds)) do
  local ours, theirs = harness.measure(measurement.work, measurement.kind, options.runs)
  if measurement.kind ~= kind and not options.json then
    kind = measurement.kind
    print(KINDS[kind])
  end
  for _, row in ipairs(measurement.rows) do
    local verdict = harness.judge(row, ours, theirs)
    if options.json then
      print_json(row, verdict, origin)
    else
      print_row(row, verdict)
    end
  end
end
