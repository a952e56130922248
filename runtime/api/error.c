/* error.c - lpool's own errors, as Lua sees them. */
#include "api/api.h"
#include "base/status.h"

/* The addresses are keys in the registry. */
static const char metatable_key, kept_error_key, kept_traceback_key;

/* tostring(e) is its message. */
static int error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    luaL_tolstring(L, -1, NULL);
    return 1;
}

void lpool_push_error_metatable(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "lpool.error");
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    /* A loaded module, so that it travels by name and stays one per state. */
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "lpool.error");
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

void lpool_push_error(lua_State *L, const char *kind, const char *message)
{
    lua_createtable(L, 0, 2);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    lpool_push_error_metatable(L);
    lua_setmetatable(L, -2);
}

void lpool_keep_traceback(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_error_key);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_traceback_key);
}

void lpool_push_traceback(lua_State *L, int index)
{
    int error = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_error_key);
    bool same = lua_rawequal(L, -1, error) && !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (same) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_traceback_key);
    } else {
        lua_pushnil(L);
    }
}
