-- Making executors: options and their misuse.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

return function(kind)
  local make = kind.make
  local constructor = lpool[kind.constructor]

  it("needs no options", function()
    local ex <close> = constructor()
    assert.are.equal(1, ex:submit(math.abs, -1):result())
  end)

  it("takes an empty table of options", function()
    local ex <close> = constructor {}
    assert.are.equal(1, ex:submit(math.abs, -1):result())
  end)

  it("refuses an unknown option, naming it and those it knows", function()
    helper.misuse(function()
      constructor { max_wrokers = 3 }
    end, "max_wrokers")
    local message = helper.raised(constructor, { max_wrokers = 3 })
    for _, option in ipairs(kind.options) do
      helper.contains(option, message)
    end
  end)

  it("does not know options that are still to come", function()
    local options = { memory_limit = 1, retries = 1 }
    for option, value in pairs(options) do
      helper.misuse(function()
        constructor { [option] = value }
      end, option)
    end
  end)

  it("refuses options that are no table", function()
    helper.misuse(function()
      constructor "fast"
    end, "string")
  end)

  it("refuses an initializer that cannot be called", function()
    helper.misuse(function()
      constructor { initializer = "print" }
    end, "initializer")
  end)

  it("refuses initargs that are no list", function()
    helper.misuse(function()
      constructor { initializer = print, initargs = "x" }
    end, "initargs")
  end)

  it("refuses a finalizer that cannot be called", function()
    helper.misuse(function()
      constructor { finalizer = 7 }
    end, "finalizer")
  end)

  it("refuses an initializer that cannot cross, naming what cannot", function()
    local thread = coroutine.create(print)
    local err = helper.raises("SerializationError", make, {
      initializer = function()
        return thread
      end,
    })
    helper.contains("a coroutine", err.message)
    helper.contains("thread", err.message)
  end)

  it("has a name for tostring", function()
    local ex <close> = make()
    helper.contains(kind.constructor, tostring(ex))
  end)

  it("refuses a method call on something else", function()
    local ex <close> = make()
    assert.is_string(helper.raised(ex.submit, {}, math.abs, -1))
    assert.is_string(helper.raised(ex.submit, io.stdout, math.abs, -1))
    assert.is_string(helper.raised(ex.shutdown))
  end)

  if not kind.knows.max_workers then
    return
  end

  it("takes the number of workers in place of options", function()
    local ex <close> = constructor(3)
    assert.are.equal(3, #ex:broadcast(math.abs, -1))
  end)

  it("refuses fewer than one worker", function()
    for _, n in ipairs { 0, -1, math.mininteger } do
      helper.misuse(function()
        constructor { max_workers = n }
      end, "max_workers must be greater than 0")
      helper.misuse(function()
        constructor(n)
      end, "max_workers must be greater than 0")
    end
  end)

  it("refuses a number of workers that is no integer", function()
    for _, n in ipairs { 1.5, "3", true, 0 / 0, 1 / 0 } do
      helper.misuse(function()
        constructor { max_workers = n }
      end, "max_workers")
      helper.contains("integer", helper.raised(constructor, { max_workers = n }))
    end
  end)

  it("refuses max_tasks_per_child below one or no integer", function()
    for _, n in ipairs { 0, -1, 1.5, "3" } do
      helper.misuse(function()
        make { max_tasks_per_child = n }
      end, "max_tasks_per_child")
    end
  end)

  it("refuses a preload that is no list of names", function()
    helper.misuse(function()
      make { preload = "string" }
    end, "preload")
    helper.misuse(function()
      make { preload = { 42 } }
    end, "preload")
  end)

  it("refuses a thread_name_prefix that is no string", function()
    if kind.knows.thread_name_prefix then
      helper.misuse(function()
        make { thread_name_prefix = 42 }
      end, "thread_name_prefix")
    end
  end)
end
