/* submits.c - submitting what a C program has: source, and names. */
#include "api/api.h"
#include "base/status.h"

/* The address is the key of the function that calls by name. */
static const char caller_key;

/*
 * Runs in the worker. The search paths are those of the host, as for modules
 * that functions name.
 */
static const char call_by_name[] =
    "local path, cpath, module, name = ...\n"
    "package.path, package.cpath = path or package.path, cpath or "
    "package.cpath\n"
    "local found = require(module)[name]\n"
    "if found == nil then\n"
    "  error((\"module '%s' has no function '%s'\"):format(module, name), 0)\n"
    "end\n"
    "return found(select(5, ...))\n";

int lpool_submit_source(lua_State *L, lpool_executor *executor,
                        const char *source, size_t length, const char *name,
                        int nargs, const lpool_task_options *options,
                        lpool_future **future)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status == LP_THREAD) return status;
    if (!L || nargs < 0 || nargs > lua_gettop(L)) return LP_INVALID;
    int first = lua_gettop(L) - nargs + 1;
    if (status != LP_OK || !executor || !source || !future) {
        lua_settop(L, first - 1);
        return LP_INVALID;
    }
    luaL_checkstack(L, 1, "source");
    status =
        luaL_loadbufferx(L, source, length, name ? name : "=(source)", "t");
    lua_insert(L, first);
    if (status == LUA_OK) {
        status = lpool_submit(L, executor, nargs, options, future);
        if (status == LP_FULL) lua_remove(L, first); /* as it was */
        return status;
    }
    lua_settop(L, first); /* the message */
    return status == LUA_ERRMEM ? LP_NOMEM : LP_FAILED;
}

/* Push the function that calls by name. [-0, +1, e] */
static void push_caller(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &caller_key) == LUA_TFUNCTION) return;
    lua_pop(L, 1);
    if (luaL_loadbufferx(L, call_by_name, sizeof(call_by_name) - 1,
                         "=(call by name)", "t") != LUA_OK)
        lua_error(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &caller_key);
}

/* Push package.path and package.cpath, or nil. [-0, +2, e] */
static void push_paths(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "package") != LUA_TTABLE) {
        lua_settop(L, -3);
        lua_pushnil(L);
        lua_pushnil(L);
        return;
    }
    lua_replace(L, -2);
    lua_getfield(L, -1, "path");
    lua_getfield(L, -2, "cpath");
    lua_remove(L, -3);
}

int lpool_submit_named(lua_State *L, lpool_executor *executor,
                       const char *module, const char *function, int nargs,
                       const lpool_task_options *options, lpool_future **future)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status == LP_THREAD) return status;
    if (!L || nargs < 0 || nargs > lua_gettop(L)) return LP_INVALID;
    int first = lua_gettop(L) - nargs + 1;
    if (status != LP_OK || !executor || !module || !function || !future) {
        lua_settop(L, first - 1);
        return LP_INVALID;
    }
    luaL_checkstack(L, 8, "names");
    push_caller(L);
    lua_insert(L, first);
    push_paths(L);
    lua_pushstring(L, module);
    lua_pushstring(L, function);
    lua_rotate(L, first + 1, 4);
    status = lpool_submit(L, executor, nargs + 4, options, future);
    if (status != LP_FULL) return status;
    for (int i = 0; i < 5; i++) /* the stack is as it was */
        lua_remove(L, first);
    return status;
}
