/*
 * sigquit.c - a handler that sets a debug hook, which looks around.
 *
 * A wait in lpool ends early at any signal, runs the hooks that were set
 * meanwhile, and goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/sigquit.h"

#include "lpool.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A signal handler gets no argument, hence globals. Main thread only. */
static lua_State *volatile state;     /* NULL outside of enter and leave */
static volatile sig_atomic_t pending; /* the hook is set and has not run */

/* The debug hook of the script, put back once ours has run. */
static lua_Hook script_hook;
static int script_mask;
static int script_count;

static void set_action(void (*handler)(int))
{
    struct sigaction action;

    memset(&action, 0, sizeof(action)); /* no SA_RESTART: waits end early */
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGQUIT, &action, NULL); /* cannot fail for this one */
}

/* Memory may be short; then there is less to see. */
static int push_traceback(lua_State *L)
{
    luaL_traceback(L, lua_touserdata(L, 1), "the script", 1);
    return 1;
}

static void look_around(lua_State *L, lua_Debug *event)
{
    (void)event; /* The signature is that of lua_Hook. */
    lua_sethook(L, script_hook, script_mask, script_count);
    pending = 0;
    (void)fflush(stdout); /* Output so far shows before it. */
    lua_pushcfunction(L, push_traceback);
    lua_pushlightuserdata(L, L);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        fprintf(stderr, "lpool: %s\n", lua_tostring(L, -1));
    lua_pop(L, 1);
    if (lpool_of(L)) (void)lpool_dump(lpool_of(L));
}

static void on_sigquit(int signal)
{
    lua_State *L = state;

    if (pending) {
        set_action(SIG_DFL);
        raise(signal); /* Delivered when the handler returns. */
        return;
    }
    pending = 1;
    script_hook = lua_gethook(L);
    script_mask = lua_gethookmask(L);
    script_count = lua_gethookcount(L);
    lua_sethook(L, look_around,
                LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void lp_sigquit_enter(lua_State *L)
{
    state = L;
    pending = 0;
    set_action(on_sigquit);
}

void lp_sigquit_leave(void)
{
    set_action(SIG_DFL);
    if (pending) lua_sethook(state, script_hook, script_mask, script_count);
    pending = 0;
    state = NULL;
}
