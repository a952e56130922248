-- Ctrl-\: where everything is. The programs send themselves the signal;
-- io.popen, unlike os.execute, leaves it to their handler.
local helper = require "spec.helper"

local prelude = [[
local lpool = require "lpool"
local function quit(delay)
  return io.popen(("sleep %s; kill -QUIT $PPID"):format(delay or 0))
end
]]

local function run(source)
  return helper.run(prelude .. source, { limit = 10 })
end

describe("Ctrl-\\", function()
  it("shows where a script and its tasks are that waits, and lets it go on", function()
    local result = run([[
      local ex <close> = lpool.ThreadPoolExecutor(1)
      local f = ex:with { label = "long" }:submit(function() lpool.sleep(1) return 7 end)
      quit(0.2)
      print(f:result())
    ]])
    assert.are.equal("7\n", result.out)
    assert.are.equal(0, result.code)
    assert.matches("^lpool: the script\nstack traceback:\n", result.err)
    assert.matches("'lpool.future.result'\n[^\n]*:8: in main chunk", result.err)
    assert.matches("\nlpool: <ThreadPoolExecutor open max_workers=1>: 1 workers, 0 idle; ",
      result.err)
    assert.matches("runs task #1 'long', submitted at [^\n]*:6, for ", result.err)
    assert.matches("'sleep'\n", result.err)
  end)

  it("on a terminal shows processes, which live on", function()
    local gate <close> = helper.gate.new()
    local script = helper.temporary.file([[
      local lpool = require "lpool"
      local gates = require "spec.support.gate"
      local ex <close> = lpool.ProcessPoolExecutor(1)
      print(ex:submit(gates.hold, (...), "lives"):result())
    ]])
    -- The key, once the task runs; the gate opens when its effect is there.
    local result = helper.shell(([[
      script -qec true /dev/null >/dev/null || exit 77
      out=$(mktemp)
      { until [ -s %s ]; do sleep 0.05; done
        printf '\034'
        until grep -q "in function <" $out; do sleep 0.05; done
        touch %s.open
      } | script -qec "exec $LPOOL %s %s" /dev/null >$out
      cat $out; rm $out
    ]]):format(gate.path, gate.path, script, gate.path))
    if result.code == 77 then
      pending("needs script(1) and pseudo-terminals")
      return
    end
    assert.matches("%(pid %d+%): runs task #1, submitted at ", result.out)
    assert.matches("\nlives\r?\n", result.out)
  end)

  it("is heard by a script that computes, as often as it comes", function()
    local result = run([[
      for _ = 1, 3 do
        quit():close()
        for i = 1, 1e5 do local _ = { i } end
      end
      print "done"
    ]])
    assert.are.equal("done\n", result.out)
    local _, count = result.err:gsub("lpool: no pools are open\n", "")
    assert.are.equal(3, count)
  end)

  it("does not disturb a debug hook of the script", function()
    local result = run([[
      local calls = 0
      debug.sethook(function() calls = calls + 1 end, "", 1000)
      quit():close()
      for i = 1, 1e5 do local _ = { i } end
      print(calls > 10, debug.gethook() ~= nil)
    ]])
    assert.are.equal("true\ttrue\n", result.out)
  end)
end)
