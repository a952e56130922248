-- Fails if something has become slower: compares with bench/baseline.json, as
-- ratios to the C floor, which is measured in the same run.
--
--     lpool bench/check.lua [--accept] [work]
--
-- --accept makes what is measured the new baseline, of that work or of all.

package.path = "bench/?.lua;" .. package.path
local harness = require "harness"
local json = require "json"
local judge = require "judge"
local peers = require "peers"

local BASELINE = "bench/baseline.json"
local KINDS = { "thread", "process" }

-- work, key, better, and the floor's work and key: none for what is memory.
local CHECKED = {
  { "tasks", "best_tasks_per_second", "more", "tasks", "best_tasks_per_second" },
  { "map", "best_list_items_per_second", "more", "tasks", "best_tasks_per_second" },
  { "map", "best_range_items_per_second", "more", "tasks", "best_tasks_per_second" },
  { "round_trip", "p10_us", "less", "wake", "p10_us" },
  { "records", "best_ms", "less", "records", "best_ms" },
  { "long_string", "best_ms", "less", "long_string", "best_ms" },
  { "pool", "next_p10_ms", "less", "pool", "next_p10_ms" },
  { "pending_future", "bytes", "less" },
}

local function checked_rows(only)
  local rows = {}
  for _, kind in ipairs(KINDS) do
    for _, entry in ipairs(CHECKED) do
      local work, key, better, floor_work, floor_key = table.unpack(entry)
      if not only or work == only then
        rows[#rows + 1] = {
          name = ("%s %s %s"):format(kind, work, key), kind = kind, work = work, key = key,
          better = better, floor_work = floor_work, floor_key = floor_key,
        }
      end
    end
  end
  return rows
end

-- Programs that measure something else for us are told so; the others do not listen.
local function numbers(peer, work, kind)
  local samples = {}
  harness.run_once(peers.command(peer, work, kind) .. " best", samples)
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

local function write_baseline(costs)
  local lines = {}
  for name, cost in pairs(costs) do
    lines[#lines + 1] = ("    %s: %.4g"):format(json.encode(name), cost)
  end
  table.sort(lines)
  local file <close> = assert(io.open(BASELINE, "w"))
  file:write(("{\n  \"origin\": %s,\n  \"costs\": {\n%s\n  }\n}\n"):format(
    json.encode(harness.origin {}), table.concat(lines, ",\n")))
end

local LINE = "%-42s %10s %10s %8s %7s  %s"

local function print_result(result)
  print(LINE:format(result.row.name, ("%.3g"):format(result.cost),
    result.before and ("%.3g"):format(result.before) or "-",
    result.more and ("%+.0f %%"):format(result.more * 100) or "-", result.rounds, result.verdict))
end

-- Names what got slower; whether nothing did.
local function report(results)
  local slower = {}
  for _, result in ipairs(results) do
    if result.verdict == "slower" then
      slower[#slower + 1] = result.row.name
    end
  end
  if #slower == 0 then
    return true
  end
  print(("bench-check: slower than %s by more than %.0f %%: %s"):format(BASELINE,
    judge.TOLERANCE * 100, table.concat(slower, "; ")))
  print(("the load is %.1f; above 1, others use this machine: then run it again"):format(
    harness.origin({}).load))
  return false
end

local LIMITS = { calm = 4, patience = 12, most = 40 }

local accept = arg[1] == "--accept"
local only = arg[accept and 2 or 1]
local rows, baseline = checked_rows(only), read_baseline()
assert(#rows > 0, "nothing that is checked has this name")
-- A baseline has to be the truth: what is new to it is waited for as what is slower.
if accept then
  LIMITS.calm = LIMITS.patience
end
local results = judge.run(rows, accept and {} or baseline, measure, LIMITS)
print(LINE:format("costs, as ratios to the C floor", "now", "baseline", "change", "rounds", ""))
for _, result in ipairs(results) do
  print_result(result)
end

if accept then
  local costs = only and baseline or {}
  for _, result in ipairs(results) do
    costs[result.row.name] = result.cost
  end
  write_baseline(costs)
  print("wrote " .. BASELINE)
else
  os.exit(report(results))
end
