-- ex:with { retries = n }: tasks that are run again after an error.
local busted = require "busted"
local assert = require "luassert"
local helper = require "spec.helper"

local it = busted.it

-- Counts its runs in a gate, and fails in the first so many.
local function fail_first(path, failures)
  local gates = require "spec.support.gate"
  gates.arrive(path)
  local count = gates.count(path)
  if count <= failures then
    error("failure " .. count, 0)
  end
  return count
end

return function(kind)
  local make = kind.make

  it("refuses a number of retries that is none", function()
    for _, wrong in ipairs { -1, 1.5, "1", true } do
      helper.misuse(function()
        local ex <close> = make()
        ex:with { retries = wrong }
      end, "retries")
    end
  end)

  it("runs a task again until it succeeds", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = ex:with({ retries = 3 }):submit(fail_first, gate.path, 2)
    assert.are.equal(3, f:result(30))
    assert.are.equal(3, gate:count())
  end)

  it("gives up after so many retries, with the last error", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local f = ex:with({ retries = 2 }):submit(fail_first, gate.path, 100)
    assert.are.equal("failure 3", helper.raised(f.result, f, 30))
    assert.are.equal(3, gate:count())
  end)

  it("does not run again what succeeded", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    assert.are.equal(1, ex:with({ retries = 5 }):submit(fail_first, gate.path, 0):result(30))
    assert.are.equal(1, gate:count())
  end)

  it("runs items of a map again", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local path = gate.path
    local results = ex:with({ retries = 1 }):map(function(i)
      if i == 2 then
        return fail_first(path, 1)
      end
      return -i
    end, { 1, 2, 3 })
    assert.are.same({ -1, 2, -3, n = 3 }, results:totable())
  end)

  if kind.same_process then
    return
  end

  it("runs a task again whose worker died", function()
    local ex <close> = make()
    local gate <close> = helper.gate.new()
    local path = gate.path
    local f = ex:with({ retries = 2 }):submit(function()
      local gates = require "spec.support.gate"
      gates.arrive(path)
      if gates.count(path) <= 2 then
        io.popen("kill -KILL $PPID"):close()
        require("lpool").sleep(1000)
      end
      return "survived"
    end)
    assert.are.equal("survived", f:result(30))
    assert.are.equal(3, gate:count())
  end)
end
