/*
 * context.c - what belongs to one Lua state: its callbacks, its waits, and
 * where it submits from.
 */
#include "api/private.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

/* A buffer that grew beyond this is not kept for the next parcel. */
#define KEPT_BUFFER ((size_t)64 << 20)

/* The address is the key of the context in the registry. */
static const char context_key;

/* ---- attaching ---- */

static int collect_context(lua_State *L)
{
    lp_context *context = lua_touserdata(L, 1);
    if (!context->pool) return 0;
    lp_mailbox_clear(&context->mailbox);
    lp_buffer_clear(&context->buffer);
    context->pool = NULL;
    return 0;
}

static lp_context *find_context(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
    lp_context *context = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return context && context->pool ? context : NULL;
}

lp_context *lp_context_of(lua_State *L)
{
    lp_context *context = find_context(L);
    if (!context) luaL_error(L, "lpool is not loaded in this state");
    return context;
}

static void attach(lua_State *L, lpool *pool, const lp_identity *identity)
{
    lp_context *context = lua_newuserdatauv(L, sizeof(*context), 0);
    memset(context, 0, sizeof(*context));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_context);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    context->main = lua_tothread(L, -1);
    lua_pop(L, 1);
    context->identity = identity;
    context->function_reference = LUA_NOREF;
    lua_newtable(L);
    context->callbacks = luaL_ref(L, LUA_REGISTRYINDEX);
    lp_mailbox_init(&context->mailbox, &pool->host);
    context->pool = pool;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}

void lpool_attach(lpool *pool, lua_State *L)
{
    if (find_context(L)) return;
    attach(L, pool, NULL);
    lp_codec_open(L, &pool->caller_codec);
    lp_context *context = find_context(L);
    *(lp_context **)lua_getextraspace(context->main) = context;
}

/* The open hook of worker states; context is the lp_identity. */
void lp_context_open_worker(lua_State *L, void *argument)
{
    const lp_identity *identity = argument;
    lpool *pool = (lpool *)(void *)lp_executor_host(identity->executor);
    attach(L, pool, identity);
    if (pool->config.open_state) pool->config.open_state(L);
}

lpool *lpool_of(lua_State *L)
{
    lp_context *context = find_context(L);
    return context ? context->pool : NULL;
}

bool lpool_worker(lua_State *L, lpool_worker_info *info)
{
    lp_context *context = find_context(L);
    if (!context || !context->identity) return false;
    const lp_identity *identity = context->identity;
    info->name = identity->name;
    info->kind = identity->kind;
    info->index = identity->number;
    info->executor = (lpool_executor *)identity->executor;
    return true;
}

/* ---- buffers and places ---- */

static int collect_buffer(lua_State *L)
{
    lp_buffer_clear(lua_touserdata(L, 1));
    return 0;
}

lp_buffer *lp_context_open_buffer(lua_State *L, lp_context *context)
{
    if (!context->buffer_busy) {
        context->buffer_busy = true;
        lp_buffer_reset(&context->buffer);
        return &context->buffer;
    }
    /* User code in an encoder has called us; or an encoder has failed. */
    lp_buffer *buffer = lua_newuserdatauv(L, sizeof(*buffer), 0);
    lp_buffer_init(buffer);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_buffer);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    /* Anchored by the registry until it is closed; then collected. */
    lua_rawsetp(L, LUA_REGISTRYINDEX, buffer);
    return buffer;
}

void lp_context_close_buffer(lua_State *L, lp_context *context,
                             lp_buffer *buffer)
{
    if (buffer == &context->buffer) {
        context->buffer_busy = false;
        /* Do not sit on the memory of one large parcel for ever. */
        if (buffer->capacity > KEPT_BUFFER) lp_buffer_clear(buffer);
        return;
    }
    lp_buffer_clear(buffer);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, buffer);
}

void lp_context_place(lua_State *L, lp_context *context, const char **source,
                      uint32_t *line)
{
    lua_Debug caller;
    *source = NULL;
    *line = 0;
    if (!lua_getstack(L, 1, &caller) || !lua_getinfo(L, "fl", &caller)) return;
    const void *function = lua_topointer(L, -1);
    if (function != context->function) {
        lua_Debug about;
        lua_pushvalue(L, -1);
        lua_getinfo(L, ">S", &about);
        uint32_t number;
        size_t length;
        context->function = NULL;
        context->source = NULL;
        if (lp_library_keep(context->pool->host.library, about.short_src,
                            strlen(about.short_src) + 1, &number) == LP_OK)
            context->source = (const char *)lp_library_find(
                context->pool->host.library, number, &length);
        /* The function stays while its address is a key. */
        luaL_unref(L, LUA_REGISTRYINDEX, context->function_reference);
        context->function_reference = luaL_ref(L, LUA_REGISTRYINDEX);
        context->function = function;
    } else {
        lua_pop(L, 1);
    }
    *source = context->source;
    if (caller.currentline > 0) *line = (uint32_t)caller.currentline;
}

/* ---- callbacks ---- */

static void log_line(lp_context *context, lua_State *L, const char *what)
{
    lua_pushfstring(L, "%s%s", what, luaL_tolstring(L, -1, NULL));
    context->pool->config.log(lua_tostring(L, -1));
    lua_pop(L, 2);
}

void lpool_future_on_done(lua_State *L, lpool_future *future)
{
    lp_context *context = lp_context_of(L);
    lp_task *task = lp_task_inner(future);
    int function = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, context->callbacks);
    if (lua_rawgetp(L, -1, task) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L); /* the argument, then functions in order */
        lua_pushvalue(L, function - 1);
        lua_rawseti(L, -2, 1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, task);
        if (lp_mailbox_expect(&context->mailbox, task) != LP_OK) {
            lua_pushnil(L);
            lua_rawsetp(L, -3, task);
            luaL_error(L, "not enough memory");
        }
    }
    lua_pushvalue(L, function);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_settop(L, function - 2);
}

/* Call the functions that were to be called when task has ended. */
static void run_callbacks(lua_State *L, lp_context *context, lp_task *task)
{
    luaL_checkstack(L, 6, "callbacks");
    lua_rawgeti(L, LUA_REGISTRYINDEX, context->callbacks);
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
        if (lua_pcall(L, 1, 0, 0) != LUA_OK)
            log_line(context, L, "exception calling callback: ");
    }
    lua_pop(L, 2);
}

typedef struct looking {
    lua_State *L;
    lp_context *context;
} looking;

/* Report a failure that nobody looked at. */
static int report_body(lua_State *L)
{
    lp_context *context = lua_touserdata(L, 1);
    const lp_task *task = lua_touserdata(L, 2);
    size_t length;
    int count;
    const uint8_t *bytes = lp_task_outcome(task, &length);
    lua_settop(L, 0);
    lp_outcome_push(L, task->executor,
                    (lp_phase)(lp_task_state(task) & LP_PHASE), bytes, length,
                    &count);
    const char *error = luaL_tolstring(L, 1, NULL);
    const char *label = task->label;
    if (label) {
        lua_pushfstring(L, "task '%s', ", label);
    } else {
        lua_pushfstring(L, "task #%d, ", (int)task->serial);
    }
    if (task->source) {
        lua_pushfstring(L, "submitted at %s:%d, ", task->source,
                        (int)task->line);
    } else {
        lua_pushliteral(L, "");
    }
    lua_pushfstring(L, "failed and nobody looked at it: %s", error);
    lua_concat(L, 3);
    context->pool->config.log(lua_tostring(L, -1));
    return 0;
}

static void look(void *argument, lp_task *task)
{
    looking *who = argument;
    lua_State *L = who->L;
    if (!lua_checkstack(L, 8)) return;
    lua_pushcfunction(L, report_body);
    lua_pushlightuserdata(L, who->context);
    lua_pushlightuserdata(L, task);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void lpool_report(lua_State *L, lpool_future *future)
{
    lp_context *context = find_context(L);
    lp_task *task = lp_task_inner(future);
    if (!context || atomic_load(&task->seen) || !lp_task_ended_badly(task))
        return;
    looking who = {.L = L, .context = context};
    atomic_store(&task->seen, 1);
    look(&who, task);
}

void lp_context_collect(lua_State *L, lp_context *context)
{
    looking who = {.L = L, .context = context};
    lp_host_collect(&context->pool->host, look, &who);
}

void lpool_dispatch(lua_State *L)
{
    lp_context *context = lp_context_of(L);
    lp_context_collect(L, context);
    if (context->dispatching || !lp_mailbox_has_mail(&context->mailbox)) return;
    lp_task *task;
    context->dispatching = true;
    while ((task = lp_mailbox_take(&context->mailbox)) != NULL) {
        run_callbacks(L, context, task);
        lp_task_release(task);
    }
    context->dispatching = false;
}

/* ---- waiting ---- */

bool lpool_interrupt(lua_State *L)
{
    lp_context *context = *(lp_context **)lua_getextraspace(L);
    if (!context) return false;
    _Atomic uint32_t *word = atomic_load(&context->parked);
    if (!word) return false;
    atomic_store(&context->interrupted, 1);
    /* Change the word, in case its thread is only about to park on it. */
    atomic_fetch_add(word, LP_POKE);
    return true;
}

/*
 * A signal handler may have set a debug hook after this C function was
 * called, and the hook would not run before the wait is over. True for a
 * hook that was not given a chance yet.
 */
static bool has_new_hook(lp_context *context)
{
    lua_Hook hook = lua_gethook(context->main);
    if (!hook) {
        context->harmless_hook = NULL;
        return false;
    }
    return hook != context->harmless_hook;
}

int lp_context_park(lp_context *context, _Atomic uint32_t *word,
                    uint32_t expected, int64_t deadline)
{
    atomic_store(&context->parked, word);
    int status = LP_INTERRUPTED;
    if (!has_new_hook(context)) status = lp_park(word, expected, deadline);
    atomic_store(&context->parked, NULL);
    if (atomic_load(&context->interrupted)) status = LP_INTERRUPTED;
    return status;
}

bool lp_context_has_mail(void *what)
{
    return lp_mailbox_has_mail(what);
}

int lp_context_wait(lua_State *L, lp_context *context,
                    bool (*ready)(void *what), void *what, int64_t deadline)
{
    lp_bell *bell = &context->pool->host.bell;
    uint32_t heard = lp_bell_listen(bell);
    lp_context_collect(L, context);
    if (ready(what)) return LP_OK;
    if (!context->dispatching && lp_mailbox_has_mail(&context->mailbox))
        return LP_OK;
    return lp_context_park(context, &bell->word, heard, deadline);
}

static void cancel_pending(lp_executor *executor, void *unused)
{
    (void)unused;
    lp_executor_cancel_pending(executor);
}

void lp_context_interrupted(lua_State *L, lp_context *context)
{
    bool ours = atomic_exchange(&context->interrupted, 0) != 0;
    if (ours) lp_host_each(&context->pool->host, cancel_pending, NULL);
    /* A debug hook that was set meanwhile raises in here. */
    lua_Hook hook = lua_gethook(context->main);
    if (luaL_loadstring(L, "local _ = nil") == LUA_OK) lua_call(L, 0, 0);
    context->harmless_hook = hook;
    if (ours) luaL_error(L, "interrupted!");
}

int lpool_sleep(lua_State *L, int64_t timeout)
{
    lp_context *context = lp_context_of(L);
    int64_t deadline = lp_clock_after(timeout);
    _Atomic uint32_t word = 0;
    lpool_dispatch(L);
    for (;;) {
        uint32_t expected = atomic_load(&word);
        int status = lp_context_park(context, &word, expected, deadline);
        if (status == LP_INTERRUPTED) lp_context_interrupted(L, context);
        if (lp_clock_now() >= deadline) break;
    }
    lpool_dispatch(L);
    return LP_OK;
}
