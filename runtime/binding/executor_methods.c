/* executor_methods.c - constructing executors, and their methods. */
#include "binding/binding.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/*
 * The first user value of an executor's userdata is nil, or the options of
 * its submits: a userdata, whose user value is the label.
 */
const lpool_task_options *lp_options_of(lua_State *L, int index)
{
    lua_getiuservalue(L, index, 1);
    const lpool_task_options *options = lua_touserdata(L, -1);
    lua_pop(L, 1); /* it stays in the user value */
    return options;
}

/* ---- opening ---- */

static lua_Integer integer_field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    lua_Integer value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

/* Push the field and give its index; pushes nothing and gives 0 for nil. */
static int stack_field(lua_State *L, int index, const char *name)
{
    if (lua_getfield(L, index, name) != LUA_TNIL) return lua_gettop(L);
    lua_pop(L, 1);
    return 0;
}

/* The names in the list at index as a C array, which a userdata holds. */
static const char *const *name_list(lua_State *L, int index, size_t *count)
{
    *count = (size_t)lua_rawlen(L, index);
    const char **names = lua_newuserdatauv(L, (*count + 1) * sizeof(*names), 0);
    for (size_t i = 0; i < *count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        names[i] = lua_tostring(L, -1); /* anchored by the list */
        lua_pop(L, 1);
    }
    return names;
}

/* Push why there is no executor. */
static void push_problem(lua_State *L, int status)
{
    if (status == LPOOL_EDEEP) {
        lua_pushfstring(L,
                        "executors of tasks are nested too deep (at most %d "
                        "levels); does a task make a pool for itself?",
                        (int)LPOOL_MAX_DEPTH);
    } else if (status == LPOOL_ESYSTEM) {
        lua_pushfstring(L, "cannot make an executor: %s", strerror(errno));
    } else {
        lua_pushfstring(L, "cannot make an executor: %s",
                        lpool_strerror(status));
    }
}

static lpool_when_full when_full(lua_State *L, int index)
{
    lpool_when_full chosen = LPOOL_FULL_BLOCKS;
    lua_getfield(L, index, "on_full");
    const char *name = lua_tostring(L, -1);
    if (name && strcmp(name, "error") == 0) chosen = LPOOL_FULL_FAILS;
    if (name && strcmp(name, "caller") == 0) chosen = LPOOL_FULL_RUNS;
    lua_pop(L, 1);
    return chosen;
}

/*
 * core.open(kind, options): options were checked by lpool.options. nil and a
 * text if there is none.
 */
static int open_executor(lua_State *L)
{
    lpool_executor_config config;
    lpool_executor *executor;
    lpool_executor_config_init(&config);
    config.kind = (lpool_kind)luaL_checkinteger(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    config.max_workers = (unsigned)integer_field(L, 2, "max_workers");
    config.max_tasks = (uint64_t)integer_field(L, 2, "max_tasks_per_child");
    lua_Integer max_queue = integer_field(L, 2, "max_queue");
    config.max_queue = max_queue > INT_MAX ? INT_MAX : (unsigned)max_queue;
    config.when_full = when_full(L, 2);
    config.memory_limit = (uint64_t)integer_field(L, 2, "memory_limit");
    int prefix = stack_field(L, 2, "thread_name_prefix");
    lua_getfield(L, 2, "on_crash");
    const char *on_crash = lua_tostring(L, -1);
    config.breaks = on_crash && strcmp(on_crash, "break") == 0;
    lua_pop(L, 1);
    if (lua_getfield(L, 2, "timeout") != LUA_TNIL)
        config.timeout = lp_check_timeout(L, -1);
    lua_pop(L, 1);
    if (prefix) config.name_prefix = lua_tostring(L, prefix);
    config.initializer = stack_field(L, 2, "initializer");
    config.initargs = stack_field(L, 2, "initargs");
    config.finalizer = stack_field(L, 2, "finalizer");
    int preload = stack_field(L, 2, "preload");
    if (preload) config.preload = name_list(L, preload, &config.preload_count);

    int status = lpool_executor_open(L, &config, &executor);
    if (status == LPOOL_EUNSENDABLE) return lp_raise_status(L, status, NULL);
    if (status != LPOOL_OK) {
        lua_pushnil(L);
        if (status == LPOOL_ENOHELPER) {
            lua_insert(L, -2); /* below the text */
        } else {
            push_problem(L, status);
        }
        return 2;
    }
    lpool_push_executor(L, executor);
    lpool_executor_release(executor); /* the userdata has its own reference */
    return 1;
}

/* ---- stand-ins ---- */

/*
 * What a full executor has no room for may run in the caller: by an executor
 * of the serial kind, one for each state and executor. The second user value
 * of an executor's userdata holds its own; a weak table knows it by the
 * executor, for others of the same, such as views. It closes with the first
 * of: a shutdown in this state, the end of the last userdata.
 */

/* The address is the key of the weak table. */
static const char stand_ins_key;

static void push_stand_ins(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &stand_ins_key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &stand_ins_key);
}

/* The stand-in of the executor at index 1, made if need be; anchored there. */
static int find_stand_in(lua_State *L, lpool_executor *executor,
                         lpool_executor **stand_in)
{
    int top = lua_gettop(L), status = LPOOL_OK;
    luaL_checkstack(L, 4, "arguments");
    if (lua_getiuservalue(L, 1, 2) == LUA_TNIL) {
        push_stand_ins(L);
        if (lua_rawgetp(L, -1, executor) == LUA_TNIL) {
            status = lpool_executor_stand_in(L, executor, stand_in);
            if (status != LPOOL_OK) return status;
            lpool_push_executor(L, *stand_in);
            lpool_executor_release(*stand_in);
            lua_pushvalue(L, -1);
            lua_rawsetp(L, top + 2, executor);
        }
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 2);
    }
    *stand_in = lpool_test_executor(L, -1);
    lua_settop(L, top);
    return status;
}

/* The executor at index 1 was shut down: so is its stand-in in this state. */
static void close_stand_in(lua_State *L, lpool_executor *executor)
{
    if (lpool_executor_when_full(executor) != LPOOL_FULL_RUNS) return;
    push_stand_ins(L);
    lua_rawgetp(L, -1, executor);
    lpool_executor *stand_in = lpool_test_executor(L, -1);
    if (stand_in) lpool_executor_shutdown(stand_in, 0);
    lua_pop(L, 2);
}

/* ---- submitting ---- */

/*** ex:submit(fn, ...) */
static int executor_submit(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    lpool_future *future;
    lp_check_callable(L, 2);
    int nargs = lua_gettop(L) - 2;
    int status = lpool_submit(L, executor, nargs, lp_options_of(L, 1), &future);
    if (status == LPOOL_EFULL &&
        lpool_executor_when_full(executor) == LPOOL_FULL_RUNS) {
        status = find_stand_in(L, executor, &executor);
        if (status == LPOOL_OK)
            status =
                lpool_submit(L, executor, nargs, lp_options_of(L, 1), &future);
    }
    if (status != LPOOL_OK) return lp_raise_status(L, status, executor);
    lpool_box_future(L, future, lua_upvalueindex(1));
    return 1;
}

/*** ex:broadcast(fn, ...) */
static int executor_broadcast(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    lp_check_callable(L, 2);
    const lpool_task_options *options = lp_options_of(L, 1);
    unsigned count = 0, room = lpool_executor_max_workers(executor);
    lpool_future **futures = lua_newuserdatauv(L, room * sizeof(*futures), 0);
    lua_insert(L, 2);
    int status = lpool_broadcast(L, executor, lua_gettop(L) - 3, options,
                                 futures, &count);
    if (status != LPOOL_OK) {
        for (unsigned i = 0; i < count; i++)
            lpool_future_release(futures[i]);
        return lp_raise_status(L, status, executor);
    }
    lua_createtable(L, (int)count, 0);
    for (unsigned i = 0; i < count; i++) {
        lpool_box_future(L, futures[i], lua_upvalueindex(1));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* core.with_options(executor, options): the same executor, a view of it. */
static int with_options(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    const lpool_task_options *old = lp_options_of(L, 1);
    lua_settop(L, 2);
    lpool_task_options *options = lua_newuserdatauv(L, sizeof(*options), 1);
    /* A view of a view keeps what is not said anew. */
    *options = old ? *old : (lpool_task_options){0};
    if (lua_getfield(L, 2, "label") == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushstring(L, options->label);
    }
    options->label = lua_tostring(L, -1);
    lua_setiuservalue(L, 3, 1);
    if (lua_getfield(L, 2, "priority") != LUA_TNIL)
        options->priority = lua_tointeger(L, -1);
    if (lua_getfield(L, 2, "timeout") != LUA_TNIL)
        options->timeout = lp_check_timeout(L, -1);
    if (lua_getfield(L, 2, "retries") != LUA_TNIL)
        options->retries = (unsigned)lua_tointeger(L, -1);
    lpool_push_executor(L, executor);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

/* core.works_for(executor): whether this state is one of its workers'. */
static int works_for(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    lpool_worker_info info;
    lua_pushboolean(L, lpool_worker(L, &info) && info.executor == executor);
    return 1;
}

/* ---- the end ---- */

/* core.shutdown(executor, wait, cancel, timeout): false after a timeout. */
static int shutdown(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    bool wait = lua_toboolean(L, 2);
    int64_t timeout = lp_check_timeout(L, 4);
    lpool_executor_shutdown(executor, lua_toboolean(L, 3) ? LPOOL_CANCEL : 0);
    close_stand_in(L, executor);
    lpool_dispatch(L);
    int status = LPOOL_OK;
    if (wait) status = lpool_executor_join(L, executor, timeout);
    if (status == LPOOL_EINVALID)
        return luaL_error(L, "a task cannot wait for the end of the executor "
                             "that runs it; use wait = false");
    if (status != LPOOL_OK && status != LPOOL_ETIMEOUT)
        return lp_raise_status(L, status, executor);
    lua_pushboolean(L, status == LPOOL_OK);
    return 1;
}

/*** ex:terminate_workers() ex:kill_workers() */
static int executor_terminate(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    lpool_executor_shutdown(executor, LPOOL_STOP);
    close_stand_in(L, executor);
    lpool_dispatch(L);
    return 0;
}

static int executor_kill(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    lpool_executor_shutdown(executor, LPOOL_STOP | LPOOL_KILL);
    close_stand_in(L, executor);
    lpool_dispatch(L);
    return 0;
}

static int executor_close(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    if (lpool_is_interrupt(L, 2)) { /* then nothing is waited for */
        lpool_executor_shutdown(executor, LPOOL_STOP);
        close_stand_in(L, executor);
        return 0;
    }
    bool failed = !lua_isnoneornil(L, 2);
    lpool_executor_shutdown(executor, failed ? LPOOL_CANCEL : 0);
    close_stand_in(L, executor);
    int status = lpool_executor_join(L, executor, -1);
    if (status == LPOOL_EINVALID)
        return luaL_error(L, "a task cannot close the executor that runs it");
    if (status != LPOOL_OK) return lp_raise_status(L, status, executor);
    return 0;
}

static int executor_gc(lua_State *L)
{
    lpool_executor *executor = lpool_unbox(L, 1);
    if (lua_getiuservalue(L, 1, 2) != LUA_TNIL) {
        push_stand_ins(L); /* another executor may get this address */
        lua_pushnil(L);
        lua_rawsetp(L, -2, executor);
    }
    lpool_executor_release(executor);
    return 0;
}

static int executor_tostring(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    char text[80];
    lpool_executor_describe(executor, text, sizeof(text));
    lua_pushstring(L, text);
    return 1;
}

/* ---- looking ---- */

static void set_count(lua_State *L, const char *name, uint64_t count)
{
    lua_pushinteger(L, (lua_Integer)count);
    lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, int64_t nanoseconds)
{
    lua_pushnumber(L, (lua_Number)nanoseconds / 1e9);
    lua_setfield(L, -2, name);
}

static void set_times(lua_State *L, const char *name, const lpool_times *times)
{
    lua_createtable(L, 0, 4);
    set_seconds(L, "p50", times->p50);
    set_seconds(L, "p90", times->p90);
    set_seconds(L, "p99", times->p99);
    set_seconds(L, "max", times->longest);
    lua_setfield(L, -2, name);
}

/*** ex:stats() */
static int executor_stats(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    lpool_stats stats = {.size = sizeof(stats)};
    int status = lpool_executor_stats(executor, &stats);
    if (status != LPOOL_OK) return lp_raise_status(L, status, executor);
    lua_createtable(L, 0, 12);
    set_count(L, "submitted", stats.submitted);
    set_count(L, "pending", stats.pending);
    set_count(L, "running", stats.running);
    set_count(L, "completed", stats.completed);
    set_count(L, "failed", stats.failed);
    set_count(L, "cancelled", stats.cancelled);
    set_count(L, "lost", stats.lost);
    set_count(L, "workers", stats.workers);
    set_count(L, "idle", stats.idle);
    set_count(L, "max_workers", stats.max_workers);
    set_times(L, "run", &stats.run);
    set_times(L, "wait", &stats.wait);
    return 1;
}

/*** ex:dump() */
static int executor_dump(lua_State *L)
{
    lpool_executor *executor = lp_check_executor(L, 1);
    int status = lpool_executor_dump(L, executor);
    if (status != LPOOL_OK) return lp_raise_status(L, status, executor);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", executor_gc},
    {"__close", executor_close},
    {"__tostring", executor_tostring},
    {NULL, NULL},
};

/* With the metatable of futures as their upvalue. */
static const luaL_Reg methods[] = {
    {"submit", executor_submit},
    {"broadcast", executor_broadcast},
    {"terminate_workers", executor_terminate},
    {"kill_workers", executor_kill},
    {"stats", executor_stats},
    {"dump", executor_dump},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"open", open_executor},
    {"with_options", with_options},
    {"works_for", works_for},
    {"shutdown", shutdown},
    {NULL, NULL},
};

void lp_open_executors(lua_State *L)
{
    lp_new_type(L, LPOOL_EXECUTOR_TYPE, metamethods);
    luaL_newlibtable(L, methods);
    luaL_getmetatable(L, LPOOL_FUTURE_TYPE);
    luaL_setfuncs(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_setfield(L, -3, "executor_methods");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
    lua_pushinteger(L, LPOOL_THREADS);
    lua_setfield(L, -2, "THREADS");
    lua_pushinteger(L, LPOOL_SERIAL);
    lua_setfield(L, -2, "SERIAL");
    lua_pushinteger(L, LPOOL_PROCESSES);
    lua_setfield(L, -2, "PROCESSES");
    lua_pushinteger(L, LPOOL_MAX_WORKERS);
    lua_setfield(L, -2, "MAX_WORKERS");
    lua_pushinteger(L, LPOOL_MIN_MEMORY_LIMIT);
    lua_setfield(L, -2, "MIN_MEMORY_LIMIT");
}
