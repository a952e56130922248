--- Files that live as long as one test.
-- helper.lua sweeps them away after each test.
local temporary = {}

local made = {}

--- Returns the path of a new empty file.
-- @tparam[opt] string content what the file holds
-- @treturn string
function temporary.file(content)
  local path = os.tmpname()
  made[#made + 1] = path
  if content then
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(content))
  end
  return path
end

--- Names a path that is to be removed too, should it exist by then.
-- @tparam string path
function temporary.claim(path)
  made[#made + 1] = path
end

--- Returns all that a file holds.
-- @tparam string path
-- @treturn string
function temporary.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

--- Removes every file made since the last sweep.
function temporary.sweep()
  for index, path in ipairs(made) do
    os.remove(path)
    made[index] = nil
  end
end

return temporary
