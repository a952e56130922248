-- Workers that die at each named point of their loop, one by one.
local helper = require "spec.helper"
local death_points = require "spec.support.death_points"
local processes = require "spec.support.processes"

local program -- found by the first test that needs it

-- Runs the program in a session of its own; a worker that is left shows there.
local function walk(point, submits, items)
  program = program or death_points.program()
  local result = helper.shell(([[
    export LPOOL_TEST_DIE='%s' LPOOL_PROGRAM='%s'
    exec setsid "$LPOOL_PROGRAM" spec/support/death_program.lua %d %d
  ]]):format(point, program, submits, items), { limit = 30 })
  assert.are.equal("", result.err)
  assert.matches("^ok %d+ %d+\n$", result.out)
  assert.are.equal(0, result.code)
  local session = tonumber(result.out:match("%d+ (%d+)"))
  if session then
    helper.eventually(function()
      return #processes.of_session(session) == 0
    end, "no process was left")
  end
  return tonumber(result.out:match("^ok (%d+)"))
end

describe("a worker that dies at the point", function()
  -- The first test builds the program, if need be.
  it("of no name loses nothing", function()
    helper.limit(300)
    assert.are.equal(0, walk("no such point", 200, 2000))
  end)

  for _, point in ipairs(death_points.names()) do
    it(("%q loses at most what it ran"):format(point), function()
      helper.limit(40)
      walk(point, 2000, 20000)
    end)
  end

  it("names are all there", function()
    assert.is_true(#death_points.names() >= 20)
  end)
end)
