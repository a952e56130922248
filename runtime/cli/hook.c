/*
 * hook.c - interposing a debug hook; signal actions.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/hook.h"

#include <signal.h>
#include <string.h>

void lp_hook_interpose(lua_State *L, lua_Hook function, lp_saved_hook *saved)
{
    saved->function = lua_gethook(L);
    saved->mask = lua_gethookmask(L);
    saved->count = lua_gethookcount(L);
    lua_sethook(L, function,
                LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void lp_hook_put_back(lua_State *L, const lp_saved_hook *saved)
{
    lua_sethook(L, saved->function, saved->mask, saved->count);
}

void lp_signal_set(int signal, void (*handler)(int))
{
    struct sigaction action;

    memset(&action, 0, sizeof(action)); /* no SA_RESTART: reads end early */
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    (void)sigaction(signal, &action, NULL); /* cannot fail for those we use */
}

void lp_signal_die(int signal)
{
    lp_signal_set(signal, SIG_DFL);
    raise(signal); /* Delivered when the handler returns. */
}
