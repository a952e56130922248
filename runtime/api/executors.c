/* executors.c - opening executors, and submitting to them. */
#include "api/api.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "workers/serial_worker.h"
#include "workers/thread_worker.h"

#include <stdio.h>
#include <string.h>

#define THREADS_PER_CPU 5u

/* ---- opening ---- */

void lpool_executor_config_init(lpool_executor_config *config)
{
    *config =
        (lpool_executor_config){.size = sizeof(*config), .kind = LPOOL_THREADS};
}

/* Encode the function at index, and its arguments from the list at list. */
static int encode_parcel(lua_State *L, int function, int list, lp_buffer *out)
{
    int first = lua_gettop(L) + 1;
    lua_Integer count = 0;
    luaL_checkstack(L, 4, "initargs");
    lua_pushvalue(L, function);
    if (list) {
        count = (lua_Integer)lua_rawlen(L, list);
        if (lua_getfield(L, list, "n") == LUA_TNUMBER)
            count = lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    luaL_checkstack(L, (int)count, "initargs");
    for (lua_Integer i = 1; i <= count; i++)
        lua_rawgeti(L, list, i);
    int status = lp_encode(L, first, (int)count + 1, LP_ROLE_CALL, out, NULL);
    if (status == LP_UNSENDABLE) {
        lua_replace(L, first);
        lua_settop(L, first);
    } else {
        lua_settop(L, first - 1);
    }
    return status;
}

static int copy_preload(lp_setup *setup, const lpool_executor_config *config)
{
    if (config->preload_count == 0) return LP_OK;
    setup->preload = lp_calloc(config->preload_count, sizeof(char *));
    if (!setup->preload) return LP_NOMEM;
    for (size_t i = 0; i < config->preload_count; i++) {
        size_t size = strlen(config->preload[i]) + 1;
        setup->preload[i] = lp_alloc(size);
        if (!setup->preload[i]) return LP_NOMEM;
        memcpy(setup->preload[i], config->preload[i], size);
        setup->preload_count = i + 1;
    }
    return LP_OK;
}

static int fill_setup(lua_State *L, lp_caller *caller,
                      const lpool_executor_config *config, lp_setup *setup)
{
    lpool *pool = caller->pool;
    setup->state.codec = &pool->worker_codec;
    setup->state.open = lp_caller_open_worker;
    setup->state.seed = pool->seed;
    setup->kind = config->kind == LPOOL_THREADS ? "thread" : "serial";
    setup->max_tasks = config->max_tasks;
    setup->log = pool->config.log;
    if (config->name_prefix) {
        snprintf(setup->prefix, sizeof(setup->prefix), "%s",
                 config->name_prefix);
    } else if (config->kind == LPOOL_THREADS) {
        unsigned number = atomic_fetch_add(&pool->host.threads, 1);
        snprintf(setup->prefix, sizeof(setup->prefix), "ThreadPoolExecutor-%u",
                 number);
    } else {
        snprintf(setup->prefix, sizeof(setup->prefix), "SerialExecutor");
    }
    int status = copy_preload(setup, config);
    if (status == LP_OK && config->initializer)
        status = encode_parcel(L, config->initializer, config->initargs,
                               &setup->initializer);
    if (status == LP_OK && config->finalizer)
        status = encode_parcel(L, config->finalizer, 0, &setup->finalizer);
    return status;
}

/* Make the workers and the executor; they own the setup then. */
static int open_with_setup(lpool *pool, const lpool_executor_config *config,
                           const lp_setup *setup, lp_executor **executor)
{
    lp_executor_config inner = {.host = &pool->host};
    if (config->kind == LPOOL_THREADS) {
        inner.kind = &lp_thread_kind;
        inner.self = lp_thread_workers_new(setup);
        inner.max_workers = config->max_workers;
        if (inner.max_workers == 0)
            inner.max_workers =
                THREADS_PER_CPU * (unsigned)lp_thread_processors();
    } else {
        inner.kind = &lp_serial_kind;
        inner.self = lp_serial_worker_new(setup);
        inner.max_workers = 1;
    }
    if (!inner.self) return LP_NOMEM;
    int status = lp_executor_open(&inner, executor);
    if (status != LP_OK) {
        lp_free(inner.self); /* the setup is still the caller's */
        return status;
    }
    if (config->kind == LPOOL_THREADS) {
        lp_thread_workers_attach(inner.self, *executor);
    } else {
        lp_serial_worker_attach(inner.self, *executor);
    }
    return LP_OK;
}

const lp_setup *lp_executor_setup(const lp_executor *executor)
{
    /* The setup comes first in the self of both kinds. */
    return lp_executor_self(executor);
}

static int collect_setup(lua_State *L)
{
    lp_setup_clear(lua_touserdata(L, 1));
    return 0;
}

int lpool_executor_open(lua_State *L, const lpool_executor_config *config,
                        lpool_executor **out)
{
    lp_caller *caller = lp_caller_of(L);
    if (config->size != sizeof(*config)) return LP_INVALID;
    lp_host_reap(&caller->pool->host);
    /* Encoding may raise, so the setup is the collector's meanwhile. */
    lp_setup *setup = lua_newuserdatauv(L, sizeof(*setup), 0);
    int anchor = lua_gettop(L);
    memset(setup, 0, sizeof(*setup));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_setup);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);

    lp_executor *executor = NULL;
    int status = fill_setup(L, caller, config, setup);
    if (status == LP_OK)
        status = open_with_setup(caller->pool, config, setup, &executor);
    if (status == LP_OK) {
        memset(setup, 0, sizeof(*setup)); /* moved into the executor */
        *out = (lpool_executor *)executor;
    }
    lua_remove(L, anchor);
    return status;
}

void lpool_executor_retain(lpool_executor *executor)
{
    lp_executor_retain(lp_executor_inner(executor));
}

void lpool_executor_release(lpool_executor *executor)
{
    lp_executor_release(lp_executor_inner(executor));
}

lpool_kind lpool_executor_kind(const lpool_executor *executor)
{
    return lp_executor_is_serial(lp_executor_inner(executor)) ? LPOOL_SERIAL
                                                              : LPOOL_THREADS;
}

unsigned lpool_executor_max_workers(const lpool_executor *executor)
{
    return lp_executor_max_workers(lp_executor_inner(executor));
}

int lpool_executor_check(lpool_executor *executor)
{
    return lp_executor_check(lp_executor_inner(executor));
}

const char *lpool_executor_broken(lpool_executor *executor)
{
    return lp_executor_broken(lp_executor_inner(executor));
}

/* ---- closing ---- */

void lpool_executor_shutdown(lpool_executor *executor, unsigned flags)
{
    lp_executor *inner = lp_executor_inner(executor);
    if (flags & LPOOL_STOP) {
        lp_executor_stop(inner, 0);
    } else {
        lp_executor_close(inner, (flags & LPOOL_CANCEL) != 0);
    }
    if (lp_executor_is_serial(inner)) lp_executor_join(inner);
}

static bool has_ended(void *executor)
{
    return lp_executor_has_ended(executor);
}

int lpool_executor_join(lua_State *L, lpool_executor *executor, int64_t timeout)
{
    lp_caller *caller = lp_caller_of(L);
    lp_executor *inner = lp_executor_inner(executor);
    if (caller->identity && caller->identity->executor == inner)
        return LP_INVALID;
    int64_t deadline = lp_clock_after(timeout);
    for (;;) {
        lpool_dispatch(L);
        if (lp_executor_has_ended(inner)) break;
        int status = lp_caller_wait(L, caller, has_ended, inner, deadline);
        if (status == LP_INTERRUPTED) {
            lp_caller_interrupted(L, caller);
        } else if (status != LP_OK) {
            if (lp_executor_has_ended(inner)) break;
            return status;
        }
    }
    lp_executor_join(inner);
    lpool_dispatch(L);
    return LP_OK;
}

static void close_executor(lp_executor *executor, void *unused)
{
    (void)unused;
    lp_executor_close(executor, false);
}

static void note_busy(lp_executor *executor, void *busy)
{
    if (!lp_executor_is_serial(executor) && !lp_executor_has_ended(executor))
        *(bool *)busy = true;
}

static bool all_ended(void *host)
{
    bool busy = false;
    lp_host_each(host, note_busy, &busy);
    return !busy;
}

void lpool_finish(lua_State *L)
{
    if (!lpool_of(L)) return;
    lp_caller *caller = lp_caller_of(L);
    lp_host *host = &caller->pool->host;
    for (;;) {
        lpool_dispatch(L); /* a callback may open another executor */
        lp_host_each(host, close_executor, NULL);
        if (all_ended(host)) break;
        int status = lp_caller_wait(L, caller, all_ended, host, LP_NEVER);
        if (status == LP_INTERRUPTED) lp_caller_interrupted(L, caller);
    }
    lpool_dispatch(L);
}

/* ---- submitting ---- */

/* Leave the text of a refusal, if any, in place of the call's values. */
static int clean_up(lua_State *L, lp_caller *caller, lp_buffer *buffer,
                    int first, int status)
{
    lp_caller_close_buffer(L, caller, buffer);
    if (status == LP_UNSENDABLE) {
        lua_replace(L, first);
        lua_settop(L, first);
    } else {
        lua_settop(L, first - 1);
    }
    return status;
}

int lpool_submit(lua_State *L, lpool_executor *executor, int nargs,
                 const char *label, lpool_future **future)
{
    lp_caller *caller = lp_caller_of(L);
    lp_executor *inner = lp_executor_inner(executor);
    int first = lua_gettop(L) - nargs;
    lp_task_about about = {.label = label};
    lp_caller_collect(L, caller);
    lp_caller_place(L, caller, &about.source, &about.line);
    lp_buffer *buffer = lp_caller_open_buffer(L, caller);
    buffer->memory = lp_executor_memory(inner);
    int status = lp_encode(L, first, nargs + 1, LP_ROLE_CALL, buffer, NULL);
    lp_task *task = NULL;
    if (status == LP_OK)
        status = lp_executor_submit(inner, buffer, &about, &task);
    *future = (lpool_future *)task;
    return clean_up(L, caller, buffer, first, status);
}

int lpool_broadcast(lua_State *L, lpool_executor *executor, int nargs,
                    const char *label, lpool_future **futures, unsigned *count)
{
    lp_caller *caller = lp_caller_of(L);
    lp_executor *inner = lp_executor_inner(executor);
    int first = lua_gettop(L) - nargs;
    lp_task_about about = {.label = label};
    lp_caller_place(L, caller, &about.source, &about.line);
    lp_buffer *buffer = lp_caller_open_buffer(L, caller);
    int status = lp_encode(L, first, nargs + 1, LP_ROLE_CALL, buffer, NULL);
    uint32_t made = 0;
    if (status == LP_OK)
        status = lp_executor_broadcast(inner, buffer, &about,
                                       (lp_task **)(void *)futures, &made);
    *count = made;
    return clean_up(L, caller, buffer, first, status);
}
