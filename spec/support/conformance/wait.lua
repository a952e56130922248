-- wait and gather.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

return function(kind)
  local make = kind.make

  it("waits for all and gives them in the given order", function()
    local ex <close> = make()
    local futures = {}
    for i = 1, 50 do
      futures[i] = ex:submit(echo, i)
    end
    local done, not_done = lpool.wait(futures)
    assert.are.same(futures, done)
    assert.are.same({}, not_done)
  end)

  it("waits for all when told so", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    assert.are.same({ f }, (lpool.wait({ f }, { return_when = lpool.ALL_COMPLETED })))
  end)

  it("takes a table keyed by futures, and an iterator", function()
    local ex <close> = make()
    local f = ex:submit(echo)
    assert.are.same({ f }, (lpool.wait { [f] = "name" }))
    local given = f
    assert.are.same({ f }, (lpool.wait(function()
      local future = given
      given = nil
      return future
    end)))
  end)

  it("has nothing to wait for in an empty list", function()
    local done, not_done = lpool.wait {}
    assert.are.same({}, done)
    assert.are.same({}, not_done)
    done, not_done = lpool.wait({}, { return_when = lpool.FIRST_COMPLETED })
    assert.are.same({}, done)
    assert.are.same({}, not_done)
  end)

  it("mixes executors and hand-made futures", function()
    local ex <close> = make()
    local other <close> = make()
    local own = lpool.Future()
    own:set_exception("x")
    assert.are.equal(3, #lpool.wait { ex:submit(echo), other:submit(echo), own })
    own:exception()
  end)

  it("counts failed futures as done", function()
    local ex <close> = make()
    local f = ex:submit(error, "no")
    assert.are.same({ f }, (lpool.wait { f }))
    f:exception()
  end)

  it("refuses another return condition", function()
    for _, condition in ipairs { "SOME", 42, true, "wait", "gather" } do
      helper.misuse(function()
        lpool.wait({}, { return_when = condition })
      end, "Invalid return condition")
    end
  end)

  it("refuses an unknown option", function()
    helper.misuse(function()
      lpool.wait({}, { timeuot = 1 })
    end, "timeuot")
  end)

  it("refuses what is no collection of futures", function()
    helper.misuse(function()
      lpool.wait()
    end, "")
    helper.misuse(function()
      lpool.wait { "future" }
    end, "")
  end)

  it("gathers the first results in the given order", function()
    local ex <close> = make()
    local futures = {}
    for i = 1, 20 do
      futures[i] = ex:submit(echo, i, "second")
    end
    local list = lpool.gather(futures):result()
    for i = 1, 20 do
      assert.are.equal(i, list[i])
    end
    assert.are.equal(20, #list)
  end)

  it("gathers a future as often as it is given", function()
    local ex <close> = make()
    local f, g = ex:submit(echo, "f"), ex:submit(echo, "g")
    local list = lpool.gather({ f, g, f }):result()
    assert.are.same({ "f", "g", "f" }, { list[1], list[2], list[3] })
  end)

  it("gathers nothing into an empty list", function()
    assert.are.equal(0, #lpool.gather({}):result(1))
  end)

  it("gathers into a future like others", function()
    local ex <close> = make()
    local all = lpool.gather { ex:submit(echo, 1), ex:submit(echo, 2) }
    assert.are.equal(3, all:and_then(function(list)
      return list[1] + list[2]
    end):result())
    assert.are.equal("finished", all:state())
  end)

  it("fails a gather with the first failure", function()
    local ex <close> = make()
    local all = lpool.gather { ex:submit(echo, 1), ex:submit(error, { "no" }) }
    assert.are.same({ "no" }, helper.raised(all.result, all))
  end)

  it("refuses to gather what is no list of futures", function()
    helper.misuse(function()
      lpool.gather(42)
    end, "")
    helper.misuse(function()
      lpool.gather { 42 }
    end, "")
  end)

  if not kind.concurrent then
    return
  end

  it("polls when there is no time at all", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    local done, not_done = lpool.wait({ held, f }, { timeout = 0 })
    assert.are.same({}, done)
    assert.are.same({ held, f }, not_done)
  end)

  it("gives both lists in the given order, without duplicates", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    local g = ex:submit(echo)
    local waits = ex:submit(helper.gate.hold, gate.path)
    f:result()
    g:result()
    local list = { g, held, f, waits, held, g }
    local done, not_done = lpool.wait(list, { timeout = 0 })
    assert.are.same({ g, f }, done)
    assert.are.same({ held, waits }, not_done)
    assert.are.same({ g, held, f, waits, held, g }, list)
  end)

  it("never raises when the time is up", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    f:result()
    local done, not_done = lpool.wait({ held, f }, { timeout = 0.01 })
    assert.are.same({ f }, done)
    assert.are.same({ held }, not_done)
  end)

  it("returns with the first that completes", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    local done, not_done = lpool.wait({ held, f }, { return_when = lpool.FIRST_COMPLETED })
    assert.are.same({ f }, done)
    assert.are.same({ held }, not_done)
  end)

  it("returns at once with all that have completed", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f, g = ex:submit(echo), ex:submit(echo)
    g:result()
    local held = ex:submit(helper.gate.hold, gate.path)
    local done = lpool.wait({ f, held, g }, { return_when = lpool.FIRST_COMPLETED })
    assert.are.same({ f, g }, done)
  end)

  it("returns with the first that fails", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(error, "no")
    local done, not_done = lpool.wait({ held, f }, { return_when = lpool.FIRST_EXCEPTION })
    assert.are.same({ f }, done)
    assert.are.same({ held }, not_done)
    f:exception()
  end)

  it("returns at once if one has failed before", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(error, "no")
    f:exception()
    local held = ex:submit(helper.gate.hold, gate.path)
    local done = lpool.wait({ held, f }, { return_when = lpool.FIRST_EXCEPTION })
    assert.are.same({ f }, done)
  end)

  it("does not take success or cancelling for a failure", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local f = ex:submit(echo)
    f:result()
    local held, cancelled = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    cancelled:cancel()
    local done, not_done = lpool.wait({ f, held, cancelled },
      { timeout = 0.01, return_when = lpool.FIRST_EXCEPTION })
    assert.are.same({ f, cancelled }, done)
    assert.are.same({ held }, not_done)
  end)

  it("waits for all if none fails", function()
    local ex <close> = make { max_workers = 2 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    f:add_done_callback(function()
      gate:open()
    end)
    local done = lpool.wait({ held, f }, { return_when = lpool.FIRST_EXCEPTION })
    assert.are.same({ held, f }, done)
  end)

  it("counts cancelled futures as done when it waits for all", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    f:cancel()
    gate:open()
    assert.are.same({ held, f }, (lpool.wait { held, f }))
  end)

  it("counts a future cancelled by shutdown as done", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path), ex:submit(echo)
    gate:await(1)
    ex:shutdown { wait = false, cancel_futures = true }
    assert.are.same({ f }, (lpool.wait({ held, f }, { return_when = lpool.FIRST_COMPLETED })))
  end)

  it("cancels the rest of a gather at the first failure", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local held, f = ex:submit(helper.gate.hold, gate.path, "held"), ex:submit(echo)
    local bad = lpool.Future()
    gate:await(1)
    local all = lpool.gather { held, f, bad }
    bad:set_exception("no")
    assert.are.equal("no", helper.raised(all.result, all))
    assert.are.equal("cancelled", f:state())
    gate:open()
    assert.are.equal("held", held:result())
  end)
end
