-- The module: hand-made futures, helpers, and lpool.is.
local describe, it, assert = describe, it, assert
local _ENV = _G -- luacheck: ignore 211 (it is used: by every global below)

local helper = require "spec.helper"
local lpool = require "lpool"

describe("lpool.Future:", function()
  it("is pending at first", function()
    local f = lpool.Future()
    assert.are.equal("pending", f:state())
    assert.is_false(f:done())
    assert.is_nil(f:worker())
    assert.is_nil(f:label())
    assert.is_truthy(tostring(f):find("^<Future #%d+ pending>$"))
  end)

  it("has the results that were set, to the last nil", function()
    local f = lpool.Future()
    f:set_result(1, nil, "x", nil)
    assert.are.equal("finished", f:state())
    assert.are.same({ 1, nil, "x", nil, n = 4 }, table.pack(f:result()))
  end)

  it("has no result if none was set", function()
    local f = lpool.Future()
    f:set_result()
    assert.are.equal(0, select("#", f:result()))
  end)

  it("keeps values themselves, since they stay in their state", function()
    local f = lpool.Future()
    local thread = coroutine.create(print)
    f:set_result(thread)
    assert.are.equal(thread, f:result())
  end)

  it("raises the error that was set", function()
    for _, value in ipairs { "no", { "no" }, 42, false } do
      local f = lpool.Future()
      f:set_exception(value)
      assert.are.equal("failed", f:state())
      assert.are.same(value, helper.raised(f.result, f))
      assert.are.same(value, (f:exception()))
    end
  end)

  it("counts set_exception(nil) as a failure", function()
    local f = lpool.Future()
    f:set_exception(nil)
    assert.are.equal("failed", f:state())
    assert.is_nil(helper.raised(f.result, f))
    assert.is_string(select(2, f:exception()))
  end)

  it("raises TimeoutError while nothing is set", function()
    local f = lpool.Future()
    helper.raises("TimeoutError", f.result, f, 0)
    helper.raises("TimeoutError", f.exception, f, 0.01)
  end)

  it("refuses a second set and keeps the first", function()
    local f = lpool.Future()
    f:set_result(1)
    helper.raises("InvalidStateError", f.set_result, f, 2)
    helper.raises("InvalidStateError", f.set_exception, f, "no")
    assert.are.equal(1, f:result())
    local g = lpool.Future()
    g:set_exception("first")
    helper.raises("InvalidStateError", g.set_exception, g, "second")
    helper.raises("InvalidStateError", g.set_result, g, 2)
    assert.are.equal("first", g:exception())
  end)

  it("can be cancelled while it is pending", function()
    local f = lpool.Future()
    assert.is_true(f:cancel())
    assert.is_true(f:cancel())
    assert.are.equal("cancelled", f:state())
    helper.raises("CancelledError", f.result, f)
  end)

  it("refuses results once it is cancelled", function()
    local f = lpool.Future()
    f:cancel()
    helper.raises("InvalidStateError", f.set_result, f, 1)
    helper.raises("InvalidStateError", f.set_exception, f, "no")
    assert.are.equal("cancelled", f:state())
  end)

  it("is running after set_running_or_notify_cancel", function()
    local f = lpool.Future()
    assert.is_true(f:set_running_or_notify_cancel())
    assert.are.equal("running", f:state())
    assert.is_true(f:running())
    assert.is_false(f:cancel())
    f:set_result(1)
    assert.are.equal(1, f:result())
  end)

  it("says false from set_running_or_notify_cancel if it is cancelled", function()
    local f = lpool.Future()
    f:cancel()
    assert.is_false(f:set_running_or_notify_cancel())
    assert.are.equal("cancelled", f:state())
  end)

  it("refuses set_running_or_notify_cancel twice and when done", function()
    local f = lpool.Future()
    f:set_running_or_notify_cancel()
    helper.raises("InvalidStateError", f.set_running_or_notify_cancel, f)
    f:set_result(1)
    helper.raises("InvalidStateError", f.set_running_or_notify_cancel, f)
  end)

  it("refuses to set a future that an executor owns", function()
    local ex <close> = lpool.SerialExecutor()
    local f = ex:submit(math.max, 1)
    helper.raises("InvalidStateError", f.set_result, f, 2)
    assert.are.equal(1, f:result())
  end)

  it("calls its callbacks, in order, with itself", function()
    local f = lpool.Future()
    local order = {}
    for i = 1, 3 do
      f:add_done_callback(function(future)
        order[#order + 1] = future == f and i
      end)
    end
    f:set_result()
    lpool.poll()
    assert.are.same({ 1, 2, 3 }, order)
  end)

  it("can be waited for, with others", function()
    local f, g = lpool.Future(), lpool.Future()
    f:set_result(1)
    local done, not_done = lpool.wait({ f, g }, { timeout = 0 })
    assert.are.same({ f }, done)
    assert.are.same({ g }, not_done)
  end)

  it("can be gathered", function()
    local f, g = lpool.Future(), lpool.Future()
    local all = lpool.gather { f, g }
    g:set_result("g", "more")
    f:set_result("f")
    local list = all:result(5)
    assert.are.equal("f", list[1])
    assert.are.equal("g", list[2])
  end)

  it("cancels what is left of a gather when one fails", function()
    local f, g = lpool.Future(), lpool.Future()
    local all = lpool.gather { f, g }
    g:set_exception("no")
    assert.are.equal("no", helper.raised(all.result, all, 5))
    assert.are.equal("cancelled", f:state())
  end)

  it("serves an executor written in Lua", function()
    local Immediate = {}
    function Immediate.submit(fn, ...)
      local f = lpool.Future()
      if f:set_running_or_notify_cancel() then
        local results = table.pack(pcall(fn, ...))
        if results[1] then
          f:set_result(table.unpack(results, 2, results.n))
        else
          f:set_exception(results[2])
        end
      end
      return f
    end
    assert.are.equal(3, Immediate.submit(math.max, 1, 3):result())
    assert.are.equal("no", Immediate.submit(error, "no", 0):exception())
  end)

  it("reports a failure that nobody looked at, once it is collected", function()
    local result = helper.run([[
      local lpool = require "lpool"
      do local f = lpool.Future() f:set_exception("nobody looks") end
      collectgarbage() collectgarbage()
    ]])
    local _, times = result.err:gsub("nobody looks", "")
    assert.are.equal(1, times)
  end)
end)

describe("lpool.is:", function()
  local function timeout_error()
    return helper.raised(function()
      lpool.Future():result(0)
    end)
  end

  it("knows an error by its kind", function()
    assert.is_true(lpool.is(timeout_error(), "TimeoutError"))
    assert.is_false(lpool.is(timeout_error(), "CancelledError"))
  end)

  it("is safe on any value", function()
    local values = { 42, "TimeoutError", true, {}, print, coroutine.create(print), io.stdout }
    for i = 1, #values + 1 do
      assert.is_false(lpool.is(values[i], "TimeoutError"))
    end
  end)

  it("runs no metamethod of the value", function()
    local trap = setmetatable({}, {
      __index = function()
        error("a metamethod ran")
      end,
      __name = "TimeoutError",
    })
    assert.is_false(lpool.is(trap, "TimeoutError"))
  end)

  it("knows that a broken pool is a broken executor, and not the reverse", function()
    local result = helper.run([[
      local lpool = require "lpool"
      local function fail() error("x") end
      local ex = lpool.ThreadPoolExecutor { max_workers = 1, initializer = fail }
      local ok, err = pcall(function() return ex:submit(print):exception() end)
      print(lpool.is(err, "BrokenThreadPool"), lpool.is(err, "BrokenExecutor"),
        lpool.is(err, "BrokenProcessPool"), lpool.is(err, "TimeoutError"))
    ]])
    assert.are.equal("true\ttrue\tfalse\tfalse\n", result.out)
  end)

  it("finds errors with kind and message, whose text is the message", function()
    local err = timeout_error()
    assert.are.equal("TimeoutError", err.kind)
    assert.is_string(err.message)
    assert.are.equal(err.message, tostring(err))
  end)
end)

describe("lpool's helpers:", function()
  it("now() grows and is a float", function()
    local before = lpool.now()
    assert.are.equal("float", math.type(before))
    local after = lpool.now()
    assert.is_true(after >= before)
  end)

  it("sleep() takes as long as it says, and fractions", function()
    local start = lpool.now()
    lpool.sleep(0.02)
    local taken = lpool.now() - start
    assert.is_true(taken >= 0.02 and taken < 2)
  end)

  it("sleep() takes zero and less for no time", function()
    lpool.sleep(0)
    lpool.sleep(-1)
  end)

  it("sleep() refuses what is no number", function()
    helper.misuse(function()
      lpool.sleep("long")
    end, "number")
    helper.misuse(function()
      lpool.sleep()
    end, "number")
    helper.misuse(function()
      lpool.sleep(0 / 0)
    end, "")
  end)

  it("cpu_count() is what the system lets us use", function()
    local count = lpool.cpu_count()
    assert.are.equal("integer", math.type(count))
    local nproc = io.popen("nproc")
    local usable = nproc:read("n")
    nproc:close()
    assert.is_true(count >= 1 and count <= usable)
  end)

  it("cpu_count() heeds affinity", function()
    local result = helper.shell([[taskset -c 0 $LPOOL -e 'print(require("lpool").cpu_count())']])
    assert.are.equal("1\n", result.out, result.err)
  end)

  it("getpid() is the number of this process", function()
    local file <close> = io.open("/proc/self/stat")
    assert.are.equal(file:read("n"), lpool.getpid())
  end)

  it("worker() is nil in the main state", function()
    assert.is_nil(lpool.worker())
    assert.are.equal(1, select("#", lpool.worker()))
  end)

  it("poll() may be called at any time", function()
    lpool.poll()
    lpool.poll()
  end)

  it("range() refuses a step of zero and what is no number", function()
    helper.misuse(function()
      lpool.range(1, 2, 0)
    end, "")
    helper.misuse(function()
      lpool.range("one", 2)
    end, "")
    helper.misuse(function()
      lpool.range(1)
    end, "")
  end)

  it("zip() steps through lists together", function()
    local rows = {}
    for a, b in lpool.zip({ 1, 2, 3 }, { "x", "y" }) do
      rows[#rows + 1] = a .. b
    end
    assert.are.same({ "1x", "2y" }, rows)
  end)

  it("zip() refuses what is no list", function()
    helper.misuse(function()
      lpool.zip({ 1 }, 42)
    end, "")
  end)

  it("_VERSION names lpool and a version", function()
    assert.is_truthy(lpool._VERSION:find("%d+%.%d+%.%d+"))
  end)

  it("has constants for wait, all different", function()
    local first, exception, all = lpool.FIRST_COMPLETED, lpool.FIRST_EXCEPTION, lpool.ALL_COMPLETED
    assert.is_truthy(first and exception and all)
    assert.is_true(first ~= exception and exception ~= all and all ~= first)
  end)

  describe("progress()", function()
    local function items(n)
      local i = 0
      return function()
        i = i + 1
        if i <= n then
          return i, -i, nil, "x"
        end
      end
    end

    it("passes all values through", function()
      local seen = {}
      for i, negative, none, text in lpool.progress(items(3), { total = 3 }) do
        assert.are.equal(nil, none)
        seen[#seen + 1] = ("%d %d %s"):format(i, negative, text)
      end
      assert.are.same({ "1 -1 x", "2 -2 x", "3 -3 x" }, seen)
    end)

    it("takes all that a loop takes", function()
      local ex <close> = lpool.SerialExecutor()
      local count = 0
      for f in lpool.progress(lpool.as_completed { ex:submit(math.abs, 1) }) do
        count = count + f:result()
      end
      for i, square in lpool.progress(ex:map(function(n) return n * n end, { 2, 3 })) do
        count = count + i * square
      end
      assert.are.equal(1 + 4 + 18, count)
    end)

    it("closes results when the loop is left", function()
      local ex <close> = lpool.SerialExecutor()
      local results = ex:map(math.abs, { 1, 2, 3 }, { buffersize = 1 })
      for i in lpool.progress(results) do
        if i == 1 then
          break
        end
      end
      assert.are.equal(nil, (results()))
    end)

    it("lets errors of items through", function()
      local ex <close> = lpool.SerialExecutor()
      local results = ex:map(error, { "no" })
      local iterate = lpool.progress(results)
      assert.are.equal("no", helper.raised(iterate))
    end)

    it("shows nothing that is no terminal", function()
      local result = helper.run([[
        local lpool = require "lpool"
        for _ in lpool.progress(lpool.zip { 1, 2 }) do end
      ]])
      assert.are.equal("", result.err .. result.out)
    end)

    it("shows a bar on a terminal, whole in the end", function()
      local script = helper.temporary.file([[
        local lpool = require "lpool"
        for i in lpool.progress(lpool.zip { 1, 2, 3, 4 }, { total = 4, label = "four" }) do
          if i == 4 then lpool.sleep(0.11) end
        end
        for _ in lpool.progress(lpool.zip { 1, 2 }) do end
      ]])
      local result = helper.shell(([[
        script -qec true /dev/null >/dev/null || exit 77
        script -qec "$LPOOL %s" /dev/null
      ]]):format(script))
      if result.code == 77 then
        pending("needs script(1) and pseudo-terminals")
        return
      end
      assert.matches("^\rfour  %[#######%.+%]  1/4  ", result.out)
      assert.matches("\rfour  %[##############################%]  4/4  [^\r\n]*\r?\n", result.out)
      assert.matches("\r2  [^\r\n]*\r?\n$", result.out)
    end)

    it("refuses what is no iterator, and unknown options", function()
      helper.contains("iterator expected, got table", helper.raised(lpool.progress, {}))
      helper.contains("unknown option 'tota' (known: label, total)",
        helper.raised(lpool.progress, print, { tota = 1 }))
    end)
  end)

  it("has no other names than it documents", function()
    local known = {}
    for name in ([[ThreadPoolExecutor ProcessPoolExecutor SerialExecutor Future as_completed wait
      gather FIRST_COMPLETED FIRST_EXCEPTION ALL_COMPLETED is sleep now cpu_count getpid worker
      range zip poll progress _VERSION channel counter dict buffer]]):gmatch("%S+") do
      known[name] = true
    end
    for name in pairs(lpool) do
      assert.is_true(known[name], name)
    end
  end)

  it("is loaded by require alone, without making a global", function()
    local result = helper.run([[
      local before = {}
      for name in pairs(_G) do before[name] = true end
      require "lpool"
      for name in pairs(_G) do if not before[name] then print(name) end end
    ]])
    assert.are.equal("", result.out)
    assert.are.equal(0, result.code)
  end)

  it("can be loaded twice", function()
    local result = helper.run([[
      local first = require "lpool"
      local f = first.Future()
      package.loaded.lpool, package.loaded["lpool.core"] = nil, nil
      local second = require "lpool"
      f:set_result(1)
      print(#second.wait { f })
      local ex <close> = second.ThreadPoolExecutor(1)
      print(ex:submit(math.max, 1, 2):result())
    ]])
    assert.are.equal("1\n2\n", result.out, result.err)
  end)
end)
