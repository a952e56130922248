--- What `make stage` has installed, and hosts built against it.
-- Spec files of this folder begin with `local stage = require "spec.embed.stage"`.
local child = require "spec.support.child"
local temporary = require "spec.support.temporary"

local stage = {}

local lfs = require "lfs"

-- Beside the program that runs these specs.
local build = (os.getenv("LPOOL_BUILD") or "build/release")
stage.folder = lfs.currentdir() .. "/" .. build .. "/stage"
stage.prefix = stage.folder .. "/usr/local"

local sanitize = os.getenv("LPOOL_SANITIZE") or ""

--- Whether hosts are built with a sanitizer, as the library was.
stage.is_sanitized = sanitize ~= ""

--- Whether it was the thread sanitizer.
stage.is_thread_sanitized = sanitize:find("thread") ~= nil

--- Why what is staged cannot be tested; nil if it can.
function stage.missing()
  if not lfs.attributes(stage.prefix .. "/lib/liblpool.so") then
    return "nothing is staged: make stage"
  end
end

-- A program without the sanitizer needs what the library was built with, first.
local runtime = sanitize:find("address") and "libasan.so"
  or stage.is_thread_sanitized and "libtsan.so"
local stock = runtime and ("env LD_PRELOAD=$(cc -print-file-name=%s) lua5.4"):format(runtime)
  or "lua5.4"

--- Settings of shell commands that work with what is staged.
stage.environment = ([[
  unset MAKEFLAGS MAKELEVEL MFLAGS SANITIZE LPOOL_HELPER
  STAGE=%s; P=%s; LUA="%s"
  export LD_LIBRARY_PATH=$P/lib
  export PKG_CONFIG_PATH=$P/lib/pkgconfig
  export LUA_PATH="$P/share/lua/5.4/?.lua;$P/share/lua/5.4/?/init.lua;;"
  export LUA_CPATH="$P/lib/lua/5.4/?.so;;"
]]):format(stage.folder, stage.prefix, stock)

--- Runs a shell command in that environment; `$STAGE` and `$P` are set, and `$LUA` is
-- stock Lua.
-- @tparam string command
-- @tparam[opt] table options as for helper.shell
-- @treturn table as for helper.shell
function stage.shell(command, options)
  return child.shell(stage.environment .. command, options)
end

--- The compiler's arguments that a host needs.
stage.flags = "$(pkg-config --cflags --libs lpool)"

--- Builds a host; fails unless the compiler is silent.
-- @tparam string source the path of a .c file
-- @tparam[opt] string more further arguments of the compiler
-- @treturn string the path of the program
function stage.build(source, more)
  local program = temporary.file()
  if stage.is_sanitized then
    more = ("-fsanitize=%s %s"):format(sanitize, more or "")
  end
  local result = stage.shell(("cc -std=c11 -O1 -g -Wall -Wextra -Wpedantic -Werror %s -o %s %s %s")
    :format(source, program, stage.flags, more or ""))
  assert(result.code == 0 and result.err == "", result.err)
  return program
end

--- Builds a host whose main consists of these lines.
function stage.compile(source)
  local path = temporary.file(source)
  os.rename(path, path .. ".c")
  temporary.claim(path .. ".c")
  return stage.build(path .. ".c")
end

return stage
