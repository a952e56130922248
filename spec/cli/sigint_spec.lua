-- The programs send themselves the signal: io.popen, unlike os.execute, leaves
-- it to their handler. Loops allocate, because the thread sanitizer holds
-- signals back until its own code runs.
local helper = require "spec.helper"

local interrupt = [[
local function interrupt(command)
  io.popen((command or "") .. " kill -INT $PPID"):close()
end
]]

local function run(source)
  return helper.run(interrupt .. source, { limit = 10 })
end

local function assert_interrupted(result)
  assert.are.equal("", result.err)
  assert.are.equal(130, result.code)
end

describe("Ctrl-C", function()
  it("ends a busy script silently, with code 130", function()
    assert_interrupted(run("interrupt() while true do local t = {} end"))
  end)

  it("ends a script that is busy in nested functions", function()
    assert_interrupted(run([[
      local function f() while true do local t = {} end end
      local function g() interrupt() f() end
      g()
    ]]))
  end)

  it("ends a script that waits for input", function()
    local script = helper.temporary.file([[
      kill = io.popen("sleep 0.1; kill -INT $PPID")
      for line in io.lines() do print(line) end
    ]])
    -- A pipe that its reader has open for writing never ends.
    assert_interrupted(helper.shell(([[
      pipe=$(mktemp -u) && mkfifo $pipe
      $LPOOL %s <>$pipe
      code=$?
      rm $pipe
      exit $code
    ]]):format(script)))
  end)

  it("writes out what was printed before", function()
    local result = run("print('so far') interrupt() while true do local t = {} end")
    assert.are.equal("so far\n", result.out)
    assert_interrupted(result)
  end)

  for name, waits in pairs {
    ["a result"] = "f:result()",
    ["many futures"] = "for _ in lpool.as_completed { f } do end",
    ["all futures"] = "lpool.wait { f }",
    ["a map"] = "for _ in ex:map(lpool.sleep, { 1000 }) do end",
  } do
    it("in a callback ends the wait for " .. name, function()
      assert_interrupted(run((([[
        local lpool = require "lpool"
        local ex = lpool.ThreadPoolExecutor(2)
        local f = ex:submit(lpool.sleep, 1000)
        ex:submit(math.abs, 1):add_done_callback(function()
          interrupt()
          while true do local t = {} end
        end)
        WAITS
      ]]):gsub("WAITS", waits))))
    end)
  end

  it("runs to-be-closed variables", function()
    local result = run([[
      local t <close> = setmetatable({}, { __close = function(_, e) print("closed", e) end })
      interrupt()
      while true do local t = {} end
    ]])
    assert.matches("^closed\t.*interrupted!\n$", result.out)
    assert_interrupted(result)
  end)

  it("does not wait for to-be-closed variables that never end", function()
    local result = run([[
      local function busy() while true do local t = {} end end
      local t <close> = setmetatable({}, { __close = busy })
      interrupt()
      busy()
    ]])
    assert_interrupted(result)
  end)

  it("can be caught, once for each", function()
    local result = run([[
      print(pcall(function() interrupt() while true do local t = {} end end))
      for i = 1, 1000 do local t = {} end
      print("on")
    ]])
    assert.matches("^false\t[^\n]*interrupted!\non\n$", result.out)
    assert.are.equal(0, result.code)
  end)

  it("that was caught leaves other errors alone", function()
    local result = run([[
      pcall(function() interrupt() while true do local t = {} end end)
      error("another")
    ]])
    assert.matches("another\nstack traceback", result.err)
    assert.are.equal(1, result.code)
  end)

  it("leaves the script's debug hook in place", function()
    local result = run([[
      local count = 0
      debug.sethook(function() count = count + 1 end, "l")
      pcall(function() interrupt() while true do local t = {} end end)
      count = 0
      local x = 1
      debug.sethook()
      print(count > 0)
    ]])
    assert.are.equal("true\n", result.out)
  end)

  it("ends a wait in lpool", function()
    local result = run([[
      local lpool = require "lpool"
      local pipe = io.popen("sleep 0.1; kill -INT $PPID")
      lpool.sleep(60)
    ]])
    assert_interrupted(result)
  end)

  it("ends a wait in lpool with one error, which can be caught", function()
    local result = run([[
      local lpool = require "lpool"
      local pipe = io.popen("sleep 0.1; kill -INT $PPID")
      print(pcall(lpool.sleep, 60))
      lpool.sleep(0.001)
      for i = 1, 1000 do local t = {} end
      print("on")
    ]])
    assert.matches("^false\t[^\n]*interrupted!\non\n$", result.out)
    assert.are.equal(0, result.code)
  end)

  for name, task in pairs {
    ["asleep"] = "function() lpool.sleep(60) end",
    ["busy"] = "function() while true do local t = {} end end",
  } do
    it("does not wait for a hundred workers that are " .. name, function()
      local result = run(([[
        local lpool = require "lpool"
        local ex <close> = lpool.ThreadPoolExecutor(100)
        for i = 1, 200 do ex:submit(%s) end
        local pipe = io.popen("sleep 0.1; kill -INT $PPID")
        ex:submit(math.abs, 1):result()
      ]]):format(task))
      assert_interrupted(result)
      assert.is_true(result.seconds < 10 * helper.patience)
    end)
  end

  it("a second time kills a script that catches the first", function()
    local result = run([[
      local function busy() interrupt() while true do local t = {} end end
      while true do pcall(busy) end
    ]])
    assert_interrupted(result)
  end)

  it("a second time kills a script that is busy in a coroutine", function()
    assert_interrupted(run([[
      coroutine.wrap(function()
        interrupt()
        interrupt()
        while true do local t = {} end
      end)()
    ]]))
  end)
end)
