-- What tasks print, and what they can read.
local helper = require "spec.helper"

local function count(text, part)
  local _, n = text:gsub(part, "")
  return n
end

describe("output of processes:", function()
  it("what the script had not flushed yet appears once", function()
    for _, where in ipairs { "", " | cat" } do
      local script = helper.temporary.file [[
        io.stdout:setvbuf("full", 1 << 16)
        io.write("first ")
        local lpool = require "lpool"
        io.write("second ")
        local ex <close> = lpool.ProcessPoolExecutor(3)
        io.write("third ")
        for _, f in ipairs(ex:broadcast(math.abs, 1)) do f:result() end
        io.write("fourth ")
        ex:submit(os.exit, 1):exception()
        ex:submit(function() io.popen("kill -KILL $PPID"):close() end):exception()
        ex:submit(math.abs, 1):result()
        io.write("end\n")
      ]]
      local result = helper.shell("$LPOOL " .. script .. where)
      assert.are.equal("", result.err)
      assert.are.equal("first second third fourth end\n", result.out)
    end
  end)

  it("what a preload prints appears once", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local path = folder .. "/lpool_spec_loud.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write("io.write('loaded, ')")
    file:close()
    helper.temporary.claim(path)
    helper.temporary.claim(folder)
    local result = helper.run(([[
      package.path = "%s/?.lua;" .. package.path
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor {
        max_workers = 3, preload = { "lpool_spec_loud" },
      }
      for _, f in ipairs(ex:broadcast(math.abs, 1)) do f:result() end
    ]]):format(folder))
    assert.are.equal("", result.err)
    assert.are.equal(1, count(result.out, "loaded"))
  end)

  local writer = [[
    local lpool = require "lpool"
    local ex <close> = lpool.ProcessPoolExecutor(6)
    local function task(i)
      local text = ("abcdefghij"):rep(i %% 30 + 1)
      for k = 1, 40 do
        if k %% 3 == 0 then print(i, k, text)
        elseif k %% 3 == 1 then io.write(i, "\t", k, "\t", text, "\n")
        else io.stdout:write(i, "\t", k, "\t"):write(text, "\n") end
      end
    end
    for i = 1, 60 do ex:submit(task, i) end
  ]]
  for what, command in pairs {
    ["a pipe"] = "$LPOOL %s | cat",
    ["a file"] = "$LPOOL %s >%s; cat %s",
    ["a file that is appended to"] = "$LPOOL %s >>%s; cat %s",
  } do
    it("lines are whole, and all there, in " .. what, function()
      local script = helper.temporary.file((writer:gsub("%%%%", "%%")))
      local file = helper.temporary.file()
      local result = helper.shell(command:format(script, file, file))
      assert.are.equal("", result.err)
      local seen, lines = {}, 0
      for line in result.out:gmatch("([^\n]*)\n") do
        local i, k, text = line:match("^(%d+)\t(%d+)\t(%l+)$")
        assert.is_truthy(i, line)
        assert.are.equal(("abcdefghij"):rep(tonumber(i) % 30 + 1), text)
        assert.is_nil(seen[i .. "," .. k])
        seen[i .. "," .. k] = true
        lines = lines + 1
      end
      assert.are.equal(60 * 40, lines)
    end)
  end

  it("what a task writes is out before its future is done", function()
    local file = helper.temporary.file()
    local script = helper.temporary.file(([[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local function size()
        local f <close> = io.open(%q)
        return f:seek("end")
      end
      local total = 0
      for i = 1, 200 do
        local text = ("x"):rep(i)
        ex:submit(io.write, text):exception()
        total = total + i
        assert(size() == total, i)
      end
      for i in ex:map(function(i) io.write("yy") end, lpool.range(1, 100)) do
        total = total + 2
        assert(size() >= total, i)
      end
      pcall(function()
        ex:submit(function() io.write("zzz") error("after") end):result()
      end)
      assert(size() == total + 3)
      ex:submit(function() io.write("zzz") os.exit(1) end):exception()
      assert(size() == total + 6)
      io.stderr:write("ok")
    ]]):format(file))
    local result = helper.shell(("$LPOOL %s >>%s"):format(script, file))
    assert.are.equal("ok", result.err)
    assert.are.equal(0, result.code)
  end)

  it("of a task that is killed after a flush is there", function()
    local result = helper.run [[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(1)
      ex:submit(function()
        print("before")
        io.stdout:flush()
        io.popen("kill -KILL $PPID"):close()
      end):exception()
      print("after")
    ]]
    assert.are.equal("", result.err)
    assert.are.equal("before\nafter\n", result.out)
  end)

  it("goes on when nobody reads it any more", function()
    local script = helper.temporary.file [[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(2)
      local futures = {}
      for i = 1, 50 do
        futures[i] = ex:submit(function() io.write(("x"):rep(100000), "\n") return 1 end)
      end
      local ended = 0
      for i = 1, 50 do
        local ok, value = pcall(futures[i].result, futures[i], 10)
        assert(ok or not lpool.is(value, "TimeoutError"))
        ended = ended + 1
      end
      io.stderr:write("ended ", ended, "\n")
    ]]
    local result = helper.shell("$LPOOL " .. script .. " | head -c 10")
    helper.contains("ended 50", result.err)
  end)

  it("to a closed standard output hurts nobody", function()
    local script = helper.temporary.file [[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(2)
      for i = 1, 20 do
        pcall(function() ex:submit(print, i):result(10) end)
        assert(ex:submit(math.abs, -i):result(10) == i)
      end
      io.stderr:write("ok")
    ]]
    local result = helper.shell("$LPOOL " .. script .. " >&- 2>&3", { limit = 15 })
    assert.are_not.equal(124, result.code)
    result = helper.shell("$LPOOL " .. script .. " >&-", { limit = 15 })
    assert.are.equal("ok", result.err)
  end)
end)

describe("input of processes:", function()
  it("tasks find none, and the script all of its own", function()
    local script = helper.temporary.file [[
      local lpool = require "lpool"
      local ex <close> = lpool.ProcessPoolExecutor(2)
      print(io.read("l"))
      for _, f in ipairs(ex:broadcast(function() return io.read("a"), io.read("l") end)) do
        print(f:result())
      end
      print(ex:submit(function()
        local p <close> = io.popen("cat")
        return p:read("a")
      end):result())
      print(io.read("l"), io.read("l"), io.read("l"))
    ]]
    local result = helper.shell("printf 'one\\ntwo\\nthree\\n' | $LPOOL " .. script)
    assert.are.equal("", result.err)
    assert.are.equal("one\n\tnil\n\tnil\n\ntwo\tthree\tnil\n", result.out)
  end)
end)
