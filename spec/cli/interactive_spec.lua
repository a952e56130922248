local helper = require "spec.helper"

-- Feeds lines to interactive mode; returns what it puts out after the banner.
local function interact(lines, arguments)
  local result = helper.shell("$LPOOL -i " .. (arguments or ""), { input = lines })
  assert.are.equal(0, result.code)
  return (result.out:gsub("^lpool [^\n]+\n", "")), result.err
end

describe("interactive mode", function()
  it("prints the values of expressions", function()
    assert.are.equal("> 2\n> 1\tnil\n> \n", (interact("1 + 1\n1, nil\n")))
  end)

  it("takes = before an expression, as Lua 5.1 did", function()
    assert.are.equal("> 2\n> \n", (interact("=1 + 1\n")))
  end)

  it("prints nothing for statements", function()
    assert.are.equal("> > 5\n> \n", (interact("x = 5\nx\n")))
  end)

  it("reads on until a statement is whole", function()
    assert.are.equal("> >> >> 1\n2\n> \n", (interact("for i = 1, 2 do\nprint(i)\nend\n")))
  end)

  it("reports an error with a traceback, and goes on", function()
    local out, err = interact("error('e')\n1\n")
    assert.are.equal("> > 1\n> \n", out)
    assert.matches("^stdin:1: e\nstack traceback:\n", err)
  end)

  it("reports a statement that the input ends in", function()
    local _, err = interact("local")
    assert.matches("^stdin:1: <name> expected near <eof>\n$", err)
  end)

  it("calls whatever print is", function()
    local out, err = interact("print = nil\n1\n")
    assert.are.equal("> > > \n", out)
    assert.matches("^error calling 'print' %(", err)
  end)

  it("shows _PROMPT and _PROMPT2", function()
    assert.are.equal("> a b c\n> \n",
      (interact("_PROMPT, _PROMPT2 = 'a ', 'b '\nprint(\n'c') _PROMPT = nil\n")))
  end)

  it("comes after the script", function()
    local script = helper.temporary.file("x = ... print('script')")
    assert.are.equal("script\n> y\n> \n", (interact("x\n", script .. " y")))
  end)

  it("goes on after Ctrl-C", function()
    local out, err = interact("io.popen('kill -INT $PPID'):close() while true do _ = {} end\n1\n")
    assert.are.equal("> > 1\n> \n", out)
    assert.matches("interrupted!\nstack traceback:", err)
  end)
end)

describe("without arguments on a terminal, lpool", function()
  it("is interactive", function()
    local result = helper.shell([[
      script -qec true /dev/null >/dev/null || exit 77
      { echo 'print("on", 1 + 1)'; echo 'os.exit(3)'; } |
        TERM=dumb script -qec "$LPOOL" /dev/null
    ]])
    if result.code == 77 then
      pending("needs script(1) and pseudo-terminals")
      return
    end
    helper.contains("on\t2", result.out)
    assert.are.equal(3, result.code)
  end)
end)
