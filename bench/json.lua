--- JSON, as much of it as benchmarks write: no null, no \u.
local json = {}

--- A value on one line, the fields of a table in alphabetical order.
-- @param value string, number, boolean, or a table: a list if it has [1]
-- @treturn string
function json.encode(value)
  if type(value) == "string" then
    return '"' .. value:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
  elseif type(value) ~= "table" then
    return math.type(value) == "float" and ("%.6g"):format(value) or tostring(value)
  end
  local parts = {}
  if value[1] ~= nil or not next(value) then
    for i, item in ipairs(value) do
      parts[i] = json.encode(item)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, field in pairs(value) do
    parts[#parts + 1] = ("%s:%s"):format(json.encode(key), json.encode(field))
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

local decode

local function fail(text, at)
  error(("no JSON: '%s'"):format(text:sub(at, at + 20)), 0)
end

local function skip(text, at)
  return text:find("[^%s]", at) or #text + 1
end

local function decode_string(text, at)
  local parts = {}
  at = at + 1
  while true do
    local plain, stop = text:match('^([^"\\]*)(["\\])', at)
    if not plain then fail(text, at) end
    parts[#parts + 1] = plain
    at = at + #plain + 1
    if stop == '"' then return table.concat(parts), at end
    local escaped = text:sub(at, at)
    parts[#parts + 1] = escaped == "n" and "\n" or escaped
    at = at + 1
  end
end

-- The items of a list or object whose bracket is before `at`.
local function decode_items(text, at, close)
  local items = {}
  at = skip(text, at)
  while text:sub(at, at) ~= close do
    local key, value
    value, at = decode(text, at)
    at = skip(text, at)
    if close == "}" then
      if text:sub(at, at) ~= ":" then fail(text, at) end
      key = value
      value, at = decode(text, at + 1)
      at = skip(text, at)
    end
    items[key or #items + 1] = value
    if text:sub(at, at) == "," then
      at = skip(text, at + 1)
    elseif text:sub(at, at) ~= close then
      fail(text, at)
    end
  end
  return items, at + 1
end

function decode(text, at)
  at = skip(text, at)
  local first = text:sub(at, at)
  if first == '"' then
    return decode_string(text, at)
  elseif first == "{" or first == "[" then
    return decode_items(text, at + 1, first == "{" and "}" or "]")
  end
  local word = text:match("^[%w+.-]+", at) or fail(text, at)
  local value = tonumber(word)
  if word == "true" or word == "false" then value = word == "true" end
  if value == nil then fail(text, at) end
  return value, at + #word
end

--- The value that a text says.
-- @tparam string text
-- @raise a string, if it is no JSON
function json.decode(text)
  local value, at = decode(text, 1)
  if skip(text, at) <= #text then fail(text, at) end
  return value
end

return json
