/*
 * outcomes.c - what tasks and items came to, as Lua values: results, or the
 * error object that says why there are none.
 */
#include "api/api.h"
#include "base/hints.h"
#include "base/signal_name.h"
#include "base/status.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

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
    source->number = lp_task_serial(task);
    source->label = lp_task_label(task);
    source->origin = task->origin;
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
    if (source->origin) {
        lua_pushfstring(L, " (submitted at %s)", source->origin);
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
    int pid = task ? task->cell->pid : 0;
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

/*
 * A message was not readable, and why is on top: an error that says so takes
 * its place.
 */
static LP_APART void make_unreadable(lua_State *L)
{
    luaL_checkstack(L, 4, "results");
    const char *text = lua_tostring(L, -1);
    push_text(L, "SerializationError", text ? text : "unreadable");
    lua_remove(L, -2);
}

/* Decode one message that holds one value. */
static void push_message(lua_State *L, lp_reader *reader)
{
    int count;
    if (lp_decode(L, NULL, reader, &count) != LP_OK) {
        make_unreadable(L);
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
    make_unreadable(L);
    lua_pushliteral(L, "stack traceback:\n\t(reading the results)");
    return LP_FAILED;
}

/* Push why there are no results. */
static LP_APART int push_failure(lua_State *L, const lp_outcome_source *source,
                                 lp_phase phase, const uint8_t *bytes,
                                 size_t length)
{
    luaL_checkstack(L, 4, "results");
    if (phase == LP_RAISED) {
        lp_reader reader = {bytes, bytes + length, NULL, 0};
        push_message(L, &reader);
        push_message(L, &reader);
        return LP_FAILED;
    }
    if (phase == LP_CANCELLED) {
        push_text(L, "CancelledError", "the task was cancelled");
    } else { /* lost, or what only a mad process writes */
        push_reason(L, source, bytes, length);
    }
    lua_pushliteral(L, "stack traceback:\n\t(not in Lua code)");
    return LP_FAILED;
}

int lp_outcome_push(lua_State *L, const lp_outcome_source *source,
                    lp_phase phase, const uint8_t *bytes, size_t length,
                    int *count)
{
    if (phase == LP_FINISHED) return push_results(L, bytes, length, count);
    return push_failure(L, source, phase, bytes, length);
}

/* Push why a task has no results; bytes are NULL if they make no sense. */
static LP_APART int push_task_failure(lua_State *L, const lp_task *task,
                                      lp_phase phase, const uint8_t *bytes,
                                      size_t length)
{
    if (!bytes) {
        push_text(L, "SerializationError",
                  "what the worker wrote as the outcome makes no sense");
        lua_pushliteral(L, "stack traceback:\n\t(not in Lua code)");
        return LP_FAILED;
    }
    lp_outcome_source source = {.executor = task->executor, .task = task};
    name_task(&source);
    return push_failure(L, &source, phase, bytes, length);
}

int lp_outcome_push_task(lua_State *L, const lp_task *task, lp_phase phase,
                         int *count)
{
    size_t length;
    const uint8_t *bytes = lp_task_outcome(task, &length);
    if (phase == LP_FINISHED && bytes)
        return push_results(L, bytes, length, count);
    return push_task_failure(L, task, phase, bytes, length);
}
