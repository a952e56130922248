/* dict_methods.c - dicts in Lua. */
#include "binding/binding.h"

static lpool_object *self_dict(lua_State *L)
{
    return lp_check_object(L, 1, LPOOL_DICT);
}

static void check_key(lua_State *L, int index)
{
    if (lpool_dict_is_key(L, index)) return;
    if (lua_type(L, index) == LUA_TNUMBER)
        luaL_argerror(L, index, "a key cannot be nan");
    luaL_typeerror(L, index, "string, number or boolean as a key");
}

static int raise(lua_State *L, int status)
{
    if (status == LPOOL_EFAILED)
        return lp_raise(L, "SerializationError", "cannot read the value: %s",
                        lua_tostring(L, -1));
    return lp_raise_status(L, status, NULL);
}

/*** lpool.dict() */
int lp_new_dict(lua_State *L)
{
    lpool_object *dict;
    int status = lpool_dict_open(L, &dict);
    return lp_push_new_object(L, status, dict);
}

/*** dict:get(key) */
static int dict_get(lua_State *L)
{
    lpool_object *dict = self_dict(L);
    check_key(L, 2);
    lua_settop(L, 2);
    int status = lpool_dict_get(L, dict);
    return status == LPOOL_OK ? 1 : raise(L, status);
}

/*** dict:set(key, value): nil removes it */
static int dict_set(lua_State *L)
{
    lpool_object *dict = self_dict(L);
    check_key(L, 2);
    lua_settop(L, 3);
    int status = lpool_dict_set(L, dict);
    return status == LPOOL_OK ? 0 : raise(L, status);
}

/*** dict:update(key, fn): sets and returns fn(value) */
static int dict_update(lua_State *L)
{
    lpool_object *dict = self_dict(L);
    check_key(L, 2);
    lp_check_callable(L, 3);
    lua_settop(L, 3);
    int status = lpool_dict_update(L, dict);
    if (status == LPOOL_EDEADLOCK)
        return luaL_error(L, "the function of an update has changed the key "
                             "of the update itself");
    return status == LPOOL_OK ? 1 : raise(L, status);
}

static int next_entry(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_next(L, 1)) return 2;
    lua_pushnil(L);
    return 1;
}

/*** dict:pairs(), pairs(dict): of what is in it now */
static int dict_pairs(lua_State *L)
{
    lpool_object *dict = self_dict(L);
    lua_pushcfunction(L, next_entry);
    int status = lpool_dict_copy(L, dict);
    if (status != LPOOL_OK) return raise(L, status);
    lua_pushnil(L);
    return 3;
}

static int dict_tostring(lua_State *L)
{
    const lpool_object *dict = self_dict(L);
    lua_pushfstring(L, "dict: %p", (const void *)dict);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", lp_object_gc},
    {"__pairs", dict_pairs},
    {"__tostring", dict_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"get", dict_get},     {"set", dict_set}, {"update", dict_update},
    {"pairs", dict_pairs}, {NULL, NULL},
};

void lp_open_dicts(lua_State *L)
{
    lp_open_object(L, metamethods, methods);
    lua_setfield(L, -2, "__index");
    lua_setfield(L, LUA_REGISTRYINDEX, LPOOL_DICT_TYPE);
}
