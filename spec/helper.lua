--- What every spec starts with: `local helper = require "spec.helper"`.
-- It gives each test a time limit, fails a test that leaves a thread, a
-- descriptor, a child or a file behind, and offers what many specs need.
--
-- busted gives spec files an _ENV of its own, in which `assert` is not Lua's.
-- A function that is sent to a worker takes along what its globals mean, so
-- spec files that send functions begin with
--
--    local describe, it, assert = describe, it, assert
--    local _ENV = _G -- luacheck: ignore 211
--
-- or keep their tests in plain modules, as support/conformance does. There, a
-- task must not use `assert`: it is a local, and would travel with its kin.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local child = require "spec.support.child"
local gate = require "spec.support.gate"
local inventory = require "spec.support.inventory"
local kinds = require "spec.support.kinds"
local temporary = require "spec.support.temporary"
local watchdog = require "spec.support.watchdog"

local helper = {
  gate = gate,
  kinds = kinds,
  run = child.run,
  shell = child.shell,
  temporary = temporary,
  inventory = inventory,
}

--- Stretches every time limit; for slow machines and sanitizers.
helper.patience = tonumber(os.getenv("LPOOL_PATIENCE")) or 1

--- Scales the loads of the stress specs. The slower the run, the less of it.
helper.stress = tonumber(os.getenv("LPOOL_STRESS")) or 1 / helper.patience

-- How long a test may take, what it started may go on, and the run may end.
local TEST_SECONDS = tonumber(os.getenv("LPOOL_TEST_SECONDS")) or 30
local SETTLE_SECONDS = tonumber(os.getenv("LPOOL_SETTLE_SECONDS")) or 5

-- Life of a test ------------------------------------------------------------

local current, before

local function full_name(element)
  local names = {}
  while element and element.name do
    table.insert(names, 1, element.name)
    element = busted.parent(element)
  end
  return table.concat(names, " / ")
end

--- Waits until condition() holds, without which the test fails.
-- Callbacks are let in meanwhile.
-- @tparam function condition
-- @tparam string what completes "gave up waiting until ..."
function helper.eventually(condition, what)
  local deadline = lpool.now() + SETTLE_SECONDS * helper.patience
  while not condition() do
    if lpool.now() > deadline then
      error("gave up waiting until " .. what, 2)
    end
    lpool.poll()
    lpool.sleep(0.001)
  end
end

-- Threads of an executor that was dropped, not closed, need a moment to go.
local function leaks_that_stay()
  local deadline = lpool.now() + SETTLE_SECONDS * helper.patience
  while true do
    collectgarbage()
    collectgarbage()
    lpool.poll()
    local found = inventory.leaks(before)
    if not found or lpool.now() > deadline then
      return found
    end
    lpool.sleep(0.002)
  end
end

-- The check is part of the test, since busted shows what fails after its end
-- in some of its formats only.
local function check_leaks(element)
  local run = element.run
  element.run = function(...)
    before = inventory.take()
    run(...)
    local found = leaks_that_stay()
    if found then
      error("the test left behind: " .. found, 0)
    end
  end
end

local checked = setmetatable({}, { __mode = "k" })

local function start_test(element)
  current = full_name(element)
  watchdog.arm(TEST_SECONDS * helper.patience, current)
  if not checked[element] then
    checked[element] = true
    check_leaks(element)
  end
  return nil, true
end

local function end_test()
  watchdog.rest()
  temporary.sweep()
  return nil, true
end

local function end_suite()
  watchdog.arm(TEST_SECONDS * helper.patience, "the end of the run, where executors are joined")
  return nil, true
end

--- Gives the running test another time limit, counted from now.
-- @tparam number seconds
function helper.limit(seconds)
  watchdog.arm(seconds * helper.patience, current)
end

-- The runtime keeps a few things for the life of the program. They are there
-- once it has worked, so let it work before anything is counted.
local function warm_up()
  for _, kind in pairs(kinds) do
    local ex <close> = kind.make()
    ex:submit(math.abs, -1):result()
  end
end

-- For specs ------------------------------------------------------------------

--- Calls `body(kind, make)` for every kind of executor, in a describe block.
-- @tparam function body
function helper.each_kind(body)
  local names = {}
  for name in pairs(kinds) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    busted.describe(name .. ":", function()
      body(kinds[name], kinds[name].make)
    end)
  end
end

--- Calls fn, which must raise, and returns what it raised.
function helper.raised(fn, ...)
  local results = table.pack(pcall(fn, ...))
  assert.is_false(results[1], "an error was expected")
  return results[2]
end

--- Calls fn, which must raise one of lpool's errors; returns it.
-- @tparam string kind
-- @tparam function fn
function helper.raises(kind, fn, ...)
  local err = helper.raised(fn, ...)
  assert.is_true(lpool.is(err, kind), ("%s expected, got: %s"):format(kind, tostring(err)))
  return err
end

--- Calls fn, which must raise a string that names a line of fn itself.
-- A tail call would hide that line: fn must not `return` what it calls.
-- @tparam function fn
-- @tparam string text what the message contains, literally
function helper.misuse(fn, text)
  local message = helper.raised(fn)
  assert.are.equal("string", type(message), tostring(message))
  local place = debug.getinfo(fn, "S")
  local source, line = message:match("^(.-):(%d+): ")
  line = tonumber(line)
  local here = source == place.short_src and line >= place.linedefined
    and line <= place.lastlinedefined
  assert.is_true(here, "not at the caller's line: " .. message)
  helper.contains(text, message)
end

--- Asserts that a program has put out this error, nothing else, and ended with 1.
-- @string expected its standard error
-- @tparam table result what helper.run or helper.shell returned
function helper.refused(expected, result)
  assert.are.equal(expected, result.err)
  assert.are.equal("", result.out)
  assert.are.equal(1, result.code)
end

--- Fails unless text contains part, literally.
function helper.contains(part, text)
  assert.is_truthy(tostring(text):find(part, 1, true),
    ("%q does not contain %q"):format(tostring(text), part))
end

--- Fails unless text does not contain part.
function helper.lacks(part, text)
  assert.is_nil(tostring(text):find(part, 1, true),
    ("%q contains %q"):format(tostring(text), part))
end

--- Runs a Lua program with `lpool` loaded and `make` making executors of kind.
-- @tparam table kind
-- @tparam string source
-- @tparam[opt] table options as for run
-- @treturn table as for run
function helper.script(kind, source, options)
  return child.run(([[
local lpool = require "lpool"
local kinds = require "spec.support.kinds"
local make = kinds.%s.make
%s]]):format(kind.name, source), options)
end

--- Runs such a program, which must end well, say nothing on standard error,
-- and put out these lines.
function helper.prints(expected, kind, source, options)
  local result = helper.script(kind, source, options)
  assert.are.equal("", result.err)
  assert.are.equal(expected, result.out)
  assert.are.equal(0, result.code)
end

busted.subscribe({ "test", "start" }, start_test)
busted.subscribe({ "test", "end" }, end_test)
busted.subscribe({ "suite", "end" }, end_suite)
watchdog.start()
warm_up()

-- busted unloads modules after each spec file. These stay, or there would be
-- several lists of files to remove, and several watchdogs.
local function stay(name, module)
  package.preload[name] = function()
    return module
  end
end

stay("spec.helper", helper)
for name, module in pairs(package.loaded) do
  if name:find("^spec%.support%.") or name:find("^lpool") then
    stay(name, module)
  end
end

return helper
