/*
 * waiter_methods.c - what lpool.as_completed and lpool.wait are made of.
 *
 * A waiter's user value is a table: the address of a future -> its userdata,
 * so that those come back that were added.
 */
#include "binding/binding.h"

#define WAITER_TYPE "lpool.waiter"

static lpool_waiter *check_waiter(lua_State *L, int index)
{
    lpool_waiter **box = luaL_checkudata(L, index, WAITER_TYPE);
    if (!*box) luaL_argerror(L, index, "the waiter is closed");
    return *box;
}

/* waiter:add(future): whether it is new to the waiter. */
static int waiter_add(lua_State *L)
{
    lpool_waiter *waiter = check_waiter(L, 1);
    lpool_future *future = lp_check_future(L, 2);
    lua_getiuservalue(L, 1, 1);
    bool known = lua_rawgetp(L, -1, future) != LUA_TNIL;
    lua_pop(L, 1);
    if (!known) {
        lua_pushvalue(L, 2);
        lua_rawsetp(L, -2, future);
        int status = lpool_waiter_add(waiter, future);
        if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    }
    lua_pushboolean(L, !known);
    return 1;
}

/*
 * waiter:next([timeout]): the next future to have ended; nil when there is
 * none left, false if the timeout passed first.
 */
static int waiter_next(lua_State *L)
{
    lpool_waiter *waiter = check_waiter(L, 1);
    int64_t timeout = lp_check_timeout(L, 2);
    lpool_future *future;
    int status = lpool_waiter_next(L, waiter, timeout, &future);
    if (status == LPOOL_EINVALID) {
        lua_pushnil(L);
    } else if (status == LPOOL_ETIMEOUT) {
        lua_pushboolean(L, 0);
    } else if (status != LPOOL_OK) {
        return lp_raise_status(L, status, NULL);
    } else {
        lua_getiuservalue(L, 1, 1);
        lua_rawgetp(L, -1, future);
        lua_pushnil(L);
        lua_rawsetp(L, -3, future);
    }
    return 1;
}

static int waiter_close(lua_State *L)
{
    lpool_waiter **box = luaL_checkudata(L, 1, WAITER_TYPE);
    lpool_waiter_close(*box);
    *box = NULL;
    return 0;
}

/* core.waiter() */
static int new_waiter(lua_State *L)
{
    lpool_waiter **box = lua_newuserdatauv(L, sizeof(lpool_waiter *), 1);
    *box = NULL;
    luaL_setmetatable(L, WAITER_TYPE);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    int status = lpool_waiter_open(L, box);
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", waiter_close},
    {"__close", waiter_close},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"add", waiter_add},
    {"next", waiter_next},
    {"close", waiter_close},
    {NULL, NULL},
};

void lp_open_waiters(lua_State *L)
{
    lp_new_type(L, WAITER_TYPE, metamethods);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_waiter);
    lua_setfield(L, -2, "waiter");
}
