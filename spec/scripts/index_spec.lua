-- scripts/README.md is a whole index, and scripts open as they shall.

local helper = require "spec.helper"
local runs = require "spec.scripts.runs"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local index = read("scripts/README.md")
local scripts = runs.lines(helper.shell("cd scripts && ls */*.lua").out)

describe("scripts:", function()
  it("are in the index", function()
    assert.is_true(#scripts > 0)
    for _, path in ipairs(scripts) do
      local name = path:match("[^/]+$")
      helper.contains(("[%s](%s)"):format(name, path), index)
    end
  end)

  it("are where the index says", function()
    for path in index:gmatch("%]%(([^)]+)%)") do
      read("scripts/" .. path)
    end
  end)

  it("say how to call them", function()
    for _, path in ipairs(scripts) do
      local comment = read("scripts/" .. path):match("^(%-%-.-\n)[^-]")
      helper.contains("\n--     lpool " .. path:match("[^/]+$"), comment)
    end
  end)
end)
