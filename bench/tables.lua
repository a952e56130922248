--- The parts of docs/performance.md that are generated: name -> function of the
-- results, which gives Markdown.
local results = require "results"

local KINDS, ORDER, PLURALS, TITLES =
  results.kinds, results.order, results.plurals, results.titles

local function thousands(number)
  local digits, rest = number:match("^(%d+)(.*)")
  digits = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return digits .. rest
end

local function number(row, value)
  if value >= 1e6 then
    return ("%.3g million"):format(value / 1e6)
  end
  return thousands(("%." .. row.digits .. "f"):format(value))
end

local function ratio_text(ratio)
  return (ratio >= 100 and "%.0f" or ratio >= 10 and "%.1f" or ratio >= 0.1 and "%.2f" or "%.2g")
    :format(ratio)
end

local function cell(row, line)
  if not line then
    return ""
  end
  local text = number(row, line.median)
  if line.default then
    text = ("%s (by default %s)"):format(text, number(row, line.default))
  end
  return line.ratio and ("%s; **%s**"):format(text, ratio_text(line.ratio)) or text
end

local function markdown(lines, cells)
  lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
end

local function peers_of(data, kind)
  local list = {}
  for _, name in ipairs(ORDER) do
    for _, row in ipairs(data.rows) do
      if row.kind == kind and row.by[name] and not row.series and row.work ~= "account" then
        list[#list + 1] = name
        break
      end
    end
  end
  return list
end

local function verdict_of(line)
  if not line or line.met == nil then
    return ""
  end
  return ("%s: %s"):format(line.target, line.met and "met" or "**missed**")
end

local function comparison(data, kind)
  local names = peers_of(data, kind)
  local lines, head, rule = {}, { "work" }, { "---" }
  for _, name in ipairs(names) do
    head[#head + 1] = TITLES[name]
    rule[#rule + 1] = "---"
  end
  head[#head + 1], rule[#rule + 1] = "target", "---"
  markdown(lines, head)
  markdown(lines, rule)
  for _, row in ipairs(data.rows) do
    if row.kind == kind and not row.series and row.work ~= "account" then
      local cells = { row.name .. (row.unit ~= "" and ", " .. row.unit or "") }
      for _, name in ipairs(names) do
        cells[#cells + 1] = cell(row, row.by[name])
      end
      cells[#cells + 1] = verdict_of(row.by.lpool)
      markdown(lines, cells)
    end
  end
  return table.concat(lines, "\n")
end

local BUSY = 1 -- a load before the run that says that the machine is not ours

local sections = {}

function sections.origin(data)
  local origin, lines = data.origin, {}
  lines[1] = ("%s, commit %s, %s; medians of %d; the load before the run was %.1f."):format(
    origin.date, origin.commit, origin.machine, origin.runs, origin.load)
  for _, name in ipairs(ORDER) do
    local version = origin.versions[name]
    if version then
      lines[#lines + 1] = ("- %s: %s"):format(TITLES[name], version:gsub("%s+", " "))
    end
  end
  for _, title in ipairs(data.missing) do
    lines[#lines + 1] = ("- %s: not on that machine, so left out."):format(title)
  end
  table.insert(lines, 2, "")
  if origin.load > BUSY then
    lines[#lines + 1] = "\n**Others used the machine during this run**: the numbers are worse than "
      .. "they could be, ratios are rough, and what needs two processors cannot be judged."
  end
  return table.concat(lines, "\n")
end

function sections.threads(data)
  return comparison(data, "thread")
end

function sections.processes(data)
  return comparison(data, "process")
end

function sections.missed(data)
  local lines = {}
  for _, row in ipairs(data.rows) do
    local line = row.by.lpool
    if line and line.met == false then
      local ratios = {}
      for _, name in ipairs(ORDER) do
        if row.by[name] and row.by[name].ratio and line.target:find(TITLES[name], 1, true) then
          ratios[#ratios + 1] = ("%s x %s"):format(ratio_text(row.by[name].ratio), TITLES[name])
        end
      end
      lines[#lines + 1] = ("- %s, %s: %s %s%s; the target is %s."):format(PLURALS[row.kind],
        row.name, number(row, line.median), row.unit,
        #ratios > 0 and " (" .. table.concat(ratios, ", ") .. ")" or "", line.target)
    end
  end
  return #lines > 0 and table.concat(lines, "\n") or "None."
end

local GROWTH = { 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7 }

function sections.growth(data)
  local lines = {
    "| ns each, of | 1 | 10 | 100 | 1,000 | 10,000 | 100,000 | million | ten million "
      .. "| most by least |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  }
  local titles, values = {}, {}
  for _, row in ipairs(data.rows) do
    if row.series then
      local title = ("%s: %s"):format(PLURALS[row.kind], row.name:match("^(.-): "))
      if not values[title] then
        titles[#titles + 1], values[title] = title, { least = math.huge, most = 0 }
      end
      local series, median = values[title], row.by.lpool.median
      series[row.x] = cell(row, row.by.lpool)
      series.least, series.most = math.min(series.least, median), math.max(series.most, median)
    end
  end
  for _, title in ipairs(titles) do
    local cells = { title }
    for i, x in ipairs(GROWTH) do
      cells[i + 1] = values[title][x] or ""
    end
    cells[#cells + 1] = ("%.1f"):format(values[title].most / values[title].least)
    markdown(lines, cells)
  end
  return table.concat(lines, "\n")
end

-- ---- where it goes ----

function sections.costs(data)
  local lines = { "| one task, ns | threads | processes |", "| --- | --- | --- |" }
  for _, row in ipairs(data.rows) do
    if row.work == "account" and row.kind == "thread" then
      local other = results.find(data, "process", row.work, row.key)
      markdown(lines, {
        row.name, cell(row, row.by.lpool), other and cell(row, other.by.lpool) or "",
      })
    end
  end
  local threads = results.find(data, "thread", "tasks", "tasks_per_second")
  local processes = results.find(data, "process", "tasks", "tasks_per_second")
  for _, name in ipairs { "lpool", "floor" } do
    local cells = { ("submit and result together, per task: %s"):format(TITLES[name]) }
    for _, row in ipairs { threads, processes } do
      local line = row.by[name]
      cells[#cells + 1] = line and ("%.0f"):format(1e9 / line.median) or ""
    end
    markdown(lines, cells)
  end
  return table.concat(lines, "\n")
end

function sections.layers(data)
  local times = results.layer_times(data)
  local lines = {
    "| ns per task | threads: caller | workers | processes: caller | workers |",
    "| --- | --- | --- | --- | --- |",
  }
  local sums = { 0, 0, 0, 0 }
  for _, layer in ipairs(results.layers(data)) do
    local cells = { layer }
    for i, bar in ipairs(times) do
      sums[i] = sums[i] + (bar[layer] or 0)
      cells[#cells + 1] = ("%.0f"):format(bar[layer] or 0)
    end
    markdown(lines, cells)
  end
  local cells = { "together" }
  for i, sum in ipairs(sums) do
    cells[i + 1] = ("%.0f"):format(sum)
  end
  markdown(lines, cells)
  return table.concat(lines, "\n")
end

-- What an instruction takes, by whose it is: the processor time of a task, less
-- that of the kernel, by all instructions of the task.
local function nanoseconds_each(data)
  local each = {}
  for who, key in pairs { caller = "caller_cpu_ns", workers = "worker_cpu_ns" } do
    local row = results.find(data, "thread", "account", key)
    local kernel, all = 0, nil
    for _, line in ipairs(data.account) do
      if line.account == "layer" and line.kind == "thread" and line.who == who
        and line.layer:find("^kernel") then
        kernel = line.share
      elseif line.account == "step" and line.who == who and line.depth == 0 then
        all = line.instructions
      end
    end
    each[who] = row and all and row.by.lpool.median * (1 - kernel) / all
  end
  return each
end

function sections.steps(data)
  local each = nanoseconds_each(data)
  local lines = { "| step | in | instructions | ns |", "| --- | --- | --- | --- |" }
  for _, line in ipairs(data.account) do
    if line.account == "step" then
      markdown(lines, {
        ("&emsp;"):rep(line.depth) .. line.text,
        line.depth > 0 and ("`%s`"):format(line.name) or "",
        thousands(("%d"):format(line.instructions)),
        each[line.who] and ("%.0f"):format(line.instructions * each[line.who]) or "",
      })
    end
  end
  return table.concat(lines, "\n")
end

function sections.trips(data)
  local lines = { "| round trip, p50, us | threads | processes |", "| --- | --- | --- |" }
  local parts = {
    { "two that only wake each other", "wake", "floor" },
    { "a pool in C with condition variables", "round_trip", "floor" },
    { "lpool", "round_trip", "lpool" },
  }
  for _, part in ipairs(parts) do
    local cells = { part[1] }
    for _, kind in ipairs(KINDS) do
      local row = results.find(data, kind, part[2], "p50_us")
      local line = row and row.by[part[3]]
      cells[#cells + 1] = line and ("%.2f"):format(line.median) or ""
    end
    markdown(lines, cells)
  end
  return table.concat(lines, "\n")
end

return sections
