/*
 * waiter_methods.c - what lpool.as_completed and lpool.wait are made of.
 *
 * A waiter's user value is the list of its futures, whose tags are their
 * places in it.
 */
#include "binding/binding.h"

#include <limits.h>

#define WAITER_TYPE "lpool.waiter"

static lpool_waiter *check_waiter(lua_State *L, int index)
{
    lpool_waiter **box = luaL_checkudata(L, index, WAITER_TYPE);
    if (!*box) luaL_argerror(L, index, "the waiter is closed");
    return *box;
}

/*
 * waiter:next([timeout]): the next future to have ended; nil when there is
 * none left, false if the timeout passed first.
 */
static int waiter_next(lua_State *L)
{
    lpool_waiter *waiter = check_waiter(L, 1);
    int64_t timeout = lp_check_timeout(L, 2);
    size_t place;
    int status = lpool_waiter_next(L, waiter, timeout, NULL, &place);
    if (status == LPOOL_EINVALID) {
        lua_pushnil(L);
    } else if (status == LPOOL_ETIMEOUT) {
        lua_pushboolean(L, 0);
    } else if (status != LPOOL_OK) {
        return lp_raise_status(L, status, NULL);
    } else {
        lua_getiuservalue(L, 1, 1);
        lua_rawgeti(L, -1, (lua_Integer)place);
        lua_pushboolean(L, 0); /* the collector may have it */
        lua_rawseti(L, -3, (lua_Integer)place);
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

/*
 * core.waiter(list): for the futures of a list without duplicates, which it
 * takes.
 */
static int new_waiter(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lpool_waiter **box = lua_newuserdatauv(L, sizeof(lpool_waiter *), 1);
    *box = NULL;
    luaL_setmetatable(L, WAITER_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    int status = lpool_waiter_open(L, box);
    size_t count = (size_t)lua_rawlen(L, 1);
    for (size_t i = 1; i <= count && status == LPOOL_OK; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i);
        status = lpool_waiter_add(*box, lp_check_future(L, -1), i);
        lua_pop(L, 1);
    }
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    return 1;
}

/*
 * core.copy_futures(list): a copy of a list of futures, each of which was
 * submitted after the one before it, so that none is there twice; nil if it
 * is not that, which is for others to look at.
 */
static int copy_futures(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t count = (size_t)lua_rawlen(L, 1);
    if (count > INT_MAX || luaL_getmetafield(L, 1, "__len") != LUA_TNIL ||
        luaL_getmetafield(L, 1, "__index") != LUA_TNIL)
        return 0;
    lua_createtable(L, (int)count, 0);
    uint64_t last = 0;
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i);
        const lpool_future *future = lpool_test_future(L, -1);
        uint64_t number = future ? lpool_future_number(future) : 0;
        if (number <= last) return 0;
        last = number;
        lua_rawseti(L, 2, (lua_Integer)i);
    }
    return 1;
}

/* Whether the future in place of a list is done; leaves it on top. */
static bool get_done(lua_State *L, lua_Integer place)
{
    lua_rawgeti(L, 1, place);
    return lpool_future_state(lp_check_future(L, -1)) >= LPOOL_FINISHED;
}

/*
 * core.split_futures(list): two lists, of those that are done, in the same
 * order, and of the others. If all are done, the first is the list itself.
 */
static int split_futures(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1), done = 0, others = 0;
    while (done < count && get_done(L, done + 1)) {
        lua_pop(L, 1);
        done++;
    }
    if (done == count) {
        lua_newtable(L);
        return 2;
    }
    lua_settop(L, 1);
    lua_createtable(L, (int)done, 0);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= done; i++) {
        lua_rawgeti(L, 1, i);
        lua_rawseti(L, 2, i);
    }
    lua_rawgeti(L, 1, done + 1);
    lua_rawseti(L, 3, ++others);
    for (lua_Integer i = done + others + 1; i <= count; i++) {
        if (get_done(L, i)) {
            lua_rawseti(L, 2, ++done);
        } else {
            lua_rawseti(L, 3, ++others);
        }
    }
    return 2;
}

/* core.wait_all(list[, timeout]): until all are done, or the timeout passes. */
static int wait_all(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int64_t timeout = lp_check_timeout(L, 2);
    size_t count = (size_t)lua_rawlen(L, 1);
    lpool_future **futures =
        lua_newuserdatauv(L, (count + 1) * sizeof(*futures), 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        futures[i] = lp_check_future(L, -1); /* anchored by the list */
        lua_pop(L, 1);
    }
    int status = lpool_wait_all(L, futures, count, timeout);
    if (status == LPOOL_OK || status == LPOOL_ETIMEOUT) return 0;
    return lp_raise_status(L, status, NULL);
}

static const luaL_Reg metamethods[] = {
    {"__gc", waiter_close},
    {"__close", waiter_close},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
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
    lua_pushcfunction(L, copy_futures);
    lua_setfield(L, -2, "copy_futures");
    lua_pushcfunction(L, split_futures);
    lua_setfield(L, -2, "split_futures");
    lua_pushcfunction(L, wait_all);
    lua_setfield(L, -2, "wait_all");
}
