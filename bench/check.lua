-- Fails if something has become slower: compares with bench/baseline.json, as
-- ratios to the C floor, which is measured in the same run.
--
--     lpool bench/check.lua [--accept] [--rounds N]
--
-- --accept makes what is measured the new baseline.

package.path = "bench/?.lua;" .. package.path
local harness = require "harness"
local json = require "json"
local judge = require "judge"
local peers = require "peers"

local BASELINE = "bench/baseline.json"
local KINDS = { "thread", "process" }

-- work, key, better, and the floor's work and key: none for what is memory.
local CHECKED = {
  { "tasks", "tasks_per_second", "more", "tasks", "tasks_per_second" },
  { "map", "list_items_per_second", "more", "tasks", "tasks_per_second" },
  { "map", "range_items_per_second", "more", "tasks", "tasks_per_second" },
  { "round_trip", "p50_us", "less", "wake", "p50_us" },
  { "records", "ms", "less", "records", "ms" },
  { "long_string", "ms", "less", "long_string", "ms" },
  { "pool", "next_ms", "less", "pool", "next_ms" },
  { "pending_future", "bytes", "less" },
}

local function checked_rows()
  local rows = {}
  for _, kind in ipairs(KINDS) do
    for _, entry in ipairs(CHECKED) do
      local work, key, better, floor_work, floor_key = table.unpack(entry)
      rows[#rows + 1] = {
        name = ("%s %s %s"):format(kind, work, key), kind = kind, work = work, key = key,
        better = better, floor_work = floor_work, floor_key = floor_key,
      }
    end
  end
  return rows
end

local function numbers(peer, work, kind)
  local samples = {}
  harness.run_once(peers.command(peer, work, kind), samples)
  return samples
end

local function measure(row)
  local ours = numbers(peers.lpool, row.work, row.kind)[row.key][1]
  if not row.floor_work then
    return ours
  end
  return ours, numbers(peers.floor, row.floor_work, row.kind)[row.floor_key][1]
end

local function read_baseline()
  local file <close> = io.open(BASELINE)
  return file and json.decode(file:read("a")).costs or {}
end

local function write_baseline(results)
  local lines = {}
  for i, result in ipairs(results) do
    lines[i] = ("    %s: %.4g"):format(json.encode(result.row.name), result.cost)
  end
  local file <close> = assert(io.open(BASELINE, "w"))
  file:write(("{\n  \"origin\": %s,\n  \"costs\": {\n%s\n  }\n}\n"):format(
    json.encode(harness.origin {}), table.concat(lines, ",\n")))
end

local LINE = "%-42s %10s %10s %8s  %s"

local function print_result(result)
  print(LINE:format(result.row.name, ("%.3g"):format(result.cost),
    result.before and ("%.3g"):format(result.before) or "-",
    result.more and ("%+.0f %%"):format(result.more * 100) or "-", result.verdict))
end

local options = { rounds = 5 }
for i, argument in ipairs(arg) do
  if argument == "--accept" then
    options.accept = true
  elseif argument == "--rounds" then
    options.rounds = assert(math.tointeger(tonumber(arg[i + 1])), "--rounds needs a number")
  end
end

local baseline = options.accept and {} or read_baseline()
local results = judge.run(checked_rows(), baseline, measure,
  { rounds = options.rounds, patience = 3 * options.rounds })
print(LINE:format("costs, as ratios to the C floor", "now", "baseline", "change", ""))
local slower = {}
for _, result in ipairs(results) do
  print_result(result)
  if result.verdict == "slower" then
    slower[#slower + 1] = result.row.name
  end
end
if options.accept then
  write_baseline(results)
  print("wrote " .. BASELINE)
elseif #slower > 0 then
  print(("bench-check: slower than %s by more than %.0f %%: %s"):format(BASELINE,
    judge.TOLERANCE * 100, table.concat(slower, "; ")))
  os.exit(1)
end
