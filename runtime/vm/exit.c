/*
 * exit.c - os.exit in a worker: the task ends, and the program does not.
 *
 * The error that os.exit raises must not be stopped by a pcall on its way,
 * so a debug hook raises it again at each instruction. Hooks belong to one
 * coroutine; those that wait for the one that called os.exit get theirs when
 * they are resumed, which is why resume and wrap are watched.
 */
#include "vm/vm.h"

#include <stdlib.h>

static int raise_exit(lua_State *L)
{
    return luaL_error(L, "os.exit was called");
}

static void exit_hook(lua_State *L, lua_Debug *event)
{
    (void)event;
    raise_exit(L);
}

static lp_state *state_upvalue(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* From here on the coroutine L does nothing but unwind. */
static int unwind(lua_State *L)
{
    lua_sethook(L, exit_hook, LUA_MASKCOUNT, 1);
    return raise_exit(L);
}

/* os.exit([code]) */
static int exit_task(lua_State *L)
{
    lp_state *state = state_upvalue(L);
    if (lua_isboolean(L, 1)) {
        state->exit_code = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
        state->exit_code = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    }
    state->exited = state->has_exited = true;
    lua_sethook(state->L, exit_hook, LUA_MASKCOUNT, 1);
    return unwind(L);
}

/* coroutine.resume, or what wrap returned: upvalue 2 is the original. */
static int watched_resume(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (state_upvalue(L)->exited) return unwind(L);
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* coroutine.wrap(f) */
static int watched_wrap(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 2, 1);
    lua_pushcclosure(L, watched_resume, 2);
    return 1;
}

/* Put function in front of the original of that name in the table on top. */
static void watch(lua_State *L, lp_state *state, const char *name,
                  lua_CFunction function)
{
    lua_pushlightuserdata(L, state);
    lua_getfield(L, -2, name);
    lua_pushcclosure(L, function, 2);
    lua_setfield(L, -2, name);
}

void lp_exit_open(lua_State *L, lp_state *state)
{
    lua_getglobal(L, "os");
    lua_pushlightuserdata(L, state);
    lua_pushcclosure(L, exit_task, 1);
    lua_setfield(L, -2, "exit");
    lua_getglobal(L, "coroutine");
    watch(L, state, "resume", watched_resume);
    watch(L, state, "wrap", watched_wrap);
    lua_pop(L, 2);
}
