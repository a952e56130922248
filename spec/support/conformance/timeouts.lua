-- Tasks that may only run so long: the option `timeout` of an executor and of
-- a view of it.
local busted = require "busted"
local assert = require "luassert"
local lpool = require "lpool"
local helper = require "spec.helper"

local it = busted.it

local function echo(...)
  return ...
end

-- What does not end by itself, and how. Tables, for the thread sanitizer's
-- sake, which lets signals through only where memory is taken.
local endless = {
  ["computes"] = function()
    while true do
      local _ = {}
    end
  end,
  ["catches every error"] = function()
    while true do
      pcall(function()
        while true do
          local _ = {}
        end
      end)
    end
  end,
  ["computes in a coroutine"] = function()
    coroutine.wrap(function()
      while true do
        local _ = {}
      end
    end)()
  end,
  ["switches between coroutines"] = function()
    local other = coroutine.wrap(function()
      while true do
        coroutine.yield({})
      end
    end)
    while true do
      other()
    end
  end,
  ["closes a coroutine"] = function()
    local other = coroutine.create(function()
      local _ <close> = setmetatable({}, {
        __close = function()
          while true do
            local _ = {}
          end
        end,
      })
      coroutine.yield()
    end)
    coroutine.resume(other)
    while true do
      coroutine.close(other)
    end
  end,
  ["sorts without end"] = function()
    while true do
      local list = {}
      for i = 1, 100 do
        list[i] = -i
      end
      table.sort(list, function(a, b)
        return a < b
      end)
    end
  end,
  ["sleeps"] = function()
    lpool.sleep(1000)
  end,
  ["waits for a future"] = function()
    lpool.Future():result()
  end,
  ["waits in pcall loops"] = function()
    while true do
      pcall(lpool.sleep, 1000)
    end
  end,
}

return function(kind)
  local make = kind.make

  it("refuses a timeout that is none, at the caller's line", function()
    for _, wrong in ipairs { 0, -1, "1", 0 / 0, true } do
      helper.misuse(function()
        make { timeout = wrong }
      end, "timeout")
      helper.misuse(function()
        local ex <close> = make()
        ex:with { timeout = wrong }
      end, "timeout")
    end
  end)

  it("lets pass what is quick enough", function()
    local ex <close> = make { timeout = 100 }
    for i = 1, 100 do
      assert.are.equal(i, ex:submit(echo, i):result())
    end
    assert.are.equal(1, ex:with({ timeout = 50 }):submit(echo, 1):result())
  end)

  for what, task in pairs(endless) do
    it("ends a task that " .. what, function()
      local ex <close> = make { max_workers = 1, timeout = 0.05 }
      local f = ex:with({ label = "slow" }):submit(task)
      local err = helper.raised(f.result, f, 30)
      assert.are.equal("TimeoutError", err.kind)
      helper.contains("0.05", err.message)
      helper.contains("slow", err.message)
      assert.are.equal("failed", f:state())
      -- The worker that was stopped does the next task right.
      assert.are.equal("on", ex:submit(echo, "on"):result(30))
      assert.are.equal(10, ex:submit(function()
        local sum = 0
        for _, n in coroutine.wrap(function()
          for i = 1, 4 do
            coroutine.yield(i, i)
          end
        end) do
          sum = sum + n
        end
        return sum
      end):result(30))
    end)
  end

  it("ends a task that is about to end by os.exit, and only that", function()
    local ex <close> = make { max_workers = 1, timeout = 0.05 }
    local f = ex:submit(function()
      local _ <close> = io.popen("exec sleep 0.2") -- closing it waits
      os.exit(3)
    end)
    helper.raises("TimeoutError", f.result, f, 30)
    assert.are.equal("on", ex:submit(echo, "on"):result(30))
  end)

  it("prefers the view's limit to the executor's", function()
    local ex <close> = make { timeout = 1000 }
    local f = ex:with({ timeout = 0.02 }):submit(lpool.sleep, 1000)
    helper.raises("TimeoutError", f.result, f, 30)
    local view = ex:with { timeout = 0.02 }
    assert.are.equal("x", view:with({ timeout = 1000 }):submit(echo, "x"):result(30))
  end)

  it("limits each item of a map, and no more than that", function()
    local ex <close> = make()
    local results = ex:with({ timeout = 0.05, label = "short" }):map(function(i)
      if i == 3 then
        lpool.sleep(1000)
      end
      return i
    end, { 1, 2, 3, 4, 5, 6 })
    for i = 1, 6 do
      if i == 3 then
        local err = helper.raises("TimeoutError", results)
        assert.matches("^item 3 of map 'short' %(submitted at [^\n]*timeouts%.lua:%d+%) "
          .. "ran longer than its limit of 0%.05 seconds$", tostring(err))
        assert.are.equal("short", err.label)
      else
        local number, value = results()
        assert.are.same({ i, i }, { number, value })
      end
    end
  end)

  it("stops one task and leaves the others", function()
    local ex <close> = make { max_workers = kind.concurrent and 2 or nil }
    local slow, quick = {}, {}
    for i = 1, 5 do
      slow[i] = ex:with({ timeout = 0.02 }):submit(lpool.sleep, 1000)
      for j = 1, 20 do
        quick[#quick + 1] = ex:submit(echo, i * 100 + j)
      end
    end
    for i = 1, 5 do
      helper.raises("TimeoutError", slow[i].result, slow[i], 30)
    end
    for k, f in ipairs(quick) do
      local i, j = (k - 1) // 20 + 1, (k - 1) % 20 + 1
      assert.are.equal(i * 100 + j, f:result(30))
    end
  end)

  if not kind.concurrent then
    return
  end

  it("takes no item for another's after one was stuck in C #slow", function()
    local ex <close> = make { max_workers = 1, timeout = 0.5 }
    local results = ex:map(function(i)
      if i == 1 then
        os.execute("sleep 1")
      end
      lpool.sleep(0.4)
      return i
    end, { 1, 2, 3, 4 })
    helper.raises("TimeoutError", results)
    for i = 2, 4 do
      assert.are.same({ i, i }, { results() })
    end
    assert.is_nil(results())
  end)

  it("ends even what catches errors once it comes back from C", function()
    -- Its thread must be gone at the end of the test.
    local ex <close> = make { max_workers = 1, timeout = 0.05 }
    local f = ex:submit(function()
      while true do
        pcall(coroutine.wrap(function()
          os.execute("sleep 0.6")
        end))
      end
    end)
    helper.raises("TimeoutError", f.result, f, 30)
    assert.are.equal("on", ex:submit(echo, "on"):result(30))
  end)

  it("counts from the start of the task, not from its submit", function()
    local ex <close> = make { max_workers = 1 }
    local gate <close> = helper.gate.new()
    local first = ex:submit(helper.gate.hold, gate.path)
    local second = ex:with({ timeout = 0.05 }):submit(echo, "in time")
    gate:await(1)
    lpool.sleep(0.1) -- longer than the limit; it is not what we wait for
    gate:open()
    first:result(30)
    assert.are.equal("in time", second:result(30))
  end)

  it("ends a task that is stuck in C, and serves on", function()
    local ex <close> = make { max_workers = 1, timeout = 0.05 }
    local n = 21
    local f = ex:submit(function()
      -- Backtracking for a second, which looks at no hook.
      return ("a"):rep(n):find(("a?"):rep(n) .. ("a"):rep(n) .. ".-b")
    end)
    helper.raises("TimeoutError", f.result, f, 30)
    assert.are.equal("on", ex:submit(echo, "on"):result(30))
    assert.are.equal("on", ex:submit(echo, "on"):result(30))
  end)
end
