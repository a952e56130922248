-- What the scripts of the notebooks share: the argument that says how long a
-- task takes, and lists printed the way Python prints them.
--
-- A script finds this module relative to itself:
--
--     package.path = arg[0]:gsub("[^/]*$", "../?.lua;") .. package.path
--     local notebook = require "notebook"

local notebook = {}

--- Ends the script with one line that says how to call it.
-- @tparam string arguments
function notebook.usage(arguments)
  io.stderr:write(("usage: lpool %s %s\n"):format(arg[0], arguments))
  os.exit(1)
end

--- Reads a number of seconds.
-- @tparam string text
-- @treturn number|nil nil if text is anything else
function notebook.to_seconds(text)
  local seconds = tonumber(text)
  return seconds and seconds >= 0 and seconds < math.huge and seconds or nil
end

--- Returns the seconds per task: the script's only argument, or the default.
-- @tparam number default what the notebook says
-- @treturn number
function notebook.seconds(default)
  local seconds = notebook.to_seconds(arg[1] or default)
  if not seconds or #arg > 1 then
    notebook.usage(("[seconds per task, %g by default]"):format(default))
  end
  return seconds
end

local constants = { ["nil"] = "None", ["true"] = "True", ["false"] = "False" }
local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\" }

-- One value as Python's repr() has it.
local function repr(value)
  if type(value) == "string" then
    local quote = value:find("'", 1, true) and not value:find('"', 1, true) and '"' or "'"
    local text = value:gsub("[\n\r\t\\]", escapes):gsub(quote, quote == "'" and "\\'" or quote)
    return quote .. text .. quote
  end
  return constants[tostring(value)] or tostring(value)
end

--- A list as Python prints it: `[1, None, 'three']`.
-- @tparam table values with their number in `n`, as `results:totable()` has it;
-- else they end at the first nil
-- @treturn string
function notebook.list(values)
  local items = {}
  for i = 1, values.n or #values do
    items[i] = repr(values[i])
  end
  return "[" .. table.concat(items, ", ") .. "]"
end

return notebook
