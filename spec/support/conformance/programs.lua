-- Whole programs: output, exit codes, the end of the script, Ctrl-C. What only
-- the lpool program does, and lua5.4 with the module does not, is tagged #program.
local busted = require "busted"
local assert = require "luassert"
local helper = require "spec.helper"

local it = busted.it

return function(kind)
  it("shows what workers print", function()
    helper.prints("1\t2\tnil\nwritten\n", kind, [[
      local ex <close> = make()
      ex:submit(print, 1, 2, nil):result()
      ex:submit(function() io.write("written", "\n") end):result()
    ]])
  end)

  -- What 40 tasks print and write, and what the script does meanwhile.
  local function check_lines(last)
    local result = helper.script(kind, [[
      local ex <close> = make { max_workers = 8 }
      local function task(i)
        local text = ("abcdefghijklmnopqrstuvwxyz"):rep(10)
        for k = 1, 50 do
          if k % 2 == 0 then
            print("line", i, k, text, i, k)
          else
            io.write("line\t", i, "\t", k, "\t", text, "\t", i, "\t", k, "\n")
          end
        end
      end
      for i = 1, 40 do ex:submit(task, i) end
    ]] .. last)
    local lines = 0
    local text = ("abcdefghijklmnopqrstuvwxyz"):rep(10)
    for line in result.out:gmatch("[^\n]*\n") do
      lines = lines + 1
      local i, k, middle, i2, k2 = line:match("^line\t(%d+)\t(%d+)\t(%l+)\t(%d+)\t(%d+)\n$")
      assert.is_true(i ~= nil and i == i2 and k == k2 and middle == text, line)
    end
    assert.are.equal(41 * 50, lines)
  end

  it("never tears a line that workers print or write", function()
    check_lines "ex:submit(task, 41)"
  end)

  it("never tears a line of theirs by one of the script #program", function()
    check_lines "task(41)"
  end)

  it("keeps the lines of one worker in order", function()
    local result = helper.script(kind, [[
      local ex <close> = make { max_workers = 1 }
      for i = 1, 200 do ex:submit(print, i) end
    ]])
    local expected = {}
    for i = 1, 200 do
      expected[i] = i .. "\n"
    end
    assert.are.equal(table.concat(expected), result.out)
  end)

  it("shows what a worker writes without an end of line, at the latest at the end", function()
    helper.prints("no end of line", kind, [[
      local ex <close> = make()
      ex:submit(function() io.write("no end of line") end):result()
    ]])
  end)

  it("lets io.write be chained in a worker, as in Lua", function()
    helper.prints("ab\n", kind, [[
      local ex <close> = make()
      ex:submit(function() io.write("a"):write("b", "\n") end):result()
    ]])
  end)

  it("finishes queued work at the end of the script", function()
    local result = helper.script(kind, [[
      local ex = make { max_workers = 2 }
      for i = 1, 100 do ex:submit(print, i) end
    ]])
    local _, lines = result.out:gsub("\n", "")
    assert.are.equal(100, lines)
    assert.are.equal("", result.err)
    assert.are.equal(0, result.code)
  end)

  it("finishes queued work at the end of the script after shutdown without wait", function()
    local result = helper.script(kind, [[
      local ex = make { max_workers = 2 }
      for i = 1, 100 do ex:submit(print, i) end
      ex:shutdown { wait = false }
    ]])
    local _, lines = result.out:gsub("\n", "")
    assert.are.equal(100, lines)
    assert.are.equal(0, result.code)
  end)

  it("ends with 1 and the error after an error in the script #program", function()
    local result = helper.script(kind, [[
      local ex <close> = make()
      ex:submit(math.max, 1)
      error("script failed")
    ]])
    assert.are.equal(1, result.code)
    assert.is_truthy(result.err:find("^lpool: "))
    helper.contains("script failed", result.err)
    helper.contains("stack traceback", result.err)
  end)

  it("ends with 1 after an error while executors are open", function()
    local result = helper.script(kind, [[
      ex = make()
      for i = 1, 10 do ex:submit(math.max, i) end
      error("script failed")
    ]])
    assert.are.equal(1, result.code)
    helper.contains("script failed", result.err)
  end)

  it("shows the worker's traceback of an error that nobody catches #program", function()
    local result = helper.script(kind, [[
      local function inner_most() error("in the worker") end
      local ex <close> = make()
      ex:submit(function() inner_most() end):result()
    ]])
    assert.are.equal(1, result.code)
    helper.contains("in the worker", result.err)
    helper.contains("inner_most", result.err)
  end)

  it("shows an error object that nobody catches by its text", function()
    local result = helper.script(kind, [[
      local ex = make()
      ex:shutdown()
      ex:submit(print)
    ]])
    assert.are.equal(1, result.code)
    helper.contains("cannot schedule new futures after shutdown", result.err)
  end)

  it("ends with the code of os.exit in the script, whatever is open", function()
    for _, close in ipairs { "true", "false" } do
      local result = helper.script(kind, ([[
        ex = make()
        for i = 1, 10 do ex:submit(math.max, i) end
        os.exit(7, %s)
      ]]):format(close))
      assert.are.equal(7, result.code)
      assert.are.equal("", result.err)
    end
  end)

  it("does not end with os.exit in a task", function()
    helper.prints("WorkerExitError\t3\n", kind, [[
      local ex <close> = make()
      local err = ex:submit(os.exit, 3):exception()
      print(err.kind, err.code)
    ]])
  end)

  it("reports a failure that nobody looked at, with the place of the submit", function()
    local result = helper.script(kind, [[
      do
        local ex <close> = make()
        ex:submit(error, "nobody looks") -- line 6
      end
      collectgarbage() collectgarbage()
      print("end")
    ]])
    assert.are.equal("end\n", result.out)
    helper.contains("nobody looks", result.err)
    assert.is_truthy(result.err:find(":6"), result.err)
    assert.are.equal(0, result.code)
  end)

  it("reports a task by its name once, if the error says it already", function()
    local result = helper.script(kind, [[
      local ex <close> = make()
      ex:submit(os.exit, 3)
    ]])
    local _, times = result.err:gsub("task #%d+", "")
    assert.are.equal(1, times, result.err)
    helper.contains("called os.exit(3)", result.err)
  end)

  it("reports a failure that nobody looked at, at exit", function()
    local result = helper.script(kind, [[
      ex = make()
      f = ex:submit(error, "nobody looks")
      ex:shutdown()
    ]])
    helper.contains("nobody looks", result.err)
  end)

  it("reports each failure that nobody looked at once", function()
    local result = helper.script(kind, [[
      local ex <close> = make()
      for i = 1, 5 do ex:submit(error, "failure " .. i .. ";", 0) end
    ]])
    for i = 1, 5 do
      local _, times = result.err:gsub("failure " .. i .. ";", "")
      assert.are.equal(1, times)
    end
  end)

  -- What counts as looking at a failure.
  local looks = {
    result = "pcall(f.result, f)",
    exception = "f:exception()",
    traceback = "f:traceback()",
    ["or_else"] = "f:or_else(function() end):result()",
    ["a callback that asks"] = "f:add_done_callback(function(g) g:exception() end) lpool.poll()",
  }

  for name, look in pairs(looks) do
    it("does not report a failure that was looked at by " .. name, function()
      helper.prints("", kind, ([[
        do
          local ex <close> = make()
          local f = ex:submit(error, "seen")
          ex:shutdown()
          %s
        end
        collectgarbage() collectgarbage()
      ]]):format(look))
    end)
  end

  it("does not report success or cancelling that nobody looked at", function()
    helper.prints("", kind, [[
      local ex <close> = make { max_workers = 1 }
      for i = 1, 50 do ex:submit(math.max, i):cancel() end
    ]])
  end)

  it("does not report items of a map that failed and were reached", function()
    helper.prints("no\n", kind, [[
      local ex <close> = make()
      local ok, err = pcall(function()
        for _ in ex:map(function() error("no", 0) end, { 1 }) do end
      end)
      print(err)
    ]])
  end)

  -- A program that ends by Ctrl-C leaves its threads where they are, on purpose.
  local abandon = [[TSAN_OPTIONS="$TSAN_OPTIONS report_thread_leaks=0"]]

  -- Runs a program that calls strike(), in a task if the script itself waits:
  -- that sends the signal. `after` says how long the end took from there.
  local function interrupted(source)
    local stamp = helper.temporary.file()
    local gate <close> = helper.gate.new()
    local result = helper.script(kind, ([[
      local STAMP, PATH, PROGRAM = %q, %q, lpool.getpid()
      local function strike()
        io.popen("date +%%s.%%N >" .. STAMP .. "; kill -INT " .. PROGRAM):close()
      end
      ]]):format(stamp, gate.path) .. source, { env = abandon })
    local now = io.popen("date +%s.%N")
    result.after = now:read("n") - (tonumber(helper.temporary.read(stamp)) or 0)
    now:close()
    return result
  end

  -- A hundred busy threads on a busy machine may keep anyone waiting: so the
  -- quickest of three runs counts, and all must end well.
  local function ends_quietly(source)
    local quickest = math.huge
    for _ = 1, 3 do
      local result = interrupted(source)
      assert.are.equal("", result.out)
      assert.are.equal("", result.err)
      assert.are.equal(130, result.code)
      quickest = math.min(quickest, result.after)
      if quickest < 1 then
        return
      end
    end
    assert.is_true(quickest < helper.patience, ("took %.2f s"):format(quickest))
  end

  it("ends with 130 when interrupted in the script itself #program", function()
    local result = interrupted [[
      local ex <close> = make()
      ex:submit(math.max, 1):result()
      strike()
      while true do local t = {} end -- allocates, for the thread sanitizer's sake
    ]]
    assert.are.equal(130, result.code)
    assert.are.equal("", result.err)
  end)

  it("ends quietly when interrupted in lpool.sleep #program", function()
    ends_quietly [[
      local ex <close> = make()
      ex:submit(math.max, 1):result()
      os.execute("(sleep 0.1; date +%s.%N >" .. STAMP .. "; kill -INT " .. lpool.getpid() .. ") &")
      lpool.sleep(100)
    ]]
  end)

  if not kind.concurrent then
    return
  end

  -- A hundred workers that all do this, the last of which strikes first.
  local hundred = [[
    local gates = require "spec.support.gate"
    local function task(i, busy)
      gates.arrive(PATH)
      if i == 100 then
        gates.meet(PATH, 100)
        strike()
      end
      if busy then while true do local t = {} end end
      lpool.sleep(1000)
    end
  ]]

  local waits = {
    result = "futures[1]:result()",
    wait = "lpool.wait(futures)",
    as_completed = "for _ in lpool.as_completed(futures) do end",
    shutdown = "ex:shutdown()",
    close = "",
  }

  for name, wait in pairs(waits) do
    it("ends within a second, with 130, while 100 workers sleep #program, in " .. name, function()
      ends_quietly(hundred .. [[
        local ex <close> = make { max_workers = 100 }
        local futures = {}
        for i = 1, 100 do futures[i] = ex:submit(task, i, false) end
        for i = 101, 200 do futures[i] = ex:submit(print, "must not run") end
      ]] .. wait)
    end)
  end

  it("ends within a second, with 130, while 100 workers compute #program", function()
    ends_quietly(hundred .. [[
      local ex <close> = make { max_workers = 100 }
      local futures = {}
      for i = 1, 100 do futures[i] = ex:submit(task, i, true) end
      futures[1]:result()
    ]])
  end)

  it("ends within a second, with 130, in a loop over map #program", function()
    ends_quietly(hundred .. [[
      local ex <close> = make { max_workers = 100 }
      local items = {}
      for i = 1, 1000 do items[i] = { i, false } end
      for _ in ex:starmap(task, items, { chunksize = 1 }) do end
    ]])
  end)

  it("ends with 130 when interrupted at the end of the script #program", function()
    ends_quietly(hundred .. [[
      ex = make { max_workers = 100 }
      for i = 1, 100 do ex:submit(task, i, false) end
    ]])
  end)

  it("raises interrupted! where the script waits, which it may catch #program", function()
    local result = interrupted(hundred .. [[
      local ex = make { max_workers = 100 }
      local futures = {}
      for i = 1, 100 do futures[i] = ex:submit(task, i, false) end
      for i = 101, 110 do futures[i] = ex:submit(print, "must not run") end
      local ok, err = pcall(futures[1].result, futures[1])
      print(ok, (tostring(err):gsub("^.-: ", "")))
      print(futures[110]:state())
      os.exit(0)
    ]])
    assert.are.equal("false\tinterrupted!\ncancelled\n", result.out)
    assert.are.equal("", result.err)
    assert.are.equal(0, result.code)
  end)
end
