--- Whether something got slower: the part of `make bench-check` that decides.
--
-- A row's cost is lpool's time divided by that of the C floor for its work,
-- each the best of all rounds: what others do on the machine makes a round
-- slower and never faster, so the best of many rounds is near the truth, and
-- the quotient is about the same on another machine. A row is measured until
-- both bests have settled: until some rounds in turn have not changed the cost.
-- One that looks slower is measured for longer before it is called so.
local judge = {}

--- What a row may cost more than in the baseline. Less than the 20 % that are
-- to be seen, more than what bests differ by.
judge.TOLERANCE = 0.15

-- A time, or the time of one of so many a second.
local function time_of(value, better)
  return better == "more" and 1 / value or value
end

--- Keeps the best of what was measured.
-- @tparam table best name -> { ours, floor }; changed
-- @tparam table row name, better
-- @tparam number ours
-- @tparam ?number floor absent if the row is compared as it is
function judge.add(best, row, ours, floor)
  local known = best[row.name] or { ours = math.huge, floor = math.huge }
  known.ours = math.min(known.ours, time_of(ours, row.better))
  known.floor = floor and math.min(known.floor, time_of(floor, row.floor_better or row.better)) or 1
  best[row.name] = known
end

--- How much a row costs, as a ratio to its floor.
function judge.cost(best, row)
  return best[row.name].ours / best[row.name].floor
end

--- Compares one cost with the baseline's.
-- @tparam number cost
-- @tparam ?number before
-- @treturn string "slower", "same", "faster" or "new"
-- @treturn ?number how much more it is, 0.2 for 20 %
function judge.compare(cost, before)
  if not before then
    return "new"
  end
  local more = cost / before - 1
  if more > judge.TOLERANCE then
    return "slower", more
  end
  return more < -judge.TOLERANCE and "faster" or "same", more
end

-- Whether more rounds are to be measured of a row whose cost did not change in
-- the last ones.
local function goes_on(result, calm, limits)
  if result.rounds >= limits.most then
    return false
  end
  return calm < (result.verdict == "slower" and limits.patience or limits.calm)
end

--- What a cost may change by in a calm round.
local CALM = 0.02

local function measure_row(row, before, measure, limits)
  local best, calm = {}, 0
  local result = { row = row, before = before, rounds = 0 }
  repeat
    judge.add(best, row, measure(row))
    local cost = judge.cost(best, row)
    local changed = not result.cost or math.abs(cost / result.cost - 1) > CALM
    calm = changed and 0 or calm + 1
    result.cost, result.rounds = cost, result.rounds + 1
    result.verdict, result.more = judge.compare(cost, before)
  until not goes_on(result, calm, limits)
  return result
end

--- Measures all rows, each until its cost has settled.
-- @tparam {table,...} rows
-- @tparam table baseline name -> cost
-- @tparam function measure of a row: gives lpool's number and the floor's
-- @tparam table limits calm: rounds in turn that do not change a cost; patience: the same for what
-- looks slower; most: rounds at most
-- @treturn {table,...} in order: { row, cost, before, verdict, more, rounds }
function judge.run(rows, baseline, measure, limits)
  local results = {}
  for i, row in ipairs(rows) do
    results[i] = measure_row(row, baseline[row.name], measure, limits)
  end
  return results
end

return judge
