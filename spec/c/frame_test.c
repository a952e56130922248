/* frame_test.c - whether the frames of the Lua that we are built for are read
 * rightly: if not, nothing breaks, but submits are slow. */
#include "check.h"

#include "vm/frame.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Called with the function that its caller is. */
static int check_caller(lua_State *L)
{
    lua_Debug caller;
    CHECK(lua_getstack(L, 1, &caller));
    const lp_frame frame = lp_frame_read(&caller);
    CHECK(frame.function == lua_topointer(L, 1));
    lua_pushinteger(L, (lua_Integer)(intptr_t)frame.instruction);
    return 1;
}

/* Called by pcall, which is no function in Lua, with what calls that. */
static int check_pcall(lua_State *L)
{
    lua_Debug pcall, caller;
    CHECK(lua_getstack(L, 1, &pcall) && lua_getstack(L, 2, &caller));
    CHECK(lp_frame_read(&pcall).function != lua_topointer(L, 1));
    CHECK(lp_frame_read(&caller).function == lua_topointer(L, 1));
    return 0;
}

static const char chunk[] =
    "local check, check_pcall = ...\n"
    "local function f(n)\n"
    "  if n == 0 then return check(f) end\n"
    "  local a, b = check(f), check(f)\n"
    "  assert(a ~= b and (f(n - 1) == a) == (n > 1))\n"
    "  return a\n"
    "end\n"
    "assert(f(3) == f(2) and f(0) ~= f(1))\n"
    "assert(f(1) == coroutine.wrap(f)(5))\n"
    "local function g() assert(pcall(check_pcall, g)) end\n"
    "g() coroutine.wrap(g)()\n"
    "debug.sethook(function() end, 'l')\n"
    "assert(f(1) == f(2))\n";

static void test_frames_are_known(void)
{
    CHECK(lp_frame_can_read());
    lua_State *L = luaL_newstate();
    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "coroutine", luaopen_coroutine, 1);
    luaL_requiref(L, "debug", luaopen_debug, 1);
    CHECK(luaL_loadstring(L, chunk) == LUA_OK);
    lua_pushcfunction(L, check_caller);
    lua_pushcfunction(L, check_pcall);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        printf("# %s\n", lua_tostring(L, -1));
        CHECK(!"the chunk ran");
    }
    lua_close(L);
}

int main(void)
{
    test_frames_are_known();
    printf("%s 1 - frames: they are where this Lua has them\n1..1\n",
           failures == 0 ? "ok" : "not ok");
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
