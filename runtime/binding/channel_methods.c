/* channel_methods.c - channels in Lua. */
#include "binding/binding.h"

#define VALUE_INDEX 2

/*** lpool.channel([capacity]) */
int lp_new_channel(lua_State *L)
{
    lua_Integer capacity = 0;
    if (!lua_isnoneornil(L, 1)) {
        int fits = lua_type(L, 1) == LUA_TNUMBER;
        if (fits) capacity = lua_tointegerx(L, 1, &fits);
        if (!fits || capacity < 1)
            return luaL_error(L,
                              "the capacity of a channel has to be a "
                              "positive integer, got %s",
                              luaL_tolstring(L, 1, NULL));
    }
    lpool_object *channel;
    int status = lpool_channel_open(L, (uint64_t)capacity, &channel);
    return lp_push_new_object(L, status, channel);
}

static lpool_object *self_channel(lua_State *L)
{
    return lp_check_object(L, 1, LPOOL_CHANNEL);
}

static void check_value(lua_State *L)
{
    luaL_argcheck(L, !lua_isnoneornil(L, VALUE_INDEX), VALUE_INDEX,
                  "nil cannot be sent through a channel");
    lua_settop(L, VALUE_INDEX);
}

/*** channel:send(value) */
static int channel_send(lua_State *L)
{
    lpool_object *channel = self_channel(L);
    check_value(L);
    int status = lpool_channel_send(L, channel, -1);
    if (status == LPOOL_ECLOSED)
        return luaL_error(L, "cannot send: the channel is closed");
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    return 0;
}

/*** channel:try_send(value): whether it was sent */
static int channel_try_send(lua_State *L)
{
    lpool_object *channel = self_channel(L);
    check_value(L);
    int status = lpool_channel_send(L, channel, 0);
    if (status != LPOOL_OK && status != LPOOL_ETIMEOUT &&
        status != LPOOL_ECLOSED)
        return lp_raise_status(L, status, NULL);
    lua_pushboolean(L, status == LPOOL_OK);
    return 1;
}

static int raise_unreadable(lua_State *L)
{
    return lp_raise(L, "SerializationError", "cannot receive the value: %s",
                    lua_tostring(L, -1));
}

/*** channel:receive([timeout]): nothing when it is closed and drained */
static int channel_receive(lua_State *L)
{
    lpool_object *channel = self_channel(L);
    int64_t timeout = lp_check_timeout(L, 2);
    lua_settop(L, 2);
    int status = lpool_channel_receive(L, channel, timeout);
    if (status == LPOOL_ECLOSED) return 0;
    if (status == LPOOL_ETIMEOUT)
        return lp_raise(L, "TimeoutError",
                        "nothing was received within %f seconds",
                        lp_seconds(timeout));
    if (status == LPOOL_EFAILED) return raise_unreadable(L);
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    return 1;
}

/*** channel:try_receive(): true and a value, or false */
static int channel_try_receive(lua_State *L)
{
    lpool_object *channel = self_channel(L);
    lua_settop(L, 1);
    lua_pushboolean(L, 1);
    int status = lpool_channel_receive(L, channel, 0);
    if (status == LPOOL_ECLOSED || status == LPOOL_ETIMEOUT) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (status == LPOOL_EFAILED) return raise_unreadable(L);
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    return 2;
}

/*** channel:close() */
static int channel_close(lua_State *L)
{
    int status = lpool_channel_close(self_channel(L));
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    return 0;
}

/*** #channel */
static int channel_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lpool_channel_count(self_channel(L)));
    return 1;
}

/*** for value in channel do */
static int channel_call(lua_State *L)
{
    lua_settop(L, 1);
    return channel_receive(L);
}

static int channel_tostring(lua_State *L)
{
    const lpool_object *channel = self_channel(L);
    lua_pushfstring(L, "channel: %p", (const void *)channel);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", lp_object_gc},
    {"__len", channel_length},
    {"__call", channel_call},
    {"__tostring", channel_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"send", channel_send},       {"try_send", channel_try_send},
    {"receive", channel_receive}, {"try_receive", channel_try_receive},
    {"close", channel_close},     {NULL, NULL},
};

void lp_open_channels(lua_State *L)
{
    lp_open_object(L, metamethods, methods);
    lua_setfield(L, -2, "__index");
    lua_setfield(L, LUA_REGISTRYINDEX, LPOOL_CHANNEL_TYPE);
}
