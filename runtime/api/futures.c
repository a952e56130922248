/* futures.c - one future: what is known of it, waiting for it, what it holds.
 */
#include "api/api.h"
#include "base/clock.h"
#include "base/hints.h"
#include "base/status.h"
#include "core/stopping.h"

#include <unistd.h>

/* ---- what it came to ---- */

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

static int push_outcome(lua_State *L, lp_task *task, lp_phase phase, int *count)
{
    if (task->manual && (phase == LP_FINISHED || phase == LP_RAISED))
        return push_manual(L, task, phase, count);
    return lp_outcome_push_task(L, task, phase, count);
}

int lp_caller_push_outcome(lua_State *L, lp_task *task, int *count)
{
    return push_outcome(L, task, lp_cell_phase(task->cell), count);
}

int lpool_future_push(lua_State *L, lpool_future *future, int *count)
{
    lp_caller *caller;
    lp_task *task = lp_task_inner(future);
    int status = lp_caller_enter_for(L, task ? task->executor : NULL, &caller);
    if (status != LP_OK) return status;
    if (!count) return LP_INVALID;
    lp_phase phase = lp_cell_phase(task->cell);
    if (!lp_phase_is_done(phase)) return LP_INVALID;
    if (!atomic_load_explicit(&task->seen, memory_order_relaxed))
        atomic_store_explicit(&task->seen, 1, memory_order_relaxed);
    return push_outcome(L, task, phase, count);
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
    return lp_task_serial(lp_task_inner(future));
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
static LP_APART int await_task(lua_State *L, lp_caller *caller, lp_task *task,
                               int64_t timeout)
{
    int64_t deadline = lp_clock_after(timeout);
    for (;;) {
        int status;
        uint32_t expected;
        lpool_dispatch(L);
        if (caller->mailbox.count > 0 || task->manual) {
            if (lp_phase_is_done(lp_task_state(task))) return LP_OK;
            status = wait_in_mailbox(L, caller, task, deadline);
        } else {
            if (!lp_task_listen(task, &expected)) return LP_OK;
            const lp_awaited awaited = {.task = task};
            status = lp_caller_park_for(caller, &awaited, &task->cell->state,
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
    lp_caller *caller;
    lp_task *task = lp_task_inner(future);
    int status = lp_caller_enter_for(L, task ? task->executor : NULL, &caller);
    if (status != LP_OK) return status;
    if (!lp_phase_is_done(lp_task_state(task)))
        return await_task(L, caller, task, timeout);
    lp_prefetch_to_write(task->cell); /* by the next task that has it */
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
