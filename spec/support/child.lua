--- Runs Lua programs in an lpool of their own.
-- For what may crash or end the process, and for what a user sees: output,
-- exit code, time.
local lfs = require "lfs"
local temporary = require "spec.support.temporary"

local child = {}

--- The program under test, by a path that holds in any folder.
child.program = os.getenv("LPOOL_PROGRAM") or "./lpool"
if child.program:find("^[^/].*/") then
  child.program = lfs.currentdir() .. "/" .. child.program
end

local PATIENCE = tonumber(os.getenv("LPOOL_PATIENCE")) or 1

local function status(_, how, code)
  return how == "signal" and 128 + code or code
end

--- Runs a shell command, with a time limit.
-- @tparam string command `$LPOOL` in it is the program
-- @tparam[opt] table options `limit` in seconds, `input` for its standard input
-- @treturn table `out`, `err`, `code` (124: took too long), `seconds`
function child.shell(command, options)
  options = options or {}
  local lpool = require "lpool"
  local script = temporary.file(command)
  local out, err = temporary.file(), temporary.file()
  local input = options.input and temporary.file(options.input) or "/dev/null"
  local limit = (options.limit or 20) * PATIENCE
  local start = lpool.now()
  local command_line = ("exec env LPOOL=%s timeout -k 2 %g sh %s <%s >%s 2>%s"):format(
    child.program, limit, script, input, out, err)
  local code = status(os.execute(command_line))
  return {
    seconds = lpool.now() - start,
    code = code,
    out = temporary.read(out),
    err = temporary.read(err),
  }
end

--- Runs a Lua program with the program under test.
-- @tparam string source
-- @tparam[opt] table options as for shell; `args` a string of arguments, `env`
-- one of assignments to environment variables
-- @treturn table as for shell
function child.run(source, options)
  options = options or {}
  local script = temporary.file(source)
  local environment = options.env and ("export %s; "):format(options.env) or ""
  local command = ("%sexec $LPOOL %s %s"):format(environment, script, options.args or "")
  return child.shell(command, options)
end

return child
