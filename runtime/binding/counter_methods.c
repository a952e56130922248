/* counter_methods.c - counters in Lua. */
#include "binding/binding.h"

static lpool_object *self_counter(lua_State *L)
{
    return lp_check_object(L, 1, LPOOL_COUNTER);
}

/* The integer at index; a text is none. */
static lua_Integer check_integer(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TNUMBER) luaL_typeerror(L, index, "integer");
    return luaL_checkinteger(L, index);
}

static lua_Integer opt_integer(lua_State *L, int index, lua_Integer absent)
{
    return lua_isnoneornil(L, index) ? absent : check_integer(L, index);
}

/*** lpool.counter([n]) */
int lp_new_counter(lua_State *L)
{
    lpool_object *counter;
    int status = lpool_counter_open(L, opt_integer(L, 1, 0), &counter);
    return lp_push_new_object(L, status, counter);
}

/*** counter:add([n]): the new value */
static int counter_add(lua_State *L)
{
    lpool_object *counter = self_counter(L);
    lua_pushinteger(L, lpool_counter_add(counter, opt_integer(L, 2, 1)));
    return 1;
}

/*** counter:get() */
static int counter_get(lua_State *L)
{
    lua_pushinteger(L, lpool_counter_get(self_counter(L)));
    return 1;
}

/*** counter:set(n) */
static int counter_set(lua_State *L)
{
    lpool_object *counter = self_counter(L);
    lpool_counter_set(counter, check_integer(L, 2));
    return 0;
}

/*** counter:compare_and_swap(expected, new): whether it was expected */
static int counter_swap(lua_State *L)
{
    lpool_object *counter = self_counter(L);
    lua_Integer expected = check_integer(L, 2);
    lua_pushboolean(L,
                    lpool_counter_swap(counter, expected, check_integer(L, 3)));
    return 1;
}

static int counter_tostring(lua_State *L)
{
    lua_Integer value = lpool_counter_get(self_counter(L));
    lua_pushfstring(L, "counter: %I", (LUAI_UACINT)value);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", lp_object_gc},
    {"__tostring", counter_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"add", counter_add}, {"get", counter_get},
    {"set", counter_set}, {"compare_and_swap", counter_swap},
    {NULL, NULL},
};

void lp_open_counters(lua_State *L)
{
    lp_open_object(L, metamethods, methods);
    lua_setfield(L, -2, "__index");
    lua_setfield(L, LUA_REGISTRYINDEX, LPOOL_COUNTER_TYPE);
}
