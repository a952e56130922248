-- scripts/practical/word_count.lua counts as wc does.

local helper = require "spec.helper"

local SCRIPT = "scripts/practical/word_count.lua"

local function word_count(arguments, options)
  return helper.shell(("$LPOOL %s %s"):format(SCRIPT, arguments or ""), options)
end

-- "3 lines, 5 words, 24 bytes in 2 files" -> "3 5 24"
local function totals(output)
  local line = output:match("[^\n]* lines?, [^\n]*"):gsub(",(%d)", "%1")
  return ("%d %d %d"):format(line:match("(%d+) lines?, (%d+) words?, (%d+) bytes? in"))
end

-- The same of the files that find is told to find, by wc.
local function wc(...)
  local finds = {}
  for i, arguments in ipairs { ... } do
    finds[i] = "find -H " .. arguments .. [[ -type f -exec sh -c 'for f; do wc <"$f"; done' - {} +]]
  end
  local sum = [[awk '{ l += $1; w += $2; b += $3 } END { printf "%d %d %d", l, w, b }']]
  return helper.shell(("export LC_ALL=C; (%s) | %s"):format(table.concat(finds, "; "), sum)).out
end

local function assert_agrees(path)
  local result = word_count("'" .. path .. "'")
  assert.are.equal("", result.err)
  assert.are.equal(0, result.code)
  assert.are.equal(wc("'" .. path .. "'"), totals(result.out))
end

-- A folder with these files; gone after the test.
local function folder(files)
  local path = helper.temporary.file()
  os.remove(path)
  assert(os.execute(("mkdir '%s' '%s/in it'"):format(path, path)))
  for name, content in pairs(files) do
    local file <close> = assert(io.open(path .. "/" .. name, "wb"))
    file:write(content)
    helper.temporary.claim(path .. "/" .. name)
  end
  helper.temporary.claim(path .. "/in it")
  helper.temporary.claim(path)
  return path
end

describe("word_count:", function()
  it("says what wc says of a folder", function()
    assert_agrees(folder {
      ["one.txt"] = "The cat sat on the mat.\nThe end.\n",
      ["no end"] = "no newline at the end",
      ["it's quoted \" $HOME"] = " \t leading, and trailing \n\n\n",
      ["in it/deeper"] = "deeper\fwords\vby\rall white space",
      ["-rf"] = "a name like an option\n",
      ["line\nbreak"] = "a name of two lines\n",
      ["empty"] = "",
      ["bytes"] = "caf\xc3\xa9 \xe9 \xc2\xa9 \0 \1 a\0b \x80\x81x\n",
    })
  end)

  it("says what wc says of large files, which are cut", function()
    local words = {}
    for i = 1, 60000 do
      words[i] = ("w"):rep(i % 23) .. (i % 7 == 0 and "\n" or i % 3 == 0 and "  " or " ")
    end
    local path = folder {
      ["words"] = table.concat(words),
      ["one word"] = ("x"):rep(500000),
      ["spaces"] = (" "):rep(300000),
      ["lines"] = ("\n"):rep(200000),
    }
    assert_agrees(path)
    for _, name in ipairs { "words", "one word", "spaces", "lines" } do
      assert_agrees(path .. "/" .. name)
    end
  end)

  it("says what wc says of bytes that are no text", function()
    assert_agrees("/bin/sh")
  end)

  it("ranks words without regard to case and punctuation", function()
    local path = folder { text = "The (the) THE! a/b cat, cat don't 42 ---\n" }
    local result = word_count(path)
    assert.matches("^ +3  the\n +2  cat\n1 line, 9 words, 41 bytes in 1 file\n", result.out)
  end)

  it("prints the time of both ways", function()
    local result = word_count(folder { text = "a b c\n" })
    assert.matches("\nin sequence +%d+%.%d+ s\n", result.out)
    assert.matches("\nin a pool of %d+ workers? +%d+%.%d+ s, %d+%.%d+ times as fast\n$", result.out)
  end)

  it("counts nothing in an empty folder", function()
    local result = word_count(folder {})
    helper.contains("0 lines, 0 words, 0 bytes in 0 files", result.out)
    assert.are.equal(0, result.code)
  end)

  it("counts a file as often as it is named", function()
    local path = folder { text = "a b\n" }
    helper.contains("2 lines, 4 words, 8 bytes in 2 files",
      word_count(("%s %s/text"):format(path, path)).out)
  end)

  it("follows links that are named, and no others", function()
    local path = folder { text = "a b\n" }
    assert(os.execute(("ln -s text '%s/link'"):format(path)))
    helper.temporary.claim(path .. "/link")
    helper.temporary.claim(path) -- again, now that it can be empty
    helper.contains(" in 1 file\n", word_count(path).out)
    helper.contains("1 line, 2 words, 4 bytes in 1 file\n", word_count(path .. "/link").out)
  end)

  it("shows its usage", function()
    local result = word_count("--help")
    assert.are.equal(0, result.code)
    assert.matches("^usage: ", result.out)
    assert.are.equal("", result.err)
  end)

  local mistakes = {
    ["no-such-file"] = "no-such-file: No such file or directory",
    ["README.md no-such-file"] = "no-such-file: No such file or directory",
    ["/dev/null"] = "/dev/null: neither a file nor a folder",
    ["--fast"] = "unknown option '--fast'; try --help",
  }
  for arguments, message in pairs(mistakes) do
    it("complains in one line about " .. arguments, function()
      local result = word_count(arguments)
      assert.are.equal(1, result.code)
      assert.are.equal("", result.out)
      assert.are.equal("word_count: " .. message .. "\n", result.err)
    end)
  end

  it("says what wc says of its default input, from any folder #slow", function()
    local result = helper.shell([[
      lpool=$(realpath "$LPOOL") script=$(realpath ]] .. SCRIPT .. [[)
      cd / && $lpool "$script"
    ]], { limit = 60 })
    assert.are.equal("", result.err)
    assert.are.equal(0, result.code)
    local expected = wc(". -name '*.md'", "/usr/share/common-licenses 2>/dev/null",
      "/usr/share/doc -name copyright 2>/dev/null")
    assert.are.equal(expected, totals(result.out))
  end)
end)
