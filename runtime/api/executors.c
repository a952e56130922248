/* executors.c - opening executors, and the end of them. */
#include "api/api.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "workers/process_worker.h"
#include "workers/serial_worker.h"
#include "workers/thread_worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define THREADS_PER_CPU 5u

/* ---- opening ---- */

void lpool_executor_config_init(lpool_executor_config *config)
{
    if (!config) return;
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
    int status =
        lp_encode(L, NULL, first, (int)count + 1, LP_ROLE_CALL, out, NULL);
    return lp_leave_text(L, first, status);
}

static int append_string(lp_buffer *out, const char *text)
{
    if (!text) text = "";
    return lp_buffer_append(out, text, strlen(text) + 1);
}

/* The search paths of L, and the names: see lp_state_preload. */
static int pack_preload(lua_State *L, lp_buffer *out,
                        const lpool_executor_config *config)
{
    static const char *const paths[] = {"path", "cpath"};
    int status = LP_OK;
    if (config->preload_count == 0) return LP_OK;
    if (lua_getglobal(L, "package") != LUA_TTABLE) lua_newtable(L);
    for (int i = 0; i < 2 && status == LP_OK; i++) {
        lua_getfield(L, -1, paths[i]);
        status = append_string(out, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_settop(L, -2);
    for (size_t i = 0; i < config->preload_count && status == LP_OK; i++)
        status = append_string(out, config->preload[i]);
    return status;
}

static const char *const kind_names[] = {
    [LPOOL_THREADS] = "thread",
    [LPOOL_SERIAL] = "serial",
    [LPOOL_PROCESSES] = "process",
};

/* What the workers of this kind are called, if the caller does not say. */
static void name_workers(lpool *pool, const lpool_executor_config *config,
                         lp_setup *setup)
{
    char *prefix = setup->prefix;
    size_t size = sizeof(setup->prefix);
    if (config->name_prefix) {
        snprintf(prefix, size, "%s", config->name_prefix);
        return;
    }
    if (strcmp(setup->kind, kind_names[config->kind]) != 0) {
        snprintf(prefix, size, "%s-%u", setup->kind,
                 (unsigned)atomic_fetch_add(&pool->host.threads, 1));
        return;
    }
    switch (config->kind) {
    case LPOOL_THREADS:
        snprintf(prefix, size, "ThreadPoolExecutor-%u",
                 (unsigned)atomic_fetch_add(&pool->host.threads, 1));
        break;
    case LPOOL_PROCESSES:
        snprintf(prefix, size, "ProcessPoolExecutor-%u",
                 (unsigned)atomic_fetch_add(&pool->host.processes, 1));
        break;
    case LPOOL_SERIAL:
        snprintf(prefix, size, "SerialExecutor");
        break;
    }
}

/* How the workers run tasks; kind is NULL if it is lpool's own. */
static void set_kind(const lpool_executor_config *config,
                     const lpool_worker_kind *kind, lp_setup *setup)
{
    const char *name = kind ? kind->name : NULL;
    snprintf(setup->kind, sizeof(setup->kind), "%s",
             name ? name : kind_names[config->kind]);
    if (!kind) return;
    setup->state.engine = (lp_engine){.open = kind->open,
                                      .execute = kind->execute,
                                      .interrupt = kind->interrupt,
                                      .close = kind->close,
                                      .context = kind->context};
}

static int fill_setup(lua_State *L, lp_caller *caller,
                      const lpool_executor_config *config,
                      const lpool_worker_kind *kind, lp_setup *setup)
{
    lpool *pool = caller->pool;
    setup->state.allocator = pool->host.allocator;
    lp_buffer_init(&setup->initializer, pool->host.allocator);
    lp_buffer_init(&setup->finalizer, pool->host.allocator);
    lp_buffer_init(&setup->preload, pool->host.allocator);
    setup->state.codec = &pool->worker_codec;
    setup->state.open = lp_caller_open_worker;
    set_kind(config, kind, setup);
    setup->depth =
        1 + (caller->identity ? caller->identity->depth : pool->depth);
    if (setup->depth > LPOOL_MAX_DEPTH) return LP_DEEP;
    setup->seed = pool->seed;
    setup->max_tasks = config->max_tasks;
    setup->when_full = (int)config->when_full;
    setup->memory_limit = config->memory_limit;
    setup->timeout = config->timeout;
    setup->log = pool->config.log;
    setup->log_context = pool->config.context;
    name_workers(pool, config, setup);
    caller->to_process = config->kind == LPOOL_PROCESSES;
    int status = pack_preload(L, &setup->preload, config);
    if (status == LP_OK && config->initializer)
        status = encode_parcel(L, config->initializer, config->initargs,
                               &setup->initializer);
    if (status == LP_OK && config->finalizer)
        status = encode_parcel(L, config->finalizer, 0, &setup->finalizer);
    caller->to_process = false;
    return status;
}

int lp_pool_nursery(lpool *pool, lp_nursery **nursery)
{
    static const char *const arguments[] = {"lpool", LP_HELPER_OPTION, "%d",
                                            NULL};
    lp_lock_enter(&pool->lock);
    if (!pool->nursery)
        pool->nursery = lp_nursery_new(&pool->host, pool->helper, arguments);
    *nursery = pool->nursery;
    lp_lock_leave(&pool->lock);
    /* It gets ready while the script goes on. */
    return *nursery ? lp_nursery_warm(*nursery) : LP_NOMEM;
}

/* What makes a kind: its workers, which own the setup then. */
static int make_workers(lpool *pool, const lpool_executor_config *config,
                        const lp_setup *setup, lp_executor_config *inner)
{
    lp_nursery *nursery;
    int status;
    inner->max_workers = config->max_workers;
    switch (config->kind) {
    case LPOOL_THREADS:
        inner->kind = &lp_thread_kind;
        inner->self = lp_thread_workers_new(setup);
        if (inner->max_workers == 0)
            inner->max_workers =
                THREADS_PER_CPU * (unsigned)lp_thread_processors();
        break;
    case LPOOL_PROCESSES:
        status = lp_pool_nursery(pool, &nursery);
        if (status != LP_OK) return status;
        inner->kind = &lp_process_kind;
        inner->self = lp_process_workers_new(setup, nursery, config->breaks,
                                             setup->depth);
        inner->is_shared = true;
        if (inner->max_workers == 0)
            inner->max_workers = (unsigned)lp_thread_processors();
        break;
    case LPOOL_SERIAL:
        inner->kind = &lp_serial_kind;
        inner->self = lp_serial_worker_new(setup);
        inner->max_workers = 1;
        break;
    }
    return inner->self ? LP_OK : LP_NOMEM;
}

/* Make the workers and the executor; they own the setup then. */
static int open_with_setup(lpool *pool, const lpool_executor_config *config,
                           lp_setup *setup, lp_executor **executor)
{
    lp_executor_config inner = {.host = &pool->host,
                                .max_queue = config->max_queue,
                                .name = setup->prefix};
    int status = make_workers(pool, config, setup, &inner);
    if (status != LP_OK) return status;
    status = lp_executor_open(&inner, executor);
    if (status != LP_OK) {
        lp_free(inner.self); /* the setup is still the caller's */
        return status;
    }
    memset(setup, 0, sizeof(*setup)); /* moved into the executor */
    switch (config->kind) {
    case LPOOL_THREADS:
        lp_thread_workers_attach(inner.self, *executor);
        break;
    case LPOOL_PROCESSES:
        status = lp_process_workers_attach(inner.self, *executor);
        if (status != LP_OK) lp_executor_release(*executor);
        break;
    case LPOOL_SERIAL:
        lp_serial_worker_attach(inner.self, *executor);
        break;
    }
    return status;
}

const lp_setup *lp_executor_setup(const lp_executor *executor)
{
    /* The setup comes first in the self of all kinds. */
    return lp_executor_self(executor);
}

static bool kind_is_known(lpool_kind kind)
{
    return kind == LPOOL_THREADS || kind == LPOOL_SERIAL ||
           kind == LPOOL_PROCESSES;
}

static int collect_setup(lua_State *L)
{
    lp_setup_clear(lua_touserdata(L, 1));
    return 0;
}

/* Open an executor of a kind, or of none (NULL) but lpool's own. */
static int open_executor(lua_State *L, const lpool_executor_config *config,
                         const lpool_worker_kind *kind, lpool_executor **out)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!config || !out) return LP_INVALID;
    if (config->size != sizeof(*config)) return LP_VERSION;
    if (!kind_is_known(config->kind)) return LP_INVALID;
    if (config->memory_limit > 0 &&
        config->memory_limit < LPOOL_MIN_MEMORY_LIMIT)
        return LP_INVALID;
    lp_host_reap(&caller->pool->host);
    if (config->kind == LPOOL_PROCESSES) {
        int found = lp_pool_find_helper(L, caller->pool);
        if (found != LP_OK) return found;
    }
    /* Encoding may raise, so the setup is the collector's meanwhile. */
    lp_setup *setup = lua_newuserdatauv(L, sizeof(*setup), 0);
    int anchor = lua_gettop(L);
    memset(setup, 0, sizeof(*setup));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_setup);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);

    lp_executor *executor = NULL;
    status = fill_setup(L, caller, config, kind, setup);
    if (status == LP_OK)
        status = open_with_setup(caller->pool, config, setup, &executor);
    if (status == LP_OK) *out = (lpool_executor *)executor;
    lua_remove(L, anchor);
    return status;
}

int lpool_executor_open(lua_State *L, const lpool_executor_config *config,
                        lpool_executor **executor)
{
    return open_executor(L, config, NULL, executor);
}

int lpool_executor_open_kind(lua_State *L, const lpool_executor_config *config,
                             const lpool_worker_kind *kind,
                             lpool_executor **executor)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!kind) return LP_INVALID;
    if (kind->size != sizeof(*kind)) return LP_VERSION;
    if (config && config->kind == LPOOL_PROCESSES) {
        lua_pushliteral(L, "a kind of worker to another process; only threads, "
                           "and the serial kind, have kinds of your own");
        return LP_UNSENDABLE;
    }
    return open_executor(L, config, kind, executor);
}

int lpool_executor_stand_in(lua_State *L, lpool_executor *executor,
                            lpool_executor **out)
{
    lp_caller *caller;
    lp_executor *inner = lp_executor_inner(executor), *stand_in = NULL;
    int status = lp_caller_enter_for(L, inner, &caller);
    if (status != LP_OK) return status;
    if (!out) return LP_INVALID;
    const lpool_executor_config config = {.kind = LPOOL_SERIAL};
    lp_setup setup = {0};
    lp_host_reap(&caller->pool->host);
    status = lp_setup_stand_in(&setup, lp_executor_setup(inner), inner);
    if (status == LP_OK)
        status = open_with_setup(caller->pool, &config, &setup, &stand_in);
    lp_setup_clear(&setup);
    *out = (lpool_executor *)stand_in;
    return status;
}

void lpool_executor_retain(lpool_executor *executor)
{
    if (!executor) return;
    lp_executor_retain(lp_executor_inner(executor));
}

void lpool_executor_release(lpool_executor *executor)
{
    lp_executor_release(lp_executor_inner(executor));
}

lpool_kind lpool_executor_kind(const lpool_executor *executor)
{
    if (!executor) return (lpool_kind)0;
    const lp_executor *inner = lp_executor_inner(executor);
    if (lp_executor_is_serial(inner)) return LPOOL_SERIAL;
    return lp_executor_is_shared(inner) ? LPOOL_PROCESSES : LPOOL_THREADS;
}

const char *lpool_executor_broken_kind(const lpool_executor *executor)
{
    return lpool_executor_kind(executor) == LPOOL_PROCESSES
               ? "BrokenProcessPool"
               : "BrokenThreadPool";
}

unsigned lpool_executor_max_workers(const lpool_executor *executor)
{
    if (!executor) return 0;
    return lp_executor_max_workers(lp_executor_inner(executor));
}

unsigned lpool_executor_max_queue(const lpool_executor *executor)
{
    if (!executor) return 0;
    return lp_executor_max_queue(lp_executor_inner(executor));
}

lpool_when_full lpool_executor_when_full(const lpool_executor *executor)
{
    if (!executor) return LPOOL_FULL_BLOCKS;
    const lp_setup *setup = lp_executor_setup(lp_executor_inner(executor));
    return (lpool_when_full)setup->when_full;
}

int lpool_executor_check(lpool_executor *executor)
{
    if (!executor) return LP_INVALID;
    return lp_executor_check(lp_executor_inner(executor));
}

const char *lpool_executor_broken(lpool_executor *executor)
{
    if (!executor) return NULL;
    lp_executor *inner = lp_executor_inner(executor);
    if (lp_executor_broke_abruptly(inner))
        return "A child process terminated abruptly, the process pool is not "
               "usable anymore";
    return lp_executor_broken(inner);
}

/* ---- closing ---- */

void lpool_executor_shutdown(lpool_executor *executor, unsigned flags)
{
    if (!executor) return;
    lp_executor *inner = lp_executor_inner(executor);
    if (flags & (LPOOL_STOP | LPOOL_KILL)) {
        lp_executor_stop(inner, flags & LPOOL_KILL ? SIGKILL : SIGTERM);
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
    lp_caller *caller;
    lp_executor *inner = lp_executor_inner(executor);
    int status = lp_caller_enter_for(L, inner, &caller);
    if (status != LP_OK) return status;
    if (caller->identity && caller->identity->executor == inner)
        return LP_INVALID;
    int64_t deadline = lp_clock_after(timeout);
    for (;;) {
        lpool_dispatch(L);
        if (lp_executor_has_ended(inner)) break;
        status = lp_caller_wait(L, caller, has_ended, inner, NULL, deadline);
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

int lpool_finish(lua_State *L)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    lp_host *host = &caller->pool->host;
    for (;;) {
        lpool_dispatch(L); /* a callback may open another executor */
        lp_host_each(host, close_executor, NULL);
        if (all_ended(host)) break;
        status = lp_caller_wait(L, caller, all_ended, host, NULL, LP_NEVER);
        if (status == LP_INTERRUPTED) lp_caller_interrupted(L, caller);
    }
    lpool_dispatch(L);
    return LP_OK;
}
