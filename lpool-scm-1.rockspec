rockspec_format = "3.0"
package = "lpool"
version = "scm-1"
source = {
  -- The project has no public address yet: run `luarocks make` in a clone.
  url = "git+file://.",
}
description = {
  summary = "Executors and futures for Lua: run functions in parallel",
  detailed = [[
    Pools of threads and of processes with the interface of Python's
    concurrent.futures. Functions travel to the workers with their upvalues
    and the globals they use.
  ]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua ~> 5.4" }
build = {
  type = "make",
  build_target = "build",
  install_target = "install-module",
  install_variables = {
    -- Not BINDIR, which goes into the build: a rock is found where it lies.
    ROCK_BINDIR = "$(BINDIR)",
    LUA_CMOD = "$(LIBDIR)",
    LUA_LMOD = "$(LUADIR)",
  },
}
