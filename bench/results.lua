--- What was measured, as `make bench-all` has written it to build/bench.
local json = require "json"

local results = {
  titles = {
    lpool = "lpool", cpython = "CPython", multiprocessing = "Pool", piscina = "piscina",
    go = "Go", luv = "luv", floor = "C floor",
  },
  order = { "lpool", "cpython", "multiprocessing", "piscina", "go", "luv", "floor" },
  kinds = { "thread", "process" },
  plurals = { thread = "threads", process = "processes" },
}

--- Reads both files.
-- @tparam string rows_path by run.lua
-- @tparam string account_path by account.lua
-- @treturn table origin, missing; rows (in order, each with its name, kind, work, ... and
-- by: peer -> line), account (lines)
function results.load(rows_path, account_path)
  local data = { rows = {}, account = {} }
  local by_id = {}
  for text in io.lines(rows_path) do
    local line = json.decode(text)
    if line.origin then
      data.origin, data.missing = line.origin, line.missing
    else
      local id = ("%s %s"):format(line.kind, line.row)
      if not by_id[id] then
        by_id[id] = { by = {}, name = line.row }
        table.insert(data.rows, by_id[id])
      end
      for _, field in ipairs { "kind", "work", "key", "unit", "digits", "series", "x" } do
        by_id[id][field] = line[field]
      end
      by_id[id].by[line.peer] = line
    end
  end
  for text in io.lines(account_path) do
    table.insert(data.account, json.decode(text))
  end
  return data
end

--- The row of a key; nil if there is none.
function results.find(data, kind, work, key)
  for _, row in ipairs(data.rows) do
    if row.kind == kind and row.work == work and row.key == key then
      return row
    end
  end
end

--- Layers of lpool that take time, those that take most first.
function results.layers(data)
  local sums, list = {}, {}
  for _, line in ipairs(data.account) do
    if line.account == "layer" then
      if not sums[line.layer] then
        list[#list + 1] = line.layer
      end
      sums[line.layer] = (sums[line.layer] or 0) + line.ns
    end
  end
  table.sort(list, function(a, b) return sums[a] > sums[b] end)
  return list
end

-- The bars of the account: whose time.
local WHOSE = {
  { "thread", "caller" }, { "thread", "workers" },
  { "process", "caller" }, { "process", "workers" },
}

--- The time of each layer, for caller and workers of both kinds: a list of
-- { label, [layer] = ns }.
function results.layer_times(data)
  local times = {}
  for i, whose in ipairs(WHOSE) do
    times[i] = { label = ("%s: %s"):format(results.plurals[whose[1]], whose[2]) }
    for _, line in ipairs(data.account) do
      if line.account == "layer" and line.kind == whose[1] and line.who == whose[2] then
        times[i][line.layer] = line.ns
      end
    end
  end
  return times
end

return results
