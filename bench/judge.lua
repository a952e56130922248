--- Whether something got slower: the part of `make bench-check` that decides.
--
-- A row's cost is lpool's time divided by that of the C floor for its work,
-- each the best of all rounds: what others do on the machine makes a round
-- slower and never faster, so the best of many rounds is near the truth, and
-- the quotient is about the same on another machine. A row that looks slower
-- is measured again, several times, before it is called so.
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

--- Measures all rows, and those that look slower again and again.
-- @tparam {table,...} rows
-- @tparam table baseline name -> cost
-- @tparam function measure of a row: gives lpool's number and the floor's
-- @tparam table limits rounds (for all), patience (more for what looks slower)
-- @treturn {table,...} in order: { row, cost, before, verdict, more, rounds }
function judge.run(rows, baseline, measure, limits)
  local best, results = {}, {}
  for _ = 1, limits.rounds do
    for _, row in ipairs(rows) do
      judge.add(best, row, measure(row))
    end
  end
  for i, row in ipairs(rows) do
    local result = { row = row, before = baseline[row.name], rounds = limits.rounds }
    repeat
      result.cost = judge.cost(best, row)
      result.verdict, result.more = judge.compare(result.cost, result.before)
      local again = result.verdict == "slower" and result.rounds < limits.rounds + limits.patience
      if again then
        judge.add(best, row, measure(row))
        result.rounds = result.rounds + 1
      end
    until not again
    results[i] = result
  end
  return results
end

return judge
