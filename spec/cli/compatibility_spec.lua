-- lpool takes all that lua takes: the same command gives the same output.
-- One thing differs: `lua` exits with 0 if a script on standard input fails.
local helper = require "spec.helper"

local script = [[
print("script", arg[0], #arg, ...)
for i = -4, 3 do io.write(tostring(arg[i]), " ") end
print()
]]

-- Commands for /bin/sh; $P is the program, $S a script.
local same = {
  [[$P $S]],
  [[$P $S a 'b c' '']],
  [[$P -- $S -x]],
  [[$P -W -E -e "x = 1" $S 1 2]],
  [[$P -e "print(1)" -e "print(2)"]],
  [[$P -e "print(...)" ]],
  [[$P -e "warn('@on')" -e "warn('a', 'b')"]],
  [[$P -l g=string -e "print(g == string)"]],
  [[$P -l nope]],
  [[$P -E -e "print(package.path, package.cpath)"]],
  [[$P -e "print(collectgarbage('incremental'))"]],
  [[$P -e "error()"]],
  [[$P -e "error(nil)"]],
  [[$P -e "error(42)"]],
  [[$P -e "error({})"]],
  [[$P -e "error(setmetatable({}, {__tostring = function() return 7 end}))"]],
  [[$P -e "error(setmetatable({}, {__name = 'My'}))"]],
  [[$P -e "coroutine.wrap(function() error('in') end)()"]],
  [[$P -e "string.rep()"]],
  [[$P -e "x ="]],
  [[$P -e "arg = 1" $S]],
  [[$P -e "os.exit(3)"]],
  [[$P -e "os.exit(true, true)"]],
  [[$P no-such-file]],
  [[echo 'print(arg[0], ...)' | $P -]],
  [[echo 'print(arg[0], ...)' | $P - a b]],
  [[echo 'print(arg[0] ~= nil, ...)' | $P --]],
  [[cd /tmp && echo 'print(2)' | $P -- -]],
  [[LUA_INIT="print(1)" $P $S]],
  [[LUA_INIT="print(1)" LUA_INIT_5_4="print(2)" $P $S]],
  [[LUA_INIT="print(1)" $P -E $S]],
  [[LUA_INIT="@$S" $P -e ""]],
  [[LUA_INIT=@none $P $S]],
  [[LUA_INIT="x x" $P $S]],
  [[LUA_INIT="error(5)" $P $S]],
}

local function run(program, command, path)
  local result = helper.shell(("P=%s S=%s\n%s"):format(program, path, command))
  -- lua5.4 begins its messages with the name it was called by.
  return { code = result.code, out = result.out, err = result.err:gsub("^lua5%.4:", "lpool:") }
end

describe("like lua:", function()
  for _, command in ipairs(same) do
    it(command, function()
      if helper.shell("command -v lua5.4").code ~= 0 then
        pending("needs lua5.4")
        return
      end
      local path = helper.temporary.file(script)
      local expected = run("lua5.4", command, path)
      local found = run("$LPOOL", command, path)
      found.out = found.out:gsub("%S*lpool%f[%s]", "lua5.4") -- in what arg holds
      assert.are.same(expected, found)
    end)
  end
end)
