--- A bar that shows how far a loop is.
local core = require "lpool.core"
local options = require "lpool.options"

local progress = {}

-- Redraw no more often than this, in seconds.
local INTERVAL <const> = 0.1
local WIDTH <const> = 30

local known_options = {
  total = { type = "natural" },
  label = { type = "string" },
}

-- Seconds for people.
local function duration(seconds)
  if seconds < 60 then
    return ("%.0f s"):format(seconds)
  end
  local minutes = math.floor(seconds / 60)
  if minutes < 60 then
    return ("%d:%02d min"):format(minutes, math.floor(seconds % 60))
  end
  return ("%d:%02d h"):format(minutes // 60, minutes % 60)
end

-- What the line says after `done` of `total` (nil: unknown) in `seconds`.
local function describe(label, done, total, seconds)
  local parts = {}
  if label then
    parts[1] = label
  end
  if total and total > 0 then
    local filled = math.min(WIDTH, math.floor(done / total * WIDTH))
    parts[#parts + 1] = "[" .. ("#"):rep(filled) .. ("."):rep(WIDTH - filled) .. "]"
  end
  parts[#parts + 1] = total and ("%d/%d"):format(done, total) or tostring(done)
  if seconds > 0 and done > 0 then
    parts[#parts + 1] = ("%.1f/s"):format(done / seconds)
    parts[#parts + 1] = duration(seconds)
    if total and done < total then
      parts[#parts + 1] = ("%s left"):format(duration((total - done) * seconds / done))
    end
  end
  return table.concat(parts, "  ")
end

-- Draws over the line that was there.
local function draw(bar, ends)
  local text = describe(bar.label, bar.done, bar.total, core.now() - bar.start)
  local rest = (" "):rep(bar.width - #text)
  io.stderr:write("\r", text, rest, ends and "\n" or "")
  bar.width = #text
end

-- The last state of the bar stays on the screen, however the loop ended.
local function finish(bar)
  if bar.next_draw then
    bar.next_draw = nil
    draw(bar, true)
  end
end

local function advance(bar, first, ...)
  if first == nil then
    finish(bar)
    return nil
  end
  bar.done = bar.done + 1
  if bar.next_draw and core.now() >= bar.next_draw then
    draw(bar)
    bar.next_draw = core.now() + INTERVAL
  end
  return first, ...
end

--- Shows how far a loop is: a bar on standard error, if that is a terminal; else nothing.
-- Results of a map and values of any iterator pass through unchanged.
-- @param iterator what a generic `for` takes: a function, or results of a map
-- @tparam[opt] table given `total`: how many there will be; `label`: a text before the bar
-- @param[opt] control as the iterator's maker returned it
-- @param[opt] closing the same: closed when the loop ends
-- @return values for a generic `for`
-- @usage for i, size in lpool.progress(ex:map(get, urls), { total = #urls }) do print(i, size) end
function progress.progress(iterator, given, control, closing)
  -- What a userdata can do is its own secret.
  if type(iterator) ~= "userdata" and not options.is_callable(iterator) then
    local text = "bad argument #1 to 'progress' (iterator expected, got %s)"
    error(text:format(type(iterator)), 2)
  end
  local wish = options.check(given, known_options, 2)
  local bar = {
    label = wish.label,
    total = wish.total,
    done = 0,
    width = 0,
    start = core.now(),
    next_draw = core.is_terminal() and 0 or nil,
  }
  if closing == nil and type(iterator) == "userdata" then
    closing = iterator -- results of a map
  end
  local guard <const> = setmetatable({}, {
    __close = function(_, err)
      local _ <close> = closing
      finish(bar)
      if err ~= nil then
        error(err, 0) -- for closing to see; the loop raises it anyway
      end
    end,
  })
  return function(state, last)
    return advance(bar, iterator(state, last))
  end, nil, control, guard
end

return progress
