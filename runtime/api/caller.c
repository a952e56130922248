/*
 * caller.c - what belongs to one Lua state: attaching it, the buffer that it
 * encodes into, callbacks and reports.
 */
#include "api/api.h"
#include "base/hints.h"
#include "base/status.h"

#include <assert.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>

/* A buffer that grew beyond this is not kept for the next parcel. */
#define KEPT_BUFFER ((size_t)64 << 20)

/* The address is the key of the caller in the registry. */
static const char caller_key, interruptible_key;

/*
 * The caller that this thread found last, since the registry is slow for
 * what happens several times a task. States are told apart by the addresses
 * of their main thread and of their registry, which all of their coroutines
 * have: both are used again only after the state, and with it its caller, has
 * gone, which gone counts.
 */
typedef struct latest {
    const lua_State *main;
    const void *registry;
    lp_caller *caller;
    unsigned gone;
} latest;
static _Thread_local latest latest_found
    __attribute__((tls_model("initial-exec")));
static atomic_uint gone;

static_assert(sizeof(void *) > 8 || sizeof(lp_caller) <= 1024 - 40,
              "with Lua's header it is a block of the slabs in each worker");

/* ---- attaching ---- */

static int collect_caller(lua_State *L)
{
    lp_caller *caller = lua_touserdata(L, 1);
    if (caller->pool) lp_boxes_close(L, caller);
    atomic_fetch_add(&gone, 1);
    if (!caller->pool) return 0;
    lp_notice_close(&caller->notice, caller->pool);
    lp_mailbox_clear(&caller->mailbox);
    if (!caller->identity) atomic_fetch_sub(&caller->pool->attached, 1);
    lp_buffer_clear(&caller->buffer);
    caller->pool = NULL;
    return 0;
}

/* For a coroutine, or a state other than the latest. */
static LP_APART lp_caller *find_slowly(lua_State *L)
{
    if (!L) return NULL;
    latest *found = &latest_found;
    unsigned now = atomic_load_explicit(&gone, memory_order_relaxed);
    const void *registry = lua_topointer(L, LUA_REGISTRYINDEX);
    if (found->registry == registry && found->gone == now) return found->caller;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &caller_key);
    lp_caller *caller = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!caller || !caller->pool) return NULL;
    *found = (latest){caller->main, registry, caller, now};
    return caller;
}

lp_caller *lp_caller_find(lua_State *L)
{
    const latest *found = &latest_found;
    if (L && found->main == L &&
        found->gone == atomic_load_explicit(&gone, memory_order_relaxed))
        return found->caller;
    return find_slowly(L);
}

int lp_caller_enter(lua_State *L, lp_caller **out)
{
    lp_caller *caller = lp_caller_find(L);
    if (!caller) return LP_INVALID;
#ifdef LP_DEBUG
    if (caller->has_owner && !lp_thread_is_this(&caller->owner))
        return LP_THREAD;
#endif
    *out = caller;
    return LP_OK;
}

int lp_caller_enter_for(lua_State *L, const lp_executor *executor,
                        lp_caller **caller)
{
    if (!executor) return LP_INVALID;
    int status = lp_caller_enter(L, caller);
    if (status != LP_OK) return status;
    lp_host *host = &(*caller)->pool->host;
    return lp_executor_host(executor) == host ? LP_OK : LP_INVALID;
}

lp_caller *lp_caller_of(lua_State *L)
{
    lp_caller *caller = lp_caller_find(L);
    if (!caller) luaL_error(L, "lpool is not loaded in this state");
    return caller;
}

static void attach(lua_State *L, lpool *pool, const lp_identity *identity)
{
    lp_caller *caller = lua_newuserdatauv(L, sizeof(*caller), 0);
    memset(caller, 0, sizeof(*caller));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_caller);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    caller->main = lua_tothread(L, -1);
    lua_pop(L, 1);
    caller->identity = identity;
    /* A serial worker is whoever submits to it. */
    caller->has_owner = !identity || !identity->executor ||
                        !lp_executor_is_serial(identity->executor);
    lp_thread_this(&caller->owner);
    lp_buffer_init(&caller->buffer, pool->host.allocator);
    lua_newtable(L);
    caller->callbacks = luaL_ref(L, LUA_REGISTRYINDEX);
    lp_mailbox_init(&caller->mailbox, &pool->host);
    lp_notice_init(&caller->notice, &caller->mailbox);
    lp_boxes_open(L, caller);
    caller->pool = pool;
    if (!identity) atomic_fetch_add(&pool->attached, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &caller_key);
}

int lpool_attach(lpool *pool, lua_State *L)
{
    if (!pool || !L) return LP_INVALID;
    if (lua_version(L) != LUA_VERSION_NUM) return LP_VERSION;
    lp_caller *known = lp_caller_find(L);
    if (known) {
        if (known->pool != pool) return LP_INVALID;
        if (!known->identity) lp_thread_this(&known->owner); /* it has moved */
        return LP_OK;
    }
    /* The caller last: a state that has it is attached as a whole. */
    lp_codec_open(L, &pool->caller_codec);
    attach(L, pool, NULL);
    lp_caller *caller = lp_caller_find(L);
    /* A program of its own may use that space for something else. */
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &interruptible_key) == LUA_TBOOLEAN)
        *(lp_caller **)lua_getextraspace(caller->main) = caller;
    lua_pop(L, 1);
    return LP_OK;
}

void lpool_open_interrupt(lua_State *L)
{
    if (!L) return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    *(lp_caller **)lua_getextraspace(lua_tothread(L, -1)) = NULL;
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &interruptible_key);
}

void lp_caller_open_worker(lua_State *L, void *argument)
{
    const lp_identity *identity = argument;
    lpool *pool = (lpool *)(void *)identity->host;
    attach(L, pool, identity);
    if (pool->config.open_state) pool->config.open_state(L);
}

lpool *lpool_of(lua_State *L)
{
    lp_caller *caller = lp_caller_find(L);
    return caller ? caller->pool : NULL;
}

bool lpool_is_stopped(lua_State *L)
{
    lp_caller *caller = lp_caller_find(L);
    return caller && caller->identity && lp_stop_is_set(caller->identity->stop);
}

bool lpool_worker(lua_State *L, lpool_worker_info *info)
{
    lp_caller *caller = lp_caller_find(L);
    if (!caller || !caller->identity || !info) return false;
    const lp_identity *identity = caller->identity;
    info->name = identity->name;
    info->kind = identity->kind;
    info->index = identity->number;
    info->executor = (lpool_executor *)identity->executor;
    return true;
}

/* ---- buffers ---- */

static int collect_buffer(lua_State *L)
{
    lp_buffer_clear(lua_touserdata(L, 1));
    return 0;
}

int lp_caller_encode(lua_State *L, lp_caller *caller,
                     const lp_executor *executor, int first, int count,
                     lp_role role, lp_buffer *out, lp_message_info *info)
{
    if (!caller->codec) caller->codec = lp_codec_of(L);
    caller->to_process = lp_executor_is_shared(executor);
    if (caller->to_process && __fpending(stdout) > 0)
        (void)fflush(stdout); /* the script's own affair */
    int status = lp_encode(L, caller->codec, first, count, role, out, info);
    caller->to_process = false;
    return status;
}

int lp_leave_text(lua_State *L, int first, int status)
{
    if (status == LP_UNSENDABLE) {
        lua_replace(L, first);
        lua_settop(L, first);
    } else {
        lua_settop(L, first - 1);
    }
    return status;
}

/* User code in an encoder has called us; or an encoder has failed. */
static LP_APART lp_buffer *open_another(lua_State *L, const lp_caller *caller)
{
    lp_buffer *buffer = lua_newuserdatauv(L, sizeof(*buffer), 0);
    lp_buffer_init(buffer, caller->pool->host.allocator);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_buffer);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    /* Anchored by the registry until it is closed; then collected. */
    lua_rawsetp(L, LUA_REGISTRYINDEX, buffer);
    return buffer;
}

static LP_APART void close_another(lua_State *L, lp_buffer *buffer)
{
    lp_buffer_clear(buffer);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, buffer);
}

lp_buffer *lp_caller_open_buffer(lua_State *L, lp_caller *caller)
{
    if (caller->buffer_busy) return open_another(L, caller);
    caller->buffer_busy = true;
    lp_buffer_reset(&caller->buffer);
    return &caller->buffer;
}

void lp_caller_close_buffer(lua_State *L, lp_caller *caller, lp_buffer *buffer)
{
    if (buffer != &caller->buffer) {
        close_another(L, buffer);
        return;
    }
    lp_buffer_reset(buffer);
    buffer->memory = NULL;
    caller->buffer_busy = false;
    /* Do not sit on the memory of one large parcel for ever. */
    if (buffer->capacity > KEPT_BUFFER) lp_buffer_clear(buffer);
}

/* ---- callbacks ---- */

/* Log the error on top, which a callback of the future below it raised. */
static int log_body(lua_State *L)
{
    lp_caller *caller = lua_touserdata(L, 1);
    const char *future = luaL_tolstring(L, 2, NULL);
    const char *error = luaL_tolstring(L, 3, NULL);
    lua_pushfstring(L, "exception calling callback for %s: %s", future, error);
    lp_pool_log(caller->pool, lua_tostring(L, -1));
    return 0;
}

int lpool_future_on_done(lua_State *L, lpool_future *future)
{
    lp_caller *caller;
    lp_task *task = lp_task_inner(future);
    int status = lp_caller_enter_for(L, task ? task->executor : NULL, &caller);
    if (status != LP_OK) return status;
    int function = lua_gettop(L);
    if (function < 2) return LP_INVALID;
    lua_rawgeti(L, LUA_REGISTRYINDEX, caller->callbacks);
    if (lua_rawgetp(L, -1, task) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L); /* the argument, then functions in order */
        lua_pushvalue(L, function - 1);
        lua_rawseti(L, -2, 1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, task);
        if (lp_mailbox_expect(&caller->mailbox, task, 0) != LP_OK) {
            lua_pushnil(L);
            lua_rawsetp(L, -3, task);
            luaL_error(L, "not enough memory");
        }
    }
    lua_pushvalue(L, function);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_settop(L, function - 2);
    /* It may have ended before, and nobody rings for that. */
    if (lp_notice_is_open(&caller->notice))
        lp_bell_ring(caller->pool->host.bell);
    return LP_OK;
}

int lpool_fd(lua_State *L, int *fd)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!fd) return LP_INVALID;
    status = lp_notice_open(&caller->notice, caller->pool);
    if (status == LP_OK) *fd = caller->notice.fd;
    return status;
}

/* Call the functions that were to be called when task has ended. */
static void run_callbacks(lua_State *L, lp_caller *caller, lp_task *task)
{
    luaL_checkstack(L, 8, "callbacks");
    lua_rawgeti(L, LUA_REGISTRYINDEX, caller->callbacks);
    if (lua_rawgetp(L, -1, task) != LUA_TTABLE) {
        lua_pop(L, 2);
        return;
    }
    lua_pushnil(L);
    lua_rawsetp(L, -3, task);
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 2; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        lua_rawgeti(L, -2, 1);
        if (lua_pcall(L, 1, 0, 0) == LUA_OK) continue;
        if (!caller->identity && lpool_is_interrupt(L, -1)) {
            /* Meant for the script: the wait that it is in ends, or the next.
             */
            atomic_store(&caller->interrupted, 1);
            lua_pop(L, 1);
            continue;
        }
        lua_pushcfunction(L, log_body);
        lua_insert(L, -2);
        lua_pushlightuserdata(L, caller);
        lua_insert(L, -2);
        lua_rawgeti(L, -4, 1);
        lua_insert(L, -2);
        if (lua_pcall(L, 3, 0, 0) == LUA_OK) continue;
        lua_pop(L, 1);
        lp_pool_log(caller->pool,
                    "exception calling callback: an error without a text");
    }
    lua_pop(L, 2);
}

typedef struct looking {
    lua_State *L;
    lp_caller *caller;
} looking;

/* Report a failure that nobody looked at. */
static int report_body(lua_State *L)
{
    lp_caller *caller = lua_touserdata(L, 1);
    lp_task *task = lua_touserdata(L, 2);
    int count;
    lua_settop(L, 0);
    lp_caller_push_outcome(L, task, &count);
    const char *error = luaL_tolstring(L, 1, NULL);
    const char *label = lp_task_label(task);
    const char *name =
        label ? lua_pushfstring(L, "task '%s'", label)
              : lua_pushfstring(L, "task #%d", (int)lp_task_serial(task));
    if ((lp_task_state(task) & LP_PHASE) == LP_LOST && strstr(error, name)) {
        /* The error is lpool's own, and says what task that is, and whose. */
        lua_pushfstring(L, "nobody looked at a failure: %s", error);
        lp_pool_log(caller->pool, lua_tostring(L, -1));
        return 0;
    }
    lua_pushliteral(L, ", ");
    lua_concat(L, 2);
    if (task->origin) {
        lua_pushfstring(L, "submitted at %s, ", task->origin);
    } else {
        lua_pushliteral(L, "");
    }
    lua_pushfstring(L, "failed and nobody looked at it: %s", error);
    lua_concat(L, 3);
    lp_pool_log(caller->pool, lua_tostring(L, -1));
    return 0;
}

static void look(void *argument, lp_task *task)
{
    looking *who = argument;
    lua_State *L = who->L;
    if (!lua_checkstack(L, 8)) return;
    lua_pushcfunction(L, report_body);
    lua_pushlightuserdata(L, who->caller);
    lua_pushlightuserdata(L, task);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void lpool_report(lua_State *L, lpool_future *future)
{
    lp_caller *caller;
    lp_task *task = lp_task_inner(future);
    if (!task || lp_caller_enter(L, &caller) != LP_OK ||
        atomic_load(&task->seen) || !lp_task_ended_badly(task))
        return;
    /* Whoever else has it may still look. */
    if (atomic_load(&task->references) > 1) return;
    looking who = {.L = L, .caller = caller};
    atomic_store(&task->seen, 1);
    look(&who, task);
}

static LP_APART void collect_slowly(lua_State *L, lp_caller *caller)
{
    looking who = {.L = L, .caller = caller};
    lp_boxes_collect(L, caller);
    lp_task_pile_free(&caller->pile);
    lp_host_collect(&caller->pool->host, look, &who);
}

void lp_caller_collect(lua_State *L, lp_caller *caller)
{
    uint32_t heard;
    if (lp_host_has_ended(&caller->pool->host, &heard) ||
        caller->pile.count > 0 || !lp_list_is_empty(&caller->dropped))
        collect_slowly(L, caller);
}

int lpool_dispatch(lua_State *L)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (lp_notice_is_open(&caller->notice)) lp_notice_lower(&caller->notice);
    lp_caller_collect(L, caller);
    if (caller->mailbox.count > 0 && !caller->dispatching) {
        lp_host_await_posts(&caller->pool->host);
        lp_caller_collect(L, caller);
    }
    if (caller->dispatching || !lp_mailbox_has_mail(&caller->mailbox))
        return LP_OK;
    lp_task *task;
    caller->dispatching = true;
    while ((task = lp_mailbox_take(&caller->mailbox, NULL)) != NULL) {
        run_callbacks(L, caller, task);
        lpool_future_drop(L, (lpool_future *)task);
    }
    caller->dispatching = false;
    return LP_OK;
}
