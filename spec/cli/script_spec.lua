local helper = require "spec.helper"

local function shell(command, options)
  return helper.shell(command, options)
end

describe("lpool and its script:", function()
  it("arg holds the script at 0, arguments above, the rest below", function()
    local script = helper.temporary.file("print(arg[-2], arg[0], arg[1], arg[2], #arg, ...)")
    local result = shell(("$LPOOL -W -- %s a -b"):format(script))
    local expected = ("-W\t%s\ta\t-b\t2\ta\t-b\n"):format(script)
    assert.are.equal(expected, result.out)
  end)

  it("without a script arg holds the program at 0", function()
    assert.are.equal("true\t-e\n", shell("$LPOOL -e 'print(arg[0] ~= nil, arg[1])'").out)
  end)

  it("the script may change what it is passed through arg", function()
    local script = helper.temporary.file("print(...)")
    assert.are.equal("x\n", shell("$LPOOL -e 'arg[1] = \"x\"' " .. script .. " a").out)
  end)

  it("runs the standard input if there is no script", function()
    assert.are.equal("2\n", shell("$LPOOL", { input = "print(1 + 1)" }).out)
  end)

  it("runs the standard input for -, with arguments", function()
    assert.are.equal("-\ta\n", shell("$LPOOL - a", { input = "print(arg[0], ...)" }).out)
  end)

  it("skips a first line that begins with #", function()
    local script = helper.temporary.file("#!/usr/bin/env lpool\nprint('ran')")
    assert.are.equal("ran\n", shell("$LPOOL " .. script).out)
  end)

  it("finds its own modules from any folder", function()
    local result = shell("cd / && $LPOOL -e 'print(require(\"lpool\")._VERSION ~= nil)'")
    assert.are.equal("true\n", result.out)
  end)
end)

describe("lpool's LUA_INIT:", function()
  it("is run first", function()
    assert.are.equal("1\n2\n", shell("LUA_INIT='print(1)' $LPOOL -e 'print(2)'").out)
  end)

  it("of this version comes before the general one", function()
    assert.are.equal("5.4\n",
      shell("LUA_INIT='print(0)' LUA_INIT_5_4='print(5.4)' $LPOOL -e ''").out)
  end)

  it("names a file after @", function()
    local file = helper.temporary.file("print('from a file')")
    assert.are.equal("from a file\n", shell(("LUA_INIT=@%s $LPOOL -e ''"):format(file)).out)
  end)

  it("that fails ends the program", function()
    local result = shell("LUA_INIT='error(\"bad\")' $LPOOL -e 'print(1)'")
    assert.are.equal(1, result.code)
    assert.are.equal("", result.out)
    helper.contains("lpool: LUA_INIT:1: bad\nstack traceback:", result.err)
  end)
end)

describe("lpool's exit code:", function()
  local codes = {
    ["print()"] = 0,
    ["error('e')"] = 1,
    ["syntax error"] = 1,
    ["os.exit(7)"] = 7,
    ["os.exit(7, true)"] = 7,
    ["os.exit(true)"] = 0,
    ["os.exit(false, true)"] = 1,
  }
  for source, code in pairs(codes) do
    it(("is %d after %s"):format(code, source), function()
      assert.are.equal(code, shell("$LPOOL -", { input = source }).code)
    end)
  end

  it("is 1 if the script does not exist", function()
    local result = shell("$LPOOL no-such-script.lua")
    assert.are.equal(1, result.code)
    assert.matches("^lpool: cannot open no%-such%-script%.lua[^\n]*\n$", result.err)
  end)
end)

describe("lpool's report of an error", function()
  local function report(source)
    local result = shell("$LPOOL -", { input = source })
    assert.are.equal(1, result.code)
    return result.err
  end

  it("is the message with its place and a traceback", function()
    local text = report("local function f() error('boom') end\nf()")
    assert.matches("^lpool: stdin:1: boom\nstack traceback:\n", text)
    helper.contains("in main chunk", text)
  end)

  it("is what __tostring says", function()
    local text = report("error(setmetatable({}, { __tostring = function() return 'me' end }))")
    assert.matches("^lpool: me\nstack traceback:\n", text)
  end)

  it("names the type of other values", function()
    assert.matches("^lpool: %(error object is a nil value%)\n", report("error(nil)"))
    assert.matches("^lpool: %(error object is a table value%)\n", report("error({})"))
  end)

  it("comes after the output so far", function()
    local result = shell("$LPOOL -e 'print(1)' -e 'error(\"e\")' 2>&1")
    assert.matches("^1\nlpool: %(command line%):1: e\n", result.out)
  end)

  it("shows the worker's traceback too", function()
    local text = report([[
      local lpool = require "lpool"
      local function inner() error("boom") end
      local ex <close> = lpool.ThreadPoolExecutor(1)
      ex:submit(function() inner() end):result()
    ]])
    assert.matches("^lpool: stdin:2: boom\nstack traceback:\n", text)
    assert.matches("\nin the worker:\n.*'inner'", text)
  end)
end)

it("lpool has every file of lua/ compiled in", function()
  local known = shell("$LPOOL -e 'for name in pairs(package.preload) do print(name) end'").out
  for path in io.popen("cd lua && find . -name '*.lua'"):lines() do
    local name = path:gsub("^%./", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    helper.contains("\n" .. name .. "\n", "\n" .. known)
  end
end)

describe("LPOOL_LUA_DIR", function()
  it("puts files before the modules in the program", function()
    local result = shell([[
      folder=$(mktemp -d) && mkdir $folder/lpool
      echo 'return "from disk"' >$folder/lpool/init.lua
      LPOOL_LUA_DIR=$folder $LPOOL -e 'print((require "lpool"))'
      rm -r $folder
    ]])
    assert.are.equal("from disk\n", result.out)
  end)

  it("leaves the modules that it does not have", function()
    local result = shell([[LPOOL_LUA_DIR=/ $LPOOL -e 'print(type(require "lpool"))']])
    assert.are.equal("table\n", result.out)
  end)
end)
