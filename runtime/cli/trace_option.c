/*
 * trace_option.c - a host that is opened before the script asks for it.
 *
 * The host ends the trace when the state is closed. os.exit does not close
 * it, nor does Ctrl-C; so the program remembers the host for as long as the
 * state lives.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/trace_option.h"

#include "lpool.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Functions for the end of a program get no argument. Main thread only. */
static lpool *traced; /* NULL: none, or its state is closed */

static int forget(lua_State *L)
{
    (void)L;
    traced = NULL;
    return 0;
}

/* Call forget when the state closes: before it closes the host. [e] */
static void push_guard(lua_State *L)
{
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, forget);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
}

bool lp_trace_option_begin(lua_State *L, const char *path)
{
    luaL_requiref(L, "lpool.core", luaopen_lpool_core, 0);
    push_guard(L);
    luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    lpool *host = lpool_of(L);
    int status = lpool_trace_open(host, path);
    if (status != LPOOL_OK) {
        const char *why = status == LPOOL_ESYSTEM
                              ? strerror(errno) /* NOLINT: one thread */
                              : lpool_strerror(status);
        fprintf(stderr, "lpool: cannot open trace file '%s': %s\n", path, why);
        return false;
    }
    traced = host;
    return atexit(lp_trace_option_end) == 0;
}

void lp_trace_option_end(void)
{
    lpool_trace_close(traced);
}
