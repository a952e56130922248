-- The documents agree with the program and with each other.

local helper = require "spec.helper"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- The version as the one place says that defines it.
local function version()
  local numbers = {}
  for number in read("runtime/include/lpool.h"):gmatch("#define LPOOL_VERSION_%u+ (%d+)") do
    numbers[#numbers + 1] = number
  end
  return table.concat(numbers, ".")
end

-- "-e stat", "--help", ... as `lpool --help` lists them.
local function options_of_help()
  local found = {}
  for line in helper.shell("$LPOOL --help").out:gmatch("[^\n]+") do
    found[#found + 1] = line:match("^  (%-.-)%s%s")
  end
  return found
end

-- The same from the manual page, whose entries are .B or .BI lines after .TP.
local function options_of_manual()
  local found = {}
  local options = read("docs/lpool.1"):match("%.SH OPTIONS\n(.-)%.SH")
  for entry in options:gmatch("%.TP\n%.BI? ([^\n]+)") do
    found[#found + 1] = entry:gsub('[\\"]', ""):gsub("%s+", " ")
  end
  return found
end

describe("documents:", function()
  it("the manual page lists the options of --help, in its order", function()
    local help = options_of_help()
    assert.is_true(#help > 5)
    assert.are.same(help, options_of_manual())
  end)

  it("the manual page and the program say the version of lpool.h", function()
    assert.matches("^%d+%.%d+%.%d+$", version())
    assert.are.equal(version(), read("docs/lpool.1"):match('%.TH LPOOL 1 "%d+" "lpool ([%d.]+)"'))
    assert.are.equal(version(), read("docs/lpool.3"):match('%.TH LPOOL 3 "%d+" "lpool ([%d.]+)"'))
    assert.are.equal(version(), helper.shell("$LPOOL --version").out:match("^lpool ([%d.]+) "))
  end)
end)
