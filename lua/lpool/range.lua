--- Ranges of integers and zipped lists: inputs for `map`.
local range = {}

local Range = { __name = "lpool.range" }

function Range:__len()
  return self.count
end

function Range:__index(position)
  if math.type(position) == "integer" and position >= 1 and position <= self.count then
    return self.first + (position - 1) * self.step
  end
end

-- `for i in lpool.range(1, 3) do`: the generic for calls the range with the last value.
function Range:__call(_, last)
  if last == nil then
    return self.count > 0 and self.first or nil
  elseif last ~= self.first + (self.count - 1) * self.step then
    return last + self.step
  end
end

function Range:__tostring()
  return ("lpool.range(%d, %d, %d)"):format(self.first, self.last, self.step)
end

local function check_integer(name, value)
  if math.type(value) ~= "integer" then
    error(("range: %s must be an integer, got %s"):format(name, math.type(value) or type(value)), 3)
  end
end

--- The integers from `first` to `last`, as a numeric `for` would count them.
-- @tparam integer first
-- @tparam integer last
-- @tparam[opt=1] integer step not 0
-- @return a range: an input for `map`, with `#`, indexing from 1, and usable in a generic `for`
-- @raise if an argument is no integer, or the step is 0
function range.range(first, last, step)
  if step == nil then
    step = 1
  end
  check_integer("first", first)
  check_integer("last", last)
  check_integer("step", step)
  if step == 0 then
    error("range: step must not be 0", 2)
  end
  local count = 0
  if step > 0 and first <= last or step < 0 and first >= last then
    -- Distances are unsigned: they may pass the largest integer.
    local distance = step > 0 and last - first or first - last
    local stride = step > 0 and step or -step
    if distance < 0 or stride < 0 then
      local quotient = ((distance >> 1) // stride) << 1
      if math.ult(stride - 1, distance - quotient * stride) then
        quotient = quotient + 1
      end
      count = stride < 0 and (math.ult(distance, stride) and 0 or 1) or quotient
    else
      count = distance // stride
    end
    count = count + 1
  end
  if count < 0 then
    error("range: more than 2^63 - 1 integers", 2)
  end
  return setmetatable({ first = first, last = last, step = step, count = count }, Range)
end

--- Whether a value was made by `lpool.range`.
-- @param value anything
-- @treturn boolean
function range.is_range(value)
  return getmetatable(value) == Range
end

-- Turns an input of `map` into a function that returns the next item.
local function iterator_of(input, position)
  if range.is_range(input) or type(input) == "table" then
    local i, count = 0, range.is_range(input) and input.count or input.n or #input
    return function()
      if i < count then
        i = i + 1
        return true, input[i]
      end
      return false
    end
  elseif type(input) == "function" then
    return function()
      local value = input()
      return value ~= nil, value
    end
  end
  error(("zip: input %d must be a list, a range or a function, got %s"):format(position, type(input)), 3)
end

--- An iterator over several inputs at once: the first items together, then the second, and so on,
-- until the shortest input ends. A list may hold nils if it has an `n`, except in the first input.
-- @param ... lists, ranges or iterator functions
-- @treturn function
-- @raise if an input is none of these
function range.zip(...)
  local count = select("#", ...)
  local inputs = {}
  for i = 1, count do
    inputs[i] = iterator_of(select(i, ...), i)
  end
  return function()
    local values = {}
    for i = 1, count do
      local more, value = inputs[i]()
      if not more then
        return nil
      end
      values[i] = value
    end
    return table.unpack(values, 1, count)
  end
end

return range
