--- Checks tables of named options.
-- Every constructor in lpool takes one such table, and declares what it
-- accepts with a schema, so that a misspelt name is an error and not a
-- silently ignored wish.
local options = {}

local function describe(schema)
  local names = {}
  for name in pairs(schema) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

--- Whether a value can be called: a function, or an object with `__call`.
-- @param value anything
-- @treturn boolean
function options.is_callable(value)
  if type(value) == "function" then
    return true
  end
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__call ~= nil
end

-- What each type of option accepts: nil if the value will do, else what is wrong with it.
local checks = {}

function checks.count(name, value)
  if math.type(value) ~= "integer" then
    return ("%s must be an integer, got %s"):format(name, math.type(value) or type(value))
  elseif value < 1 then
    return name == "max_workers" and "max_workers must be greater than 0" or name .. " must be >= 1"
  end
end

function checks.integer(name, value)
  if math.type(value) ~= "integer" then
    return ("%s must be an integer, got %s"):format(name, math.type(value) or type(value))
  end
end

function checks.bytes(name, value, rule)
  local wrong = checks.count(name, value)
  if not wrong and value < rule.least then
    local text = "%s must be at least %d bytes, which a worker needs for itself, got %d"
    wrong = text:format(name, rule.least, value)
  end
  return wrong
end

function checks.natural(name, value)
  if math.type(value) ~= "integer" then
    return ("%s must be an integer, got %s"):format(name, math.type(value) or type(value))
  elseif value < 0 then
    return name .. " must be >= 0"
  end
end

-- A time that something may take.
function checks.limit(name, value)
  local wrong = checks.seconds(name, value)
  if wrong then
    return wrong
  elseif value <= 0 then
    return name .. " must be greater than 0"
  end
end

function checks.seconds(name, value)
  if type(value) ~= "number" or value ~= value then
    local found = value ~= value and "nan" or type(value)
    return ("%s must be a number of seconds, got %s"):format(name, found)
  end
end

checks["function"] = function(name, value)
  if not options.is_callable(value) then
    return ("%s must be a function, got %s"):format(name, type(value))
  end
end

function checks.names(name, value)
  if type(value) ~= "table" then
    return ("%s must be a list of module names, got %s"):format(name, type(value))
  end
  for i = 1, #value do
    if type(value[i]) ~= "string" then
      local text = "%s must be a list of module names, but element %d is a %s"
      return text:format(name, i, type(value[i]))
    end
  end
end

function checks.choice(name, value, rule)
  for _, choice in ipairs(rule.choices) do
    if value == choice then
      return nil
    end
  end
  local shown = type(value) == "string" and ("'%s'"):format(value) or type(value)
  return ("%s must be one of '%s', got %s"):format(
    name,
    table.concat(rule.choices, "', '"),
    shown
  )
end

for _, plain in ipairs { "string", "boolean", "table" } do
  checks[plain] = function(name, value)
    if type(value) ~= plain then
      return ("%s must be a %s, got %s"):format(name, plain, type(value))
    end
  end
end

--- Returns a new table holding every option, defaults filled in.
-- @tparam table|nil given what the caller passed
-- @tparam table schema `{ name = { type = "count", default = 4 }, ... }`; types are `count` (an
-- integer >= 1), `bytes` (the same, and no less than `least`), `natural` (>= 0), `integer`,
-- `seconds`, `limit` (seconds > 0), `function`, `names`, `choice` (one of `choices`), `string`,
-- `boolean` and `table`
-- @tparam integer level where to report misuse, as for `error` called by the caller
-- @treturn table
-- @raise if a name is unknown or a value has the wrong type
function options.check(given, schema, level)
  local checked = {}
  for name, rule in pairs(schema) do
    checked[name] = rule.default
  end
  if given == nil then
    return checked
  elseif type(given) ~= "table" then
    error(("table of options expected, got %s"):format(type(given)), level + 1)
  end
  for name, value in next, given do
    local rule = schema[name]
    if not rule then
      error(("unknown option '%s' (known: %s)"):format(tostring(name), describe(schema)), level + 1)
    end
    local wrong = checks[rule.type](name, value, rule)
    if wrong then
      error(wrong, level + 1)
    end
    checked[name] = value
  end
  return checked
end

return options
