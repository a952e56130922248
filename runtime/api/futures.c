/* futures.c - waiting for one future, and what it came to. */
#include "api/api.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/signal_name.h"
#include "base/status.h"
#include "core/stopping.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- outcomes ---- */

static void push_kind(lua_State *L, const char *kind, const char *text,
                      size_t length)
{
    lua_pushlstring(L, text, length);
    lpool_push_error(L, kind, lua_tostring(L, -1));
    lua_remove(L, -2);
}

static void push_text(lua_State *L, const char *kind, const char *text)
{
    push_kind(L, kind, text, strlen(text));
}

void lp_outcome_push_broken(lua_State *L, lp_executor *executor)
{
    const char *why = lp_executor_broken(executor);
    lpool_push_error(
        L, lpool_executor_broken_kind((const lpool_executor *)executor),
        why ? why : "not enough memory");
}

/* Say what the task is called. */
static void name_task(lp_outcome_source *source)
{
    const lp_task *task = source->task;
    source->number = task->serial;
    source->label = lp_task_label(task);
    source->source = task->source;
    source->line = task->line;
    source->timeout = lp_task_timeout(task);
}

/* Push what people call it: its label, and where it was submitted. */
static void push_name(lua_State *L, const lp_outcome_source *source)
{
    LUAI_UACINT number = (LUAI_UACINT)source->number;
    if (source->task && source->label) {
        lua_pushfstring(L, "task '%s'", source->label);
    } else if (source->task) {
        lua_pushfstring(L, "task #%I", number);
    } else if (source->label) {
        lua_pushfstring(L, "item %I of map '%s'", number, source->label);
    } else {
        lua_pushfstring(L, "item %I of a map", number);
    }
    if (source->source) {
        lua_pushfstring(L, " (submitted at %s:%d)", source->source,
                        (int)source->line);
        lua_concat(L, 2);
    }
}

/* Set the fields of the error on top that say which worker it was. */
static void set_worker_fields(lua_State *L, const lp_outcome_source *source,
                              int pid)
{
    if (pid != 0) {
        lua_pushinteger(L, pid);
        lua_setfield(L, -2, "pid");
    }
    if (source->label) {
        lua_pushstring(L, source->label);
        lua_setfield(L, -2, "label");
    }
}

/* Push the error of a task whose worker died. */
static void push_lost(lua_State *L, const lp_outcome_source *source,
                      const lp_reason *reason)
{
    int status = reason->number;
    char how[64];
    char name[32] = "";
    const char *hint = "";
    lp_signal_describe(status, how, sizeof(how));
    if (WIFSIGNALED(status)) {
        lp_signal_name(WTERMSIG(status), name, sizeof(name));
        if (WTERMSIG(status) == SIGKILL)
            hint = "; perhaps the system was short of memory";
    }
    lua_pushfstring(L, "the worker with pid %d %s while it ran ",
                    (int)reason->pid, how);
    push_name(L, source);
    lua_pushstring(L, hint);
    lua_concat(L, 3);
    lpool_push_error(L, "WorkerLostError", lua_tostring(L, -1));
    lua_remove(L, -2);
    set_worker_fields(L, source, reason->pid);
    if (name[0]) {
        lua_pushstring(L, name);
        lua_setfield(L, -2, "signal");
    } else {
        lua_pushinteger(L, WEXITSTATUS(status));
        lua_setfield(L, -2, "code");
    }
}

/* Push the error of a task that ran longer than it may. */
static void push_timeout(lua_State *L, const lp_outcome_source *source)
{
    push_name(L, source);
    lua_pushfstring(L, " ran longer than its limit of %f seconds",
                    (double)source->timeout / 1e9);
    lua_concat(L, 2);
    lpool_push_error(L, "TimeoutError", lua_tostring(L, -1));
    lua_remove(L, -2);
    set_worker_fields(L, source, 0);
}

/* Push the error of a task that called os.exit. */
static void push_exit(lua_State *L, const lp_outcome_source *source, int code)
{
    const lp_task *task = source->task;
    int pid = task ? lp_task_cell(task)->pid : 0;
    push_name(L, source);
    lua_pushfstring(L, " called os.exit(%d)", code);
    if (pid != 0) {
        lua_pushfstring(L, " in the worker with pid %d", pid);
    } else {
        lua_pushliteral(L, "");
    }
    lua_concat(L, 3);
    lpool_push_error(L, "WorkerExitError", lua_tostring(L, -1));
    lua_remove(L, -2);
    set_worker_fields(L, source, pid);
    lua_pushinteger(L, code);
    lua_setfield(L, -2, "code");
}

/* Push the error object for why a task was lost. */
static void push_reason(lua_State *L, const lp_outcome_source *source,
                        const uint8_t *bytes, size_t length)
{
    lp_reason reason = {.cause = LP_CAUSE_BROKEN};
    const char *text = "";
    size_t text_length = 0;
    if (length >= sizeof(reason)) {
        memcpy(&reason, bytes, sizeof(reason));
        text = (const char *)bytes + sizeof(reason);
        text_length = length - sizeof(reason);
    }
    switch ((lp_cause)reason.cause) {
    case LP_CAUSE_BROKEN:
        lp_outcome_push_broken(L, source->executor);
        return;
    case LP_CAUSE_EXIT:
        push_exit(L, source, reason.number);
        return;
    case LP_CAUSE_LOST:
        push_lost(L, source, &reason);
        return;
    case LP_CAUSE_TIMEOUT:
        push_timeout(L, source);
        return;
    case LP_CAUSE_INTERRUPT:
        push_text(L, "CancelledError", "the task was interrupted");
        return;
    case LP_CAUSE_UNSENDABLE:
        lua_pushliteral(L, "cannot return ");
        lua_pushlstring(L, text, text_length);
        lua_concat(L, 2);
        lpool_push_error(L, "SerializationError", lua_tostring(L, -1));
        lua_remove(L, -2);
        return;
    case LP_CAUSE_UNREADABLE:
        push_kind(L, "SerializationError", text, text_length);
        return;
    case LP_CAUSE_LIMIT:
        push_kind(L, "LimitError", text, text_length);
        return;
    case LP_CAUSE_MEMORY:
        break;
    }
    push_text(L, "LimitError", "not enough memory for the outcome of the task");
}

/* Decode one message that holds one value. */
static void push_message(lua_State *L, lp_reader *reader)
{
    int count;
    if (lp_decode(L, NULL, reader, &count) != LP_OK) {
        const char *text = lua_tostring(L, -1);
        push_text(L, "SerializationError", text ? text : "unreadable");
        lua_remove(L, -2);
    } else if (count != 1) {
        lua_pop(L, count);
        lua_pushnil(L);
    }
}

static int push_results(lua_State *L, const uint8_t *bytes, size_t length,
                        int *count)
{
    lp_reader reader = {bytes, bytes + length, NULL, 0};
    if (lp_decode(L, NULL, &reader, count) == LP_OK) return LP_OK;
    luaL_checkstack(L, 4, "results");
    push_text(L, "SerializationError", lua_tostring(L, -1));
    lua_remove(L, -2);
    lua_pushliteral(L, "stack traceback:\n\t(reading the results)");
    return LP_FAILED;
}

int lp_outcome_push(lua_State *L, const lp_outcome_source *source,
                    lp_phase phase, const uint8_t *bytes, size_t length,
                    int *count)
{
    lp_reader reader = {bytes, bytes + length, NULL, 0};
    if (phase == LP_FINISHED) return push_results(L, bytes, length, count);
    if (phase > LP_LOST) phase = LP_LOST; /* what only a mad process writes */
    luaL_checkstack(L, 4, "results");
    switch (phase) {
    case LP_RAISED:
        push_message(L, &reader);
        push_message(L, &reader);
        return LP_FAILED;
    case LP_CANCELLED:
        push_text(L, "CancelledError", "the task was cancelled");
        break;
    default:
        push_reason(L, source, bytes, length);
        break;
    }
    lua_pushliteral(L, "stack traceback:\n\t(not in Lua code)");
    return LP_FAILED;
}

/* The address is the key of the table of what manual futures hold. */
static const char values_key;

/*
 * Push the table: address of a task -> its values or error. False, and
 * nothing: no future has been set yet.
 */
static bool find_values(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &values_key) == LUA_TTABLE)
        return true;
    lua_pop(L, 1);
    return false;
}

/* Push it, made if need be. */
static void push_values(lua_State *L)
{
    if (find_values(L)) return;
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &values_key);
}

/* Push what a manual future was set to: see lpool_future_push. */
static int push_manual(lua_State *L, lp_task *task, lp_phase phase, int *count)
{
    luaL_checkstack(L, 4, "results");
    push_values(L);
    lua_rawgetp(L, -1, task);
    lua_remove(L, -2);
    int values = lua_gettop(L);
    if (!lua_istable(L, values)) { /* another state has them */
        lua_settop(L, values - 1);
        return LP_INVALID;
    }
    if (phase == LP_RAISED) {
        lua_rawgeti(L, values, 1);
        lua_rawgeti(L, values, 2);
        lua_remove(L, values);
        return LP_FAILED;
    }
    lua_getfield(L, values, "n");
    *count = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, *count, "results");
    for (int i = 1; i <= *count; i++)
        lua_rawgeti(L, values, i);
    lua_remove(L, values);
    return LP_OK;
}

/* Why there are no results: only that takes the task's name. */
static int push_failure(lua_State *L, const lp_task *task, lp_phase phase,
                        const uint8_t *bytes, size_t length)
{
    int count;
    lp_outcome_source source = {.executor = task->executor, .task = task};
    if (phase == LP_LOST) name_task(&source);
    return lp_outcome_push(L, &source, phase, bytes, length, &count);
}

static int push_outcome(lua_State *L, lp_task *task, const lp_cell *cell,
                        lp_phase phase, int *count)
{
    if (task->manual && (phase == LP_FINISHED || phase == LP_RAISED))
        return push_manual(L, task, phase, count);
    size_t length;
    const uint8_t *bytes = lp_cell_outcome(task->executor, cell, &length);
    if (!bytes) {
        push_text(L, "SerializationError",
                  "what the worker wrote as the outcome makes no sense");
        lua_pushliteral(L, "stack traceback:\n\t(not in Lua code)");
        return LP_FAILED;
    }
    if (phase == LP_FINISHED) return push_results(L, bytes, length, count);
    return push_failure(L, task, phase, bytes, length);
}

int lp_caller_push_outcome(lua_State *L, lp_task *task, int *count)
{
    const lp_cell *cell = lp_task_cell(task);
    return push_outcome(L, task, cell, lp_cell_phase(cell), count);
}

int lpool_future_push(lua_State *L, lpool_future *future, int *count)
{
    lp_caller *caller;
    lp_task *task = lp_task_inner(future);
    int status = lp_caller_enter_for(L, task ? task->executor : NULL, &caller);
    if (status != LP_OK) return status;
    if (!count) return LP_INVALID;
    const lp_cell *cell = lp_task_cell(task);
    lp_phase phase = lp_cell_phase(cell);
    if (!lp_phase_is_done(phase)) return LP_INVALID;
    if (!atomic_load_explicit(&task->seen, memory_order_relaxed))
        atomic_store_explicit(&task->seen, 1, memory_order_relaxed);
    return push_outcome(L, task, cell, phase, count);
}

void lpool_future_forget(lua_State *L, lpool_future *future)
{
    lp_caller *caller;
    if (!future || lp_caller_enter(L, &caller) != LP_OK) return;
    if (!lp_task_inner(future)->manual || !lua_checkstack(L, 2)) return;
    if (!find_values(L)) return;
    lua_pushnil(L);
    lua_rawsetp(L, -2, future);
    lua_pop(L, 1);
}

const char *lpool_future_outcome_type(lua_State *L, const lpool_future *future)
{
    lp_caller *caller;
    if (!future || lp_caller_enter(L, &caller) != LP_OK) return "table";
    const lp_task *task = lp_task_inner(future);
    uint32_t phase = lp_task_state(task) & LP_PHASE;
    if (phase != LP_FINISHED && phase != LP_RAISED) return "table";
    if (task->manual) {
        push_values(L);
        lua_rawgetp(L, -1, task);
        lua_rawgeti(L, -1, 1);
        lua_getfield(L, -2, "n");
        const char *type = luaL_typename(L, -2);
        if (phase == LP_FINISHED && lua_tointeger(L, -1) == 0) type = "nothing";
        lua_pop(L, 4);
        return type;
    }
    size_t length;
    const uint8_t *bytes = lp_task_outcome(task, &length);
    if (!bytes) return "table";
    lp_reader reader = {bytes, bytes + length, NULL, 0};
    return lp_decode_peek(&reader);
}

/* ---- what is known of it ---- */

void lpool_future_retain(lpool_future *future)
{
    if (!future) return;
    lp_task_retain(lp_task_inner(future));
}

void lpool_future_release(lpool_future *future)
{
    lp_task_release(lp_task_inner(future));
}

lpool_state lpool_future_state(const lpool_future *future)
{
    if (!future) return LPOOL_CANCELLED;
    static const lpool_state states[] = {
        [LP_PENDING] = LPOOL_PENDING,
        [LP_RUNNING] = LPOOL_RUNNING,
        [LP_FINISHED] = LPOOL_FINISHED,
        [LP_RAISED] = LPOOL_FAILED,
        [LP_CANCELLED] = LPOOL_CANCELLED,
        [LP_LOST] = LPOOL_FAILED,
        [6] = LPOOL_FAILED, /* what only a mad process writes */
        [7] = LPOOL_FAILED,
    };
    return states[lp_task_state(lp_task_inner(future)) & LP_PHASE];
}

bool lpool_future_interrupt(lpool_future *future)
{
    if (!future) return false;
    return lp_task_interrupt(lp_task_inner(future));
}

bool lpool_future_cancel(lpool_future *future)
{
    if (!future) return false;
    return lp_task_cancel(lp_task_inner(future));
}

uint64_t lpool_future_number(const lpool_future *future)
{
    if (!future) return 0;
    return lp_task_inner(future)->serial;
}

const char *lpool_future_label(const lpool_future *future)
{
    if (!future) return NULL;
    return lp_task_label(lp_task_inner(future));
}

bool lpool_future_worker(const lpool_future *future, char *name, size_t size)
{
    if (!future || !name) return false;
    const lp_task *task = lp_task_inner(future);
    uint32_t worker;
    int32_t pid;
    if (!lp_task_worker(task, &worker, &pid)) return false;
    lp_setup_name(lp_executor_setup(task->executor), worker, name, size);
    return true;
}

int lpool_future_pid(const lpool_future *future)
{
    if (!future) return 0;
    uint32_t worker;
    int32_t pid;
    if (!lp_task_worker(lp_task_inner(future), &worker, &pid)) return 0;
    return pid != 0 ? pid : getpid();
}

/* ---- waiting ---- */

/* One that ends without a word to park on, or with callbacks to be run. */
static int wait_in_mailbox(lua_State *L, lp_caller *caller, lp_task *task,
                           int64_t deadline)
{
    lp_mailbox mailbox;
    lp_mailbox_init(&mailbox, &caller->pool->host);
    if (lp_mailbox_expect(&mailbox, task, 0) != LP_OK) return LP_NOMEM;
    int status = lp_caller_await_mail(L, caller, &mailbox, deadline);
    lp_mailbox_clear(&mailbox);
    return status;
}

/* Wait for a task that is not done. */
static __attribute__((noinline)) int await_task(lua_State *L, lp_task *task,
                                                int64_t timeout)
{
    lp_caller *caller;
    int status = lp_caller_enter_for(L, task->executor, &caller);
    if (status != LP_OK) return status;
    int64_t deadline = lp_clock_after(timeout);
    for (;;) {
        lpool_dispatch(L);
        uint32_t expected;
        if (caller->mailbox.count > 0 || task->manual) {
            if (lp_phase_is_done(lp_task_state(task))) return LP_OK;
            status = wait_in_mailbox(L, caller, task, deadline);
        } else {
            if (!lp_task_listen(task, &expected)) return LP_OK;
            const lp_awaited awaited = {.task = task};
            status =
                lp_caller_park_for(caller, &awaited, &lp_task_cell(task)->state,
                                   expected, deadline);
        }
        if (lp_phase_is_done(lp_task_state(task)) && status != LP_INTERRUPTED)
            return LP_OK;
        if (status == LP_INTERRUPTED) {
            lp_caller_interrupted(L, caller);
        } else if (status != LP_OK) {
            return status;
        }
    }
}

int lpool_future_wait(lua_State *L, lpool_future *future, int64_t timeout)
{
    if (!L || !future) return LP_INVALID;
    lp_task *task = lp_task_inner(future);
    if (!lp_phase_is_done(lp_task_state(task)))
        return await_task(L, task, timeout);
    if (lp_host_has_news(lp_executor_host(task->executor))) lpool_dispatch(L);
    return LP_OK;
}

/* ---- futures without a worker ---- */

int lpool_future_new(lua_State *L, lpool_future **future)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!future) return LP_INVALID;
    lp_boxes_collect(L, caller);
    lp_executor *manual = lp_pool_manual(caller->pool);
    lp_task *task = NULL;
    if (!manual) return LP_NOMEM;
    status = lp_executor_make_manual(manual, &task);
    *future = (lpool_future *)task;
    return status;
}

bool lpool_future_is_manual(const lpool_future *future)
{
    if (!future) return false;
    return lp_task_inner(future)->manual != 0;
}

int lpool_future_set_running(lpool_future *future)
{
    if (!future) return LP_INVALID;
    lp_task *task = lp_task_inner(future);
    return task->manual ? lp_task_set_running(task) : LP_INVALID;
}

/* Keep the table of values on top for the future, and end it. */
static int settle(lua_State *L, lpool_future *future, lp_phase phase)
{
    lp_task *task = lp_task_inner(future);
    push_values(L);
    lua_insert(L, -2);
    lua_rawsetp(L, -2, task);
    lua_pop(L, 1);
    return lp_task_settle(task, phase);
}

int lpool_future_set_result(lua_State *L, lpool_future *future, int count)
{
    lp_caller *caller;
    lp_task *task = lp_task_inner(future);
    int status = lp_caller_enter_for(L, task ? task->executor : NULL, &caller);
    if (status != LP_OK) return status;
    if (count < 0 || count > lua_gettop(L)) return LP_INVALID;
    int first = lua_gettop(L) - count + 1;
    if (!task->manual || lp_phase_is_done(lp_task_state(task)))
        return LP_INVALID;
    lua_createtable(L, count, 1);
    lua_insert(L, first);
    for (int i = count; i >= 1; i--)
        lua_rawseti(L, first, i);
    lua_pushinteger(L, count);
    lua_setfield(L, first, "n");
    return settle(L, future, LP_FINISHED);
}

int lpool_future_set_error(lua_State *L, lpool_future *future)
{
    lp_caller *caller;
    lp_task *task = lp_task_inner(future);
    int status = lp_caller_enter_for(L, task ? task->executor : NULL, &caller);
    if (status != LP_OK) return status;
    if (lua_gettop(L) < 1) return LP_INVALID;
    if (!task->manual || lp_phase_is_done(lp_task_state(task)))
        return LP_INVALID;
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    luaL_traceback(L, L, NULL, 1);
    lua_rawseti(L, -2, 2);
    return settle(L, future, LP_RAISED);
}
