-- The helper itself: what would not fail by itself must fail by it.
local helper = require "spec.helper"

describe("spec.helper:", function()
  -- Runs busted on a spec with this one test.
  local function busted_on(name, body)
    local path = helper.temporary.file(([[
      local helper = require "spec.helper"
      local lpool = require "lpool"
      collectgarbage() -- files that busted has dropped do not count
      it(%q, function() %s end)
    ]]):format(name, body))
    local spec = path .. "_spec.lua"
    os.rename(path, spec)
    helper.temporary.claim(spec)
    return helper.shell(([[
      LPOOL_PATIENCE=1 LPOOL_TEST_SECONDS=1 LPOOL_SETTLE_SECONDS=0.1 \
      exec $LPOOL spec/run.lua -o TAP %s
    ]]):format(spec))
  end

  it("lets a test pass that leaves nothing", function()
    local result = busted_on("is clean", [[
      local ex <close> = lpool.ThreadPoolExecutor(2)
      ex:submit(math.max, 1):result()
    ]])
    assert.are.equal(0, result.code, result.out .. result.err)
  end)

  it("kills a run that hangs, and names the test", function()
    local result = busted_on("never ends", "while true do end")
    helper.contains("time limit passed in", result.err)
    helper.contains("never ends", result.err)
    assert.is_true(result.code > 128)
  end)

  it("fails a test that leaves a thread", function()
    local result = busted_on("keeps a worker", [[
      _G.kept = lpool.ThreadPoolExecutor(1)
      _G.kept:submit(math.max, 1):result()
    ]])
    helper.contains("left behind: thread", result.out)
    assert.are.equal(1, result.code)
  end)

  it("fails a test that leaves a descriptor", function()
    local result = busted_on("keeps a file", "_G.kept = io.open('/dev/null')")
    helper.contains("left behind: descriptor", result.out)
    helper.contains("/dev/null", result.out)
    assert.are.equal(1, result.code)
  end)

  it("fails a test that leaves a child", function()
    local result = busted_on("keeps a process", "_G.kept = io.popen('exec sleep 0.8')")
    helper.contains("child", result.out)
    helper.contains("sleep", result.out)
    assert.are.equal(1, result.code)
  end)

  it("fails a misuse that is blamed on another line than the caller's", function()
    assert.has_error(function()
      helper.misuse(function()
        error("wrong level", 0)
      end, "wrong level")
    end)
  end)

  helper.each_kind(function(kind, make)
    it("makes executors of each kind", function()
      local ex <close> = make()
      assert.are.equal(2, ex:submit(math.max, 1, 2):result())
      assert.is_string(kind.constructor)
    end)
  end)
end)
