/*
 * sigquit.c - a handler that sets a debug hook, which looks around.
 *
 * A wait in lpool ends early at any signal, runs the hooks that were set
 * meanwhile, and goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/sigquit.h"

#include "cli/hook.h"
#include "lpool.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A signal handler gets no argument, hence globals. Main thread only. */
static lua_State *volatile state;     /* NULL outside of enter and leave */
static volatile sig_atomic_t pending; /* the hook is set and has not run */

static lp_saved_hook script_hook;

/* Memory may be short; then there is less to see. */
static int push_traceback(lua_State *L)
{
    luaL_traceback(L, lua_touserdata(L, 1), "the script", 1);
    return 1;
}

static void look_around(lua_State *L, lua_Debug *event)
{
    (void)event; /* The signature is that of lua_Hook. */
    lp_hook_put_back(L, &script_hook);
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
        lp_signal_die(signal);
        return;
    }
    pending = 1;
    lp_hook_interpose(L, look_around, &script_hook);
}

void lp_sigquit_enter(lua_State *L)
{
    state = L;
    pending = 0;
    lp_signal_set(SIGQUIT, on_sigquit);
}

void lp_sigquit_leave(void)
{
    lp_signal_set(SIGQUIT, SIG_DFL);
    if (pending) lp_hook_put_back(state, &script_hook);
    pending = 0;
    state = NULL;
}
