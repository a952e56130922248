-- Examples in the documents run, and print what they say. And every public
-- name is documented.

local helper = require "spec.helper"
local core = require "lpool.core"
local lpool = require "lpool"

-- Where documents only show what matters, this stands in front.
local PRELUDE = 'local lpool = require "lpool" local ex <close> = lpool.ThreadPoolExecutor(2) '

local documents = {
  ["README.md"] = "",
  ["docs/tutorial.md"] = "",
  ["docs/values.md"] = PRELUDE,
  ["docs/from-python.md"] = PRELUDE,
  ["docs/reference.md"] = PRELUDE,
}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- The ```lua blocks of a document: { source, line }.
local function blocks(path)
  local found = {}
  local current
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    if current and line:find("^```") then
      found[#found + 1] = { source = table.concat(current, "\n"), line = current.line }
      current = nil
    elseif current then
      current[#current + 1] = line
    elseif line == "```lua" then
      current = { line = number + 1 }
    end
  end
  return found
end

-- What the comments `--> text` of an example say it prints; nil if none does.
local function promised(source)
  local lines = {}
  for text in source:gmatch("%-%->[ ]?([^\n]*)") do
    lines[#lines + 1] = text
  end
  return #lines > 0 and table.concat(lines, "\n") .. "\n" or nil
end

-- Examples of crashes shall crash, and not be caught by a sanitizer.
local faults = 'ASAN_OPTIONS="$ASAN_OPTIONS handle_segv=0" '
  .. 'TSAN_OPTIONS="$TSAN_OPTIONS handle_segv=0"'

for path, prelude in pairs(documents) do
  describe("examples of " .. path, function()
    for _, block in ipairs(blocks(path)) do
      it("line " .. block.line, function()
        local result = helper.run(prelude .. block.source, { env = faults })
        assert.are.equal("", result.err)
        assert.are.equal(0, result.code)
        local expected = promised(block.source)
        if expected then
          assert.are.equal(expected, result.out)
        end
      end)
    end
  end)
end

describe("the reference", function()
  local reference = read("docs/reference.md")

  local function headings_of(names, prefix)
    for name in pairs(names) do
      if not name:find("^_") then
        assert(reference:find("\n### [^\n]*" .. (prefix .. name):gsub("%p", "%%%0") .. "%f[^%w_]"),
          prefix .. name .. " has no heading")
      end
    end
  end

  it("has every function of the module", function()
    headings_of(lpool, "lpool.")
  end)

  it("has every method of executors", function()
    headings_of(core.executor_methods, "ex:")
  end)

  it("has every method of futures", function()
    headings_of(core.future_methods, "f:")
  end)

  -- The names that `... (known: a, b)` lists when fn is called with a wrong one.
  local function options_known(fn, ...)
    return helper.raised(fn, ...):match("known: ([^)]*)"):gmatch("[%w_]+")
  end

  it("has every option", function()
    local wrong = { no_such_option = 1 }
    local ex <close> = lpool.SerialExecutor()
    for _, call in ipairs {
      { lpool.ThreadPoolExecutor, wrong }, { lpool.ProcessPoolExecutor, wrong },
      { lpool.SerialExecutor, wrong }, { ex.with, ex, wrong },
      { ex.shutdown, ex, wrong }, { ex.map, ex, print, {}, wrong }, { lpool.wait, {}, wrong },
    } do
      for name in options_known(table.unpack(call)) do
        assert(reference:find("\n| `" .. name .. "`", 1, true), "no row for option " .. name)
      end
    end
  end)

  it("has every kind of error", function()
    for kind in read("lua/lpool/errors.lua"):gmatch("\n  (%u%w+) = ") do
      assert(reference:find("\n| `" .. kind .. "`", 1, true), "no row for " .. kind)
    end
  end)
end)
