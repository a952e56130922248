/* future_methods.c - methods of futures. */
#include "binding/binding.h"

#include <string.h>
#include <unistd.h>

static const char *const state_names[] = {
    [LPOOL_PENDING] = "pending",     [LPOOL_RUNNING] = "running",
    [LPOOL_FINISHED] = "finished",   [LPOOL_FAILED] = "failed",
    [LPOOL_CANCELLED] = "cancelled",
};

static bool is_done(const lpool_future *future)
{
    return lpool_future_state(future) >= LPOOL_FINISHED;
}

/* Wait as long as the argument at index says. */
static void wait(lua_State *L, lpool_future *future, int index)
{
    int64_t timeout = lp_check_timeout(L, index);
    int status = lpool_future_wait(L, future, timeout);
    if (status == LPOOL_ETIMEOUT)
        lp_raise(L, "TimeoutError", "future #%d not done after %f seconds",
                 (int)lpool_future_number(future), lp_seconds(timeout));
    if (status != LPOOL_OK) lp_raise_status(L, status, NULL);
}

/*** f:result([timeout]) */
static int future_result(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    int count;
    wait(L, future, 2);
    if (lpool_future_push(L, future, &count) != LPOOL_OK)
        return lp_raise_failure(L);
    return count;
}

/*** f:exception([timeout]) */
static int future_exception(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    int count;
    wait(L, future, 2);
    if (lpool_future_state(future) == LPOOL_FINISHED) {
        lua_pushnil(L);
        return 1;
    }
    lpool_future_push(L, future, &count);
    if (lpool_future_state(future) == LPOOL_CANCELLED)
        return lp_raise_failure(L);
    return 2;
}

/*** f:traceback() */
static int future_traceback(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    int count;
    if (lpool_future_state(future) == LPOOL_FAILED) {
        lpool_future_push(L, future, &count);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/*** f:done() f:running() f:cancelled() f:state() */
static int future_done(lua_State *L)
{
    lua_pushboolean(L, is_done(lp_check_future(L, 1)));
    return 1;
}

static int future_running(lua_State *L)
{
    lpool_state state = lpool_future_state(lp_check_future(L, 1));
    lua_pushboolean(L, state == LPOOL_RUNNING);
    return 1;
}

static int future_cancelled(lua_State *L)
{
    lpool_state state = lpool_future_state(lp_check_future(L, 1));
    lua_pushboolean(L, state == LPOOL_CANCELLED);
    return 1;
}

static int future_state(lua_State *L)
{
    lua_pushstring(L, state_names[lpool_future_state(lp_check_future(L, 1))]);
    return 1;
}

/*** f:cancel() */
static int future_cancel(lua_State *L)
{
    bool cancelled = lpool_future_cancel(lp_check_future(L, 1));
    if (cancelled) lpool_dispatch(L);
    lua_pushboolean(L, cancelled);
    return 1;
}

/*** f:add_done_callback(fn) */
static int future_add_done_callback(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    lp_check_callable(L, 2);
    lua_settop(L, 2);
    int status = lpool_future_on_done(L, future);
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    if (is_done(future)) lpool_dispatch(L);
    return 0;
}

/*** f:interrupt() */
static int future_interrupt(lua_State *L)
{
    lua_pushboolean(L, lpool_future_interrupt(lp_check_future(L, 1)));
    lpool_dispatch(L);
    return 1;
}

/*** f:label() f:worker() f:pid() */
static int future_label(lua_State *L)
{
    lua_pushstring(L, lpool_future_label(lp_check_future(L, 1)));
    return 1;
}

static int future_worker(lua_State *L)
{
    char name[256];
    if (lpool_future_worker(lp_check_future(L, 1), name, sizeof(name))) {
        lua_pushstring(L, name);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int future_pid(lua_State *L)
{
    int pid = lpool_future_pid(lp_check_future(L, 1));
    if (pid != 0) {
        lua_pushinteger(L, pid);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* ---- futures without a worker ---- */

static int raise_ended(lua_State *L, const lpool_future *future)
{
    lua_settop(L, 1);
    const char *text = luaL_tolstring(L, 1, NULL);
    if (!lpool_future_is_manual(future))
        return lp_raise(L, "InvalidStateError",
                        "%s belongs to an executor; only futures of "
                        "lpool.Future() can be set",
                        text);
    const char *state = state_names[lpool_future_state(future)];
    char upper[16] = {0};
    for (size_t i = 0; state[i] && i + 1 < sizeof(upper); i++)
        upper[i] = (char)(state[i] - 'a' + 'A');
    return lp_raise(L, "InvalidStateError", "%s: %s", upper, text);
}

static int check_set(lua_State *L, int status, const lpool_future *future)
{
    if (status == LPOOL_EINVALID) return raise_ended(L, future);
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    lpool_dispatch(L);
    return 0;
}

/*** f:set_result(...) */
static int future_set_result(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    int status = lpool_future_set_result(L, future, lua_gettop(L) - 1);
    return check_set(L, status, future);
}

/*** f:set_exception(e) */
static int future_set_exception(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    lua_settop(L, 2);
    int status = lpool_future_set_error(L, future);
    return check_set(L, status, future);
}

/*** f:set_running_or_notify_cancel() */
static int future_set_running(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    if (lpool_future_state(future) == LPOOL_CANCELLED) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (lpool_future_set_running(future) != LPOOL_OK)
        return raise_ended(L, future);
    lua_pushboolean(L, 1);
    return 1;
}

/*** lpool.Future() */
static int new_future(lua_State *L)
{
    lpool_future *future;
    int status = lpool_future_new(L, &future);
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    lpool_push_future(L, future);
    lpool_future_release(future); /* the userdata has a reference of its own */
    return 1;
}

/* ---- metamethods ---- */

static int future_tostring(lua_State *L)
{
    lpool_future *future = lp_check_future(L, 1);
    lpool_state state = lpool_future_state(future);
    lua_pushfstring(L, "<Future #%d %s", (int)lpool_future_number(future),
                    state_names[state]);
    if (state == LPOOL_FINISHED)
        lua_pushfstring(L, " returned %s>",
                        lpool_future_outcome_type(L, future));
    else if (state == LPOOL_FAILED)
        lua_pushfstring(L, " raised %s>", lpool_future_outcome_type(L, future));
    else
        lua_pushliteral(L, ">");
    lua_concat(L, 2);
    return 1;
}

static int future_gc(lua_State *L)
{
    lpool_future_drop(L, lpool_unbox(L, 1));
    return 0;
}

static const luaL_Reg metamethods[] = {
    {"__tostring", future_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"result", future_result},
    {"exception", future_exception},
    {"traceback", future_traceback},
    {"done", future_done},
    {"running", future_running},
    {"cancelled", future_cancelled},
    {"state", future_state},
    {"cancel", future_cancel},
    {"add_done_callback", future_add_done_callback},
    {"label", future_label},
    {"worker", future_worker},
    {"pid", future_pid},
    {"interrupt", future_interrupt},
    {"set_result", future_set_result},
    {"set_exception", future_set_exception},
    {"set_running_or_notify_cancel", future_set_running},
    {NULL, NULL},
};

void lp_open_futures(lua_State *L)
{
    lp_new_type(L, LPOOL_FUTURE_TYPE, metamethods);
    if (lpool_needs_finalizer(L)) {
        lua_pushcfunction(L, future_gc);
        lua_setfield(L, -2, "__gc");
    }
    luaL_newlib(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_setfield(L, -3, "future_methods");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_future);
    lua_setfield(L, -2, "Future");
}
