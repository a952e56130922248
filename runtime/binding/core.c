/*
 * core.c - the Lua module lpool.core: what needs C. lua/lpool/ builds the
 * module lpool from it.
 */
#include "binding/binding.h"

#include <string.h>
#include <unistd.h>

/* ---- helpers ---- */

/*** lpool.sleep(seconds) */
static int core_sleep(lua_State *L)
{
    luaL_checknumber(L, 1);
    int64_t timeout = lp_check_timeout(L, 1);
    int status = lpool_sleep(L, timeout);
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    return 0;
}

/*** lpool.now() */
static int core_now(lua_State *L)
{
    lua_pushnumber(L, lp_seconds(lpool_now()));
    return 1;
}

/*** lpool.cpu_count() */
static int core_cpu_count(lua_State *L)
{
    lua_pushinteger(L, lpool_cpu_count());
    return 1;
}

/*** lpool.getpid() */
static int core_getpid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* core.is_terminal(): whether standard error is one. */
static int core_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDERR_FILENO));
    return 1;
}

/*** lpool.worker() */
static int core_worker(lua_State *L)
{
    lpool_worker_info info;
    if (!lpool_worker(L, &info)) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 4);
    lua_pushstring(L, info.name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, info.index);
    lua_setfield(L, -2, "index");
    lua_pushstring(L, info.kind);
    lua_setfield(L, -2, "kind");
    lua_pushinteger(L, getpid());
    lua_setfield(L, -2, "pid");
    return 1;
}

/*** lpool.poll() */
static int core_poll(lua_State *L)
{
    lpool_dispatch(L);
    return 0;
}

/* core.error(kind, message): an error object. */
static int core_error(lua_State *L)
{
    lpool_push_error(L, luaL_checkstring(L, 1), luaL_checkstring(L, 2));
    return 1;
}

/* core.error_kind(value): the kind of an error object, else nil. */
static int core_error_kind(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1)) {
        lpool_push_error_metatable(L);
        if (lua_rawequal(L, -1, -2)) {
            lua_pushliteral(L, "kind");
            lua_rawget(L, 1);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

/* core.is_future(value) */
static int core_is_future(lua_State *L)
{
    lua_pushboolean(L, lpool_test_future(L, 1) != NULL);
    return 1;
}

/*
 * Most states never see a shared object: so their metatables are made when
 * the first comes. Channels are the last, by which it is known that all are
 * there.
 */
static int open_objects(lua_State *L)
{
    lp_open_counters(L);
    lp_open_dicts(L);
    lp_open_buffers(L);
    lp_open_channels(L);
    return 0;
}

static const luaL_Reg functions[] = {
    {"sleep", core_sleep},
    {"now", core_now},
    {"cpu_count", core_cpu_count},
    {"getpid", core_getpid},
    {"worker", core_worker},
    {"poll", core_poll},
    {"error", core_error},
    {"error_kind", core_error_kind},
    {"is_future", core_is_future},
    {"is_terminal", core_is_terminal},
    {"channel", lp_new_channel},
    {"counter", lp_new_counter},
    {"dict", lp_new_dict},
    {"buffer", lp_new_buffer},
    {NULL, NULL},
};

/* ---- the host ---- */

/* What worker states get: the same as the program's own. */
static void open_state(lua_State *L)
{
    lpool_open_modules(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_lpool_core);
    lua_setfield(L, -2, "lpool.core");
    lua_pop(L, 1);
}

void lpool_config_lua(lpool_config *config)
{
    config->open_state = open_state;
}

static int close_host(lua_State *L)
{
    lpool **box = lua_touserdata(L, 1);
    (void)lpool_close(*box); /* the state was its only one */
    *box = NULL;
    return 0;
}

static int finish_work(lua_State *L)
{
    lpool_finish(L);
    return 0;
}

/* A userdata whose finalizer is function, kept by the registry. */
static void *push_guard(lua_State *L, size_t size, lua_CFunction function)
{
    void *memory = lua_newuserdatauv(L, size, 0);
    memset(memory, 0, size);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    luaL_ref(L, LUA_REGISTRYINDEX);
    return memory;
}

/*
 * Give L a host of its own. Finalizers run in the reverse order of creation:
 * first those of executors and futures, then the guard that waits for the
 * work, then the state's context, and the host at last.
 */
static void open_host(lua_State *L)
{
    lpool_config config;
    lpool_config_init(&config);
    lpool_config_lua(&config);
    lpool **box = push_guard(L, sizeof(*box), close_host);
    if (lpool_open(&config, box) != LPOOL_OK)
        luaL_error(L, "not enough memory");
    int status = lpool_attach(*box, L);
    if (status != LPOOL_OK) luaL_error(L, "%s", lpool_strerror(status));
    push_guard(L, 1, finish_work);
    lua_pop(L, 2);
}

LPOOL_API int luaopen_lpool_core(lua_State *L)
{
    luaL_checkversion(L);
    if (!lpool_of(L)) open_host(L);
    luaL_newlib(L, functions);
    lp_open_futures(L);
    lp_open_executors(L);
    lp_open_results(L);
    lp_open_waiters(L);
    lua_pushcfunction(L, open_objects);
    lua_setfield(L, LUA_REGISTRYINDEX, LPOOL_OBJECTS_OPENER);
    lpool_push_error_metatable(L);
    lua_setfield(L, -2, "error_metatable");
    lua_pushstring(L, lpool_version());
    lua_setfield(L, -2, "version");
    return 1;
}

void lpool_openlibs(lua_State *L)
{
    lpool_open_interrupt(L);
    open_state(L);
    lpool_open_console(L);
}
