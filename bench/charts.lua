--- The plots of docs/plots: name -> function of the results, which gives SVG, or
-- nothing if the rows for it were not measured.
local plot = require "plot"
local results = require "results"

local KINDS, ORDER, PLURALS, TITLES =
  results.kinds, results.order, results.plurals, results.titles

local function bars(data, title, work, key, kinds)
  local chart = { title = title, bars = {} }
  for _, kind in ipairs(kinds or KINDS) do
    local row = results.find(data, kind, work, key)
    for _, name in ipairs(ORDER) do
      local line = row and row.by[name]
      if line then
        chart.unit = row.unit
        table.insert(chart.bars, {
          label = ("%s, %s"):format(TITLES[name], PLURALS[kind]), ours = name == "lpool",
          median = line.median, min = line.min, max = line.max,
        })
      end
    end
  end
  return #chart.bars > 0 and plot.bars(chart)
end

local function curves(data, title, panels)
  local chart = {
    title = title, unit = "ns each; 0 is at the bottom", names = { "threads", "processes" },
    panels = {},
  }
  for i, content in ipairs(panels) do
    chart.panels[i] = { x_title = content[2], curves = { {}, {} } }
    for number_of_kind, kind in ipairs(KINDS) do
      for _, row in ipairs(data.rows) do
        if row.kind == kind and row.series == content[1] then
          local line = row.by.lpool
          table.insert(chart.panels[i].curves[number_of_kind],
            { x = row.x, median = line.median, min = line.min, max = line.max })
        end
      end
    end
  end
  return #chart.panels[1].curves[1] > 0 and plot.curves(chart)
end

local charts = {}

function charts.throughput(data)
  return bars(data, "No-op tasks: submit each, take each result", "tasks", "tasks_per_second")
end

function charts.roundtrip(data)
  return bars(data, "Round trip of one task, p50 (less is better)", "round_trip", "p50_us")
end

function charts.map(data)
  return bars(data, "map over 1,000,000 integers", "map", "list_items_per_second")
end

function charts.records(data)
  return bars(data, "10,000 records there and back (less is better)", "records", "ms")
end

function charts.string(data)
  return bars(data, "A 16 MiB string there and back (less is better)", "long_string", "ms")
end

function charts.growth(data)
  return curves(data, "What one task costs as things grow", {
    { "tasks", "tasks before it" }, { "pending", "tasks pending" }, { "workers", "workers" },
  })
end

function charts.waiting(data)
  return curves(data, "Waiting for many futures", {
    { "as_completed", "futures, lpool.as_completed" }, { "wait", "futures done, lpool.wait" },
  })
end

local COLOURS = 9 -- what takes less time than so many layers is one part

function charts.account(data)
  local layers, times = results.layers(data), results.layer_times(data)
  if #layers == 0 then
    return nil
  end
  local parts = table.move(layers, 1, math.min(#layers, COLOURS - 1), 1, {})
  for i = COLOURS, #layers do
    parts[COLOURS] = "the rest"
    for _, bar in ipairs(times) do
      bar["the rest"] = (bar["the rest"] or 0) + (bar[layers[i]] or 0)
    end
  end
  return plot.stacks {
    title = "Where the processor time of one task goes", unit = "ns per task", parts = parts,
    bars = times,
  }
end

return charts
