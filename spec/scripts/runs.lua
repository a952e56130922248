--- Runs the scripts of the notebooks, and holds them to what they print and to
-- the time that they take.
local helper = require "spec.helper"
local assert = require "luassert"

local runs = {}

--- Seconds per task in these specs: as few as show what is concurrent.
runs.SECONDS = 0.2

-- What a run may take beyond what its waits take, and how often it may try: the
-- machine may be busy with something else, but not each time.
local SLACK <const> = 0.3 * helper.patience
local TRIES <const> = 3

--- Runs a script, which must end well and say nothing on standard error.
-- @tparam string name "folder/script", without the extension
-- @tparam[opt] string arguments
-- @treturn string what it printed
-- @treturn number seconds
function runs.output(name, arguments)
  local result = helper.shell(("$LPOOL scripts/%s.lua %s"):format(name, arguments or ""))
  assert.are.equal("", result.err)
  assert.are.equal(0, result.code)
  return result.out, result.seconds
end

--- Runs a script with SECONDS per task. It must take as long as so many tasks
-- one after the other: not less, or something did not happen; not more, or
-- something waited for something else.
-- @tparam string name
-- @tparam integer waves ceil(tasks / workers)
-- @treturn string what it printed
function runs.timed(name, waves)
  local least = waves * runs.SECONDS
  for try = 1, TRIES do
    local out, seconds = runs.output(name, runs.SECONDS)
    assert.is_true(seconds >= least, ("%s took %.3f s, less than %g"):format(name, seconds, least))
    if seconds <= least + SLACK then
      return out
    elseif try == TRIES then
      error(("%s took %.3f s, not %g"):format(name, seconds, least), 2)
    end
  end
end

--- Returns the lines of a text.
-- @tparam string text
-- @treturn {string,...}
function runs.lines(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line
  end
  return lines
end

--- Divides lines by whether they match a pattern.
-- @tparam string text
-- @tparam string pattern
-- @treturn {string,...} those that do, sorted: their order is free
-- @treturn string the others, as a text
function runs.divide(text, pattern)
  local matching, others = {}, {}
  for _, line in ipairs(runs.lines(text)) do
    if line:find(pattern) then
      table.insert(matching, line)
    else
      table.insert(others, line .. "\n")
    end
  end
  table.sort(matching)
  return matching, table.concat(others)
end

--- Returns a format's results for all items, sorted.
-- @tparam string format
-- @tparam table items
-- @treturn {string,...}
function runs.each(format, items)
  local lines = {}
  for i, item in ipairs(items) do
    lines[i] = format:format(item)
  end
  table.sort(lines)
  return lines
end

--- Fails unless every task begins before it ends, and never more than so many
-- are between the two; so many must begin before the first ends.
-- @tparam string text
-- @tparam string begins a pattern that captures the task
-- @tparam string ends the same for its end
-- @tparam integer workers
function runs.overlap(text, begins, ends, workers)
  local open, count, most, ended = {}, 0, 0, false
  for _, line in ipairs(runs.lines(text)) do
    local begun, done = line:match(begins), line:match(ends)
    if begun then
      open[begun], count = true, count + 1
      most = math.max(most, count)
    elseif done then
      assert.is_true(open[done], "it ends before it begins: " .. line)
      assert.is_true(ended or count == workers, "too few had begun before: " .. line)
      open[done], count, ended = nil, count - 1, true
    end
  end
  assert.are.equal(0, count)
  assert.are.equal(workers, most)
end

--- Declares a test: a script with wrong arguments says how to call it.
-- @tparam string name
-- @tparam string arguments
function runs.refuses(name, arguments)
  require("busted").it(("%s refuses %s"):format(name:match("[^/]+$"), arguments), function()
    local result = helper.shell(("$LPOOL scripts/%s.lua %s"):format(name, arguments))
    assert.are.equal("", result.out)
    assert.matches("^usage: lpool scripts/" .. name .. "%.lua [^\n]+\n$", result.err)
    assert.are.equal(1, result.code)
  end)
end

return runs
