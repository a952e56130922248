-- Where a task was submitted, as its executor's dump says it.
local busted = require "busted"
local assert = require "luassert"
local helper = require "spec.helper"

local it = busted.it

local function work(n)
  return n
end

return function(kind)
  local make = kind.make
  if not kind.concurrent then return end

  -- A test with an executor whose only worker is busy meanwhile.
  local function it_busy(what, test)
    it(what, function()
      local ex <close> = make { max_workers = 1 }
      local gate <close> = helper.gate.new()
      ex:submit(helper.gate.hold, gate.path)
      gate:await(1)
      test(ex)
      gate:open()
    end)
  end

  -- The origin that the dump names for a future, the only one that is pending.
  local function origin_of(ex, f)
    local origin = ex:dump():match "\n  pending: task #%d+, submitted at ([^\n]*)"
    f:cancel()
    return origin
  end

  local function here(lines)
    local info = debug.getinfo(2, "Sl")
    return ("%s:%d"):format(info.short_src, info.currentline + lines)
  end

  -- Two functions of more submits than anybody remembers.
  local function one(ex, check)
    check(here(0), ex:submit(work, 1))
    check(here(0), ex:submit(work, 2)); check(here(0), ex:submit(work, 3))
    check(here(0), ex:submit(work, 4))
    check(here(0), ex:submit(work, 5))
    for _ = 1, 3 do
      check(here(0), ex:submit(work, 6))
      check(here(0), ex:submit(work, 7))
    end
    check(here(1),
      ex:submit(work, 8))
    check(here(0), ex:submit(work, 9))
    check(here(0), ex:submit(work, 10))
    check(here(0), ex:submit(work, 11))
    check(here(0), ex:submit(work, 12))
  end

  local function other(ex, check)
    check(here(0), ex:submit(work, 1))
    one(ex, check)
    check(here(0), ex:submit(work, 2))
  end

  it_busy("says the line of each submit, however many there are", function(ex)
    local checked = 0
    local function check(origin, f)
      assert.are.equal(origin, origin_of(ex, f))
      checked = checked + 1
    end
    for _ = 1, 3 do
      one(ex, check)
      other(ex, check)
    end
    assert.are.equal(3 * (16 + 18), checked)
  end)

  it_busy("says it of functions whose memory was that of others", function(ex)
    for i = 1, 60 do
      local source = ("\n"):rep(i) .. "local ex, work = ... return (ex:submit(work, 1))"
      local name = "chunk" .. i % 7
      local f = load(source, "=" .. name)(ex, work)
      assert.are.equal(("%s:%d"):format(name, i + 1), origin_of(ex, f))
      collectgarbage()
    end
  end)

  it_busy("says it of submits in coroutines", function(ex)
    for _ = 1, 3 do
      local f = coroutine.wrap(function()
        coroutine.yield(here(0), ex:submit(work, 1))
        coroutine.yield(here(0), ex:submit(work, 1))
      end)
      local first, one_future = f()
      assert.are.equal(first, origin_of(ex, one_future))
      local second, other_future = f()
      assert.are.equal(second, origin_of(ex, other_future))
    end
  end)

  it_busy("says none for a submit by a function in C, nor that of its caller", function(ex)
    local function by_itself()
      return here(0), ex:submit(work, 1)
    end
    for _ = 1, 3 do
      local origin, f = by_itself()
      assert.are.equal(origin, origin_of(ex, f))
      local _, g = pcall(ex.submit, ex, work, 1)
      assert.is_nil(origin_of(ex, g))
      local wrapped = coroutine.wrap(ex.submit)
      assert.is_nil(origin_of(ex, wrapped(ex, work, 1)))
    end
  end)
end
