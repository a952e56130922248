--- The points of the worker's loop at which a debug build can be told to die.
local child = require "spec.support.child"

local death_points = {}

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

--- The names of all points, as the sources have them.
-- @treturn table
function death_points.names()
  local names, seen = {}, {}
  local list <close> = assert(io.popen("ls runtime/core/*.c runtime/workers/*.c"))
  for path in list:lines() do
    for name in read(path):gmatch('lp_worker_point%([^"]-"([^"]+)"%)') do
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  return names
end

local function can_die(program)
  return read(program):find("LPOOL_TEST_DIE", 1, true) ~= nil
end

--- The path of a program with these points in it: the one under test, or one
-- that is built for the purpose.
-- @treturn string
function death_points.program()
  if can_die(child.program) then
    return child.program
  end
  local make = "make --no-print-directory BUILD=build/debug CPPFLAGS=-DLP_DEBUG SANITIZE= "
    .. "build/debug/lpool >build/debug.log 2>&1"
  -- What the make above this one says of its jobs is not for that one.
  assert(os.execute("mkdir -p build && env -u MAKEFLAGS -u MFLAGS " .. make),
    "the debug build fails; see build/debug.log")
  assert(can_die("build/debug/lpool"))
  return require("lfs").currentdir() .. "/build/debug/lpool"
end

return death_points
