/*
 * chunk.c - protected calls, and what becomes of their errors.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/chunk.h"

#include "cli/sigint.h"
#include "cli/sigquit.h"
#include "lpool.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Append "in the worker:" and its traceback to the message on top. */
static void add_worker_traceback(lua_State *L, int error)
{
    lpool_push_traceback(L, error);
    const char *traceback = lua_tostring(L, -1);
    if (traceback) {
        lua_pushfstring(L, "%s\nin the worker:\n%s", lua_tostring(L, -2),
                        traceback);
        lua_replace(L, -3);
    }
    lua_pop(L, 1);
}

/* error -> message with tracebacks, as a message handler. */
static int describe_error(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushvalue(L, 1); /* A number is converted in the copy alone. */
    const char *text = lua_tostring(L, 2);
    if (!text && luaL_callmeta(L, 1, "__tostring") &&
        lua_type(L, -1) == LUA_TSTRING)
        text = lua_tostring(L, -1);
    if (!text) {
        text = lua_pushfstring(L, "(error object is a %s value)",
                               luaL_typename(L, 1));
    }
    luaL_traceback(L, L, text, 1);
    add_worker_traceback(L, 1);
    return 1;
}

/*
 * The same, for a call whose error ends the program. A handler runs before
 * to-be-closed variables do, so it is here that their time gets a limit.
 */
static int describe_last_error(lua_State *L)
{
    if (lp_sigint_caused(L, 1)) {
        lp_sigint_hurry();
        return 1;
    }
    return describe_error(L);
}

static int call_with(lua_State *L, int arguments, int results,
                     lua_CFunction handler)
{
    int base = lua_gettop(L) - arguments;

    lua_pushcfunction(L, handler);
    lua_insert(L, base);
    lp_sigint_enter(L);
    lp_sigquit_enter(L);
    int status = lua_pcall(L, arguments, results, base);
    if (status != LUA_OK && handler == describe_last_error &&
        lp_sigint_caused(L, -1))
        lp_sigint_exit();
    lp_sigquit_leave();
    lp_sigint_leave();
    lua_remove(L, base);
    return status;
}

int lp_chunk_call(lua_State *L, int arguments, int results)
{
    return call_with(L, arguments, results, describe_error);
}

void lp_chunk_report(lua_State *L, const char *prefix)
{
    const char *text = lua_tostring(L, -1);

    (void)fflush(stdout); /* Output before the error shows before it. */
    fprintf(stderr, "%s%s%s\n", prefix ? prefix : "", prefix ? ": " : "",
            text ? text : "(error message is not a string)");
    lua_pop(L, 1);
}

/* Whether all went well; if not, report the message on top. */
static bool succeeded(lua_State *L, int status)
{
    if (status == LUA_OK) return true;
    lp_chunk_report(L, "lpool");
    return false;
}

/* Call a chunk, if loading it went well, and drop its results. */
static bool run_loaded(lua_State *L, int status, int arguments)
{
    if (status == LUA_OK)
        status = call_with(L, arguments, 0, describe_last_error);
    return succeeded(L, status);
}

bool lp_chunk_string(lua_State *L, const char *text, const char *name)
{
    return run_loaded(L, luaL_loadbuffer(L, text, strlen(text), name), 0);
}

bool lp_chunk_file(lua_State *L, const char *path)
{
    return run_loaded(L, luaL_loadfile(L, path), 0);
}

/* Push the strings of 'arg' and return how many. [-0, +n, e] */
static int push_arguments(lua_State *L)
{
    if (lua_getglobal(L, "arg") != LUA_TTABLE)
        luaL_error(L, "'arg' is not a table");
    int table = lua_gettop(L);
    int count = (int)luaL_len(L, table);
    luaL_checkstack(L, count + 3, "too many arguments to script");
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, table, i);
    lua_remove(L, table);
    return count;
}

bool lp_chunk_script(lua_State *L, const char *path)
{
    int status = luaL_loadfile(L, path);

    return run_loaded(L, status, status == LUA_OK ? push_arguments(L) : 0);
}

static int finish(lua_State *L)
{
    lpool_finish(L);
    return 0;
}

bool lp_chunk_finish(lua_State *L)
{
    lua_pushcfunction(L, finish);
    return run_loaded(L, LUA_OK, 0);
}

bool lp_chunk_library(lua_State *L, const char *spec)
{
    const char *equals = strchr(spec, '=');
    const char *module = equals ? equals + 1 : spec;
    size_t length = equals ? (size_t)(equals - spec) : strlen(spec);

    lua_pushlstring(L, spec, length);
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    int status = call_with(L, 1, 1, describe_last_error);
    if (status == LUA_OK) lua_setglobal(L, lua_tostring(L, -2));
    bool fine = succeeded(L, status);
    lua_pop(L, 1);
    return fine;
}
