/*
 * exit.c - tasks that end before they are done: by os.exit, or because they
 * are stopped from outside.
 *
 * The error that ends them must not be caught by a pcall on its way, so a
 * debug hook raises it again at each instruction. Hooks belong to one
 * coroutine. The one that runs is armed; those that wait for it get their
 * hook when they are resumed, which is why resume, wrap and close are watched.
 */
#include "vm/vm.h"

#include <stdlib.h>

static int raise_end(lua_State *L, const lp_state *state)
{
    return luaL_error(L, state->exited ? "os.exit was called"
                                       : "the task was stopped");
}

static void end_hook(lua_State *L, lua_Debug *event)
{
    const lp_state *state = lp_state_of(L);
    (void)event;
    if (state->exited || lp_stop_is_set(state->stop)) {
        raise_end(L, state);
    } else {
        /* A coroutine that was armed just as it yielded, and kept. */
        lua_sethook(L, NULL, 0, 0);
    }
}

/* From a signal handler, which Lua allows. */
void lp_stop_arm(void *current)
{
    lua_sethook(current, end_hook, LUA_MASKCOUNT, 1);
}

void lp_stop_open(lp_state *state)
{
    if (!state->stop) return;
    state->stop->arm = lp_stop_arm;
    state->stop->ask = lp_stack_ask;
    state->stop->asked = state;
    state->stop->current = state->L;
}

static lp_state *state_upvalue(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* From here on the coroutine L does nothing but unwind. */
static int unwind(lua_State *L, const lp_state *state)
{
    lua_sethook(L, end_hook, LUA_MASKCOUNT, 1);
    return raise_end(L, state);
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
    lua_sethook(state->L, end_hook, LUA_MASKCOUNT, 1);
    return unwind(L, state);
}

/* The coroutine that upvalue 2 will run in; NULL if that is an error. */
static lua_State *resumed(lua_State *L)
{
    /* What wrap returned has it as its upvalue. */
    if (!lua_getupvalue(L, lua_upvalueindex(2), 1)) return lua_tothread(L, 1);
    lua_State *coroutine = lua_tothread(L, -1);
    lua_pop(L, 1);
    return coroutine;
}

/*
 * coroutine.resume, what wrap returned, or coroutine.close, which runs what
 * closes variables: upvalue 2 is the original.
 */
static int watched_resume(lua_State *L)
{
    lp_state *state = state_upvalue(L);
    lp_stop *stop = state->stop;
    lua_State *coroutine = stop ? resumed(L) : NULL;
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    if (coroutine) stop->current = coroutine;
    /* Stopped just now, when this one was no longer, or not yet, current. */
    if (coroutine && lp_stop_is_set(stop)) lp_stop_arm(coroutine);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (coroutine) stop->current = L;
    if (state->exited || lp_stop_is_set(stop)) return unwind(L, state);
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
    watch(L, state, "close", watched_resume);
    lua_pop(L, 2);
}
