local helper = require "spec.helper"

-- Runs a command that must succeed in silence on stderr; returns its output.
local function output(command, options)
  local result = helper.shell(command, options)
  assert.are.equal("", result.err)
  assert.are.equal(0, result.code)
  return result.out
end

describe("lpool's options:", function()
  describe("-e", function()
    it("runs a string", function()
      assert.are.equal("2\n", output("$LPOOL -e 'print(1 + 1)'"))
    end)

    it("may have its string attached, and be given several times", function()
      assert.are.equal("1\n2\n", output("$LPOOL '-ex = 1' '-eprint(x)' -e 'print(x + 1)'"))
    end)

    it("runs before the script", function()
      local script = helper.temporary.file("print(x, ...)")
      assert.are.equal("7\ta\n", output("$LPOOL -e 'x = 7' " .. script .. " a"))
    end)

    it("does not read the standard input", function()
      assert.are.equal("", output("$LPOOL -e ''", { input = "print('read')" }))
    end)
  end)

  describe("-l", function()
    it("requires a module into a global of its name", function()
      assert.are.equal("table\n", output("$LPOOL -l lpool -e 'print(type(lpool))'"))
    end)

    it("requires a module into another global", function()
      assert.are.equal("table\tnil\n", output("$LPOOL -lp=lpool -e 'print(type(p), lpool)'"))
    end)

    it("fails if there is no such module", function()
      local result = helper.shell("$LPOOL -l no.such.module")
      assert.are.equal(1, result.code)
      helper.contains("lpool: module 'no.such.module' not found", result.err)
    end)
  end)

  it("lpool is no global unless it is asked for", function()
    assert.are.equal("nil\tnil\n", output("$LPOOL -e 'print(lpool, package.loaded.lpool)'"))
  end)

  describe("--stats", function()
    it("shows at the end what all pools have done", function()
      local script = helper.temporary.file([[
        local lpool = require "lpool"
        for _ = 1, 3 do
          local ex <close> = lpool.ThreadPoolExecutor(2)
          ex:map(math.abs, lpool.range(1, 100)):totable()
        end
        local ex <close> = lpool.SerialExecutor()
        ex:submit(error, "no"):exception()
      ]])
      local result = helper.shell("$LPOOL --stats " .. script)
      assert.are.equal(0, result.code)
      assert.matches("^lpool: 301 tasks in %d+%.%d+ s: "
        .. "300 completed, 1 failed, 0 cancelled, 0 lost\n"
        .. "lpool: ran: p50 0%.%d+ s, p90 [^\n]+\nlpool: waited: p50 [^\n]+\n$", result.err)
    end)

    it("shows that there were no tasks", function()
      assert.matches("^lpool: 0 tasks in ", helper.shell("$LPOOL --stats -e ''").err)
    end)
  end)

  describe("-W", function()
    it("turns warnings on", function()
      assert.are.equal("Lua warning: w\n", helper.shell("$LPOOL -W -e \"warn('w')\"").err)
    end)

    it("is needed for them", function()
      assert.are.equal("", output("$LPOOL -e \"warn('w')\""))
    end)
  end)

  describe("-E", function()
    it("ignores LUA_INIT", function()
      assert.are.equal("1\n", output("LUA_INIT='print(0)' $LPOOL -E -e 'print(1)'"))
    end)

    it("ignores LUA_PATH", function()
      assert.are.equal("nil\n",
        output("LUA_PATH=mine $LPOOL -E -e 'print(package.path:find(\"mine\"))'"))
    end)

    it("ignores LPOOL_LUA_DIR", function()
      local folder = helper.temporary.file("")
      assert.are.equal("table\n",
        output(("LPOOL_LUA_DIR=%s $LPOOL -E -e 'print(type(require(\"lpool\")))'"):format(folder)))
    end)
  end)

  describe("-v", function()
    it("shows the version and goes on", function()
      assert.matches("^lpool %d+%.%d+%.%d+ %(Lua 5%.4.-\n1\n$", output("$LPOOL -v -e 'print(1)'"))
    end)

    it("alone does not read the standard input", function()
      assert.matches("^[^\n]+\n$", output("$LPOOL -v", { input = "print('read')" }))
    end)
  end)

  describe("--version", function()
    it("shows the version and nothing else", function()
      assert.matches("^lpool %d+%.%d+%.%d+ [^\n]+\n$", output("$LPOOL --version -e 'print(1)'"))
    end)
  end)

  describe("--help", function()
    it("shows the usage and nothing else", function()
      local text = output("$LPOOL --help -e 'print(\"ran\")'")
      assert.matches("^usage: lpool %[options%] %[script %[args%]%]\n", text)
      helper.contains("\n  -e stat ", text)
      helper.lacks("ran", text)
    end)

    it("after the script is the script's", function()
      local script = helper.temporary.file("print(...)")
      assert.are.equal("--help\n", output("$LPOOL " .. script .. " --help"))
    end)
  end)

  describe("wrong usage", function()
    local cases = {
      ["an unknown letter"] = { "-x", "unrecognized option '-x'" },
      ["an unknown word"] = { "--stat", "unrecognized option '--stat'" },
      ["letters together"] = { "-iE", "unrecognized option '-iE'" },
      ["-e without its string"] = { "-e", "'-e' needs argument 'stat'" },
      ["--trace without its file"] = { "--trace", "'--trace' needs argument 'file'" },
      ["--trace with something attached"] = { "--trace=x", "unrecognized option '--trace=x'" },
      ["-l followed by an option"] = { "-l -i", "'-l' needs argument '[g=]mod'" },
    }
    for name, case in pairs(cases) do
      it("is said in one line: " .. name, function()
        local result = helper.shell("$LPOOL " .. case[1])
        helper.refused(("lpool: %s; try 'lpool --help'\n"):format(case[2]), result)
      end)
    end
  end)
end)
