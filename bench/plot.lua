--- Plots as SVG: bars, stacked bars, lines. Legible on light and dark pages:
-- a plot brings its own background, and follows the reader's colour scheme.
local plot = {}

local WIDTH = 760
-- Classes, not variables: not all that shows SVG knows those.
local COLOURS = {
  light = {
    paper = "#ffffff", ink = "#1f2328", faint = "#d0d7de", soft = "#656d76",
    [0] = "#8c959f", "#0969da", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#cf222e",
    "#1b7c83", "#bf3989", "#57606a",
  },
  dark = {
    paper = "#0d1117", ink = "#e6edf3", faint = "#30363d", soft = "#8d96a0",
    [0] = "#6e7681", "#4493f8", "#db6d28", "#3fb950", "#ab7df8", "#d29922", "#f85149",
    "#39c5cf", "#f778ba", "#afb8c1",
  },
}

local function rules(colours)
  local list = {
    (".paper{fill:%s} text{fill:%s} .soft{fill:%s} .grid{stroke:%s} .whisker{stroke:%s}"):format(
      colours.paper, colours.ink, colours.soft, colours.faint, colours.ink),
  }
  for i = 0, #colours do
    list[#list + 1] = (".f%d{fill:%s} .s%d{stroke:%s}"):format(i, colours[i], i, colours[i])
  end
  return table.concat(list, "\n")
end

local STYLE = ([[
<style>
text{font:12px system-ui,sans-serif} .title{font-size:15px;font-weight:600}
.whisker{stroke-width:1.2} polyline{fill:none;stroke-width:2}
%s
@media (prefers-color-scheme: dark) {
%s
}
</style>]]):format(rules(COLOURS.light), rules(COLOURS.dark))

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function text(parts, x, y, anchor, class, content)
  parts[#parts + 1] = ('<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>'):format(x, y,
    anchor, class, escape(content))
end

local function line(parts, class, x1, y1, x2, y2)
  parts[#parts + 1] = ('<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>'):format(class,
    x1, y1, x2, y2)
end

local function rectangle(parts, x, y, width, height, colour)
  parts[#parts + 1] = ('<rect class="f%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>'):format(
    colour, x, y, width, height)
end

local function document(title, height, parts)
  return ([[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" role="img" aria-label="%s">
%s
<rect width="100%%" height="100%%" class="paper"/>
<text x="16" y="26" class="title">%s</text>
%s
</svg>
]]):format(WIDTH, height, WIDTH, escape(title), STYLE, escape(title), table.concat(parts, "\n"))
end

--- A number as people write it: three digits, with k and M.
function plot.short(value)
  local suffix = ""
  if value >= 1e6 then
    value, suffix = value / 1e6, "M"
  elseif value >= 1e4 then
    value, suffix = value / 1e3, "k"
  end
  local digits = value >= 100 and 0 or value >= 10 and 1 or 2
  local written = ("%%.%df"):format(digits):format(value)
  if digits > 0 then
    written = written:gsub("0+$", ""):gsub("%.$", "")
  end
  return written .. suffix
end

-- Powers of ten around all values.
local function decades(least, most)
  local low = math.floor(math.log(least, 10) + 1e-9)
  local high = math.max(low + 1, math.ceil(math.log(most, 10) - 1e-9))
  return low, high
end

--- Horizontal bars on a log scale, each with its least and most.
-- @tparam table chart title, unit, and bars: { label, median, min, max, ours }
function plot.bars(chart)
  local parts, left, right, top, step = {}, 190, WIDTH - 90, 62, 26
  local least, most = math.huge, 0
  for _, bar in ipairs(chart.bars) do
    least, most = math.min(least, bar.min), math.max(most, bar.max)
  end
  local low, high = decades(least * 0.7, most)
  local function x_of(value)
    return left + (math.log(value, 10) - low) / (high - low) * (right - left)
  end
  local bottom = top + step * #chart.bars
  for power = low, high do
    local x = x_of(10 ^ power)
    line(parts, "grid", x, top - 6, x, bottom)
    text(parts, x, bottom + 16, "middle", "soft", plot.short(10 ^ power))
  end
  text(parts, (left + right) / 2, bottom + 34, "middle", "soft", chart.unit .. ", log scale")
  text(parts, 16, 46, "start", "soft", chart.note or "medians; whiskers: least and most")
  for i, bar in ipairs(chart.bars) do
    local y = top + (i - 1) * step
    text(parts, left - 10, y + 13, "end", "", bar.label)
    rectangle(parts, left, y + 1, math.max(1, x_of(bar.median) - left), step - 9,
      bar.ours and 1 or 0)
    line(parts, "whisker", x_of(bar.min), y + 9.5, x_of(bar.max), y + 9.5)
    text(parts, x_of(bar.max) + 8, y + 13, "start", bar.ours and "" or "soft",
      plot.short(bar.median))
  end
  return document(chart.title, bottom + 46, parts)
end

-- A round number not less than value.
local function ceiling(value)
  local power = 10 ^ math.floor(math.log(value, 10))
  for _, factor in ipairs { 1, 1.5, 2, 3, 4, 5, 8, 10 } do
    if factor * power >= value then
      return factor * power
    end
  end
  return 10 * power
end

local function legend(parts, names, y)
  local x = 16
  for i, name in ipairs(names) do
    rectangle(parts, x, y - 9, 11, 11, i % 10)
    text(parts, x + 16, y + 1, "start", "", name)
    x = x + 34 + 6.6 * #name
    if x > WIDTH - 150 and i < #names then
      x, y = 16, y + 19
    end
  end
  return y
end

--- Stacked horizontal bars on a linear scale.
-- @tparam table chart title, unit, parts (names), and bars: { label, [name] = value }
function plot.stacks(chart)
  local parts, left, right, step = {}, 150, WIDTH - 70, 34
  local top = legend(parts, chart.parts, 50) + 22
  local most = 0
  for _, bar in ipairs(chart.bars) do
    bar.sum = 0
    for _, name in ipairs(chart.parts) do
      bar.sum = bar.sum + (bar[name] or 0)
    end
    most = math.max(most, bar.sum)
  end
  local limit = ceiling(most)
  local bottom = top + step * #chart.bars
  for i = 0, 4 do
    local x = left + i / 4 * (right - left)
    line(parts, "grid", x, top - 6, x, bottom)
    text(parts, x, bottom + 16, "middle", "soft", plot.short(i / 4 * limit))
  end
  text(parts, (left + right) / 2, bottom + 34, "middle", "soft", chart.unit)
  for i, bar in ipairs(chart.bars) do
    local x, y = left, top + (i - 1) * step
    text(parts, left - 10, y + 17, "end", "", bar.label)
    for number, name in ipairs(chart.parts) do
      local width = (bar[name] or 0) / limit * (right - left)
      rectangle(parts, x, y + 2, width, step - 12, number % 10)
      x = x + width
    end
    text(parts, x + 8, y + 17, "start", "", plot.short(bar.sum))
  end
  return document(chart.title, bottom + 46, parts)
end

local function curve(parts, points, colour, x_of, y_of)
  local path = {}
  for i, point in ipairs(points) do
    local x, y = x_of(point.x), y_of(point.median)
    path[i] = ("%.1f,%.1f"):format(x, y)
    parts[#parts + 1] = ('<line class="s%d" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>'):format(
      colour, x, y_of(point.min), x, y_of(point.max))
    parts[#parts + 1] = ('<circle class="f%d" cx="%.1f" cy="%.1f" r="3.5"/>'):format(colour, x, y)
  end
  parts[#parts + 1] = ('<polyline class="s%d" points="%s"/>'):format(colour,
    table.concat(path, " "))
end

local function panel(parts, content, left, width, top, bottom)
  local least, most, highest = math.huge, 0, 0
  for _, points in ipairs(content.curves) do
    for _, point in ipairs(points) do
      least, most = math.min(least, point.x), math.max(most, point.x)
      highest = math.max(highest, point.median)
    end
  end
  local limit = ceiling(1.3 * highest) -- a whisker may be cut off
  local low, high = decades(least, most)
  local function x_of(x)
    return left + (math.log(x, 10) - low) / (high - low) * width
  end
  local function y_of(y)
    return bottom - math.min(y, limit) / limit * (bottom - top)
  end
  for i = 0, 4 do
    local y = y_of(i / 4 * limit)
    line(parts, "grid", left, y, left + width, y)
    text(parts, left - 7, y + 4, "end", "soft", plot.short(i / 4 * limit))
  end
  for power = low, high do
    text(parts, x_of(10 ^ power), bottom + 17, "middle", "soft",
      power < 4 and ("%d"):format(10 ^ power) or ("1e%d"):format(power))
  end
  text(parts, left + width / 2, bottom + 35, "middle", "soft", content.x_title)
  for i, points in ipairs(content.curves) do
    curve(parts, points, i, x_of, y_of)
  end
end

--- Curves over a log scale, in panels side by side.
-- @tparam table chart title, unit, names (of curves), and panels: { x_title, curves }, where a
-- curve is a list of { x, median, min, max }
function plot.curves(chart)
  local parts, count = {}, #chart.panels
  local each = (WIDTH - 16) / count
  local top, bottom = 82, 262
  legend(parts, chart.names, 50)
  text(parts, WIDTH - 16, 50, "end", "soft", chart.unit)
  for i, content in ipairs(chart.panels) do
    panel(parts, content, (i - 1) * each + 58, each - 74, top, bottom)
  end
  return document(chart.title, bottom + 48, parts)
end

return plot
