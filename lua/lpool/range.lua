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

-- Unsigned a // b: the distance between two integers may pass the largest one.
local function divide(a, b)
  if b < 0 then
    return math.ult(a, b) and 0 or 1
  elseif a >= 0 then
    return a // b
  end
  local quotient = ((a >> 1) // b) << 1
  if not math.ult(a - quotient * b, b) then
    quotient = quotient + 1
  end
  return quotient
end

-- How many steps lead from first to last; negative if they are more than integers can count.
local function steps_of(first, last, step)
  if step > 0 then
    return divide(last - first, step)
  end
  return divide(first - last, -step)
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
    local steps = steps_of(first, last, step)
    if steps < 0 or steps == math.maxinteger then
      error("range: more than 2^63 - 1 integers", 2)
    end
    count = steps + 1
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
  local text = "zip: input %d must be a list, a range or a function, got %s"
  error(text:format(position, type(input)), 3)
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
