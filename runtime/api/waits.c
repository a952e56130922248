/* waits.c - waiting for one or for all of many futures. */
#include "api/api.h"
#include "base/clock.h"
#include "base/status.h"

static int close_waiter(lua_State *L)
{
    lpool_waiter **box = lua_touserdata(L, 1);
    lpool_waiter_close(*box);
    *box = NULL;
    return 0;
}

/* Push a box that closes its waiter, since waiting may raise. [-0, +1, e] */
static lpool_waiter **push_box(lua_State *L)
{
    lpool_waiter **box = lua_newuserdatauv(L, sizeof(lpool_waiter *), 0);
    *box = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_waiter);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return box;
}

/* The first that has ended; count: none has. */
static size_t find_ended(lpool_future *const *futures, size_t count)
{
    size_t i = 0;
    while (i < count &&
           !lp_phase_is_done(lp_task_state(lp_task_inner(futures[i]))))
        i++;
    return i;
}

static bool have_null(lpool_future *const *futures, size_t count)
{
    for (size_t i = 0; futures && i < count; i++)
        if (!futures[i]) return true;
    return !futures;
}

int lpool_wait_any(lua_State *L, lpool_future *const *futures, size_t count,
                   int64_t timeout, size_t *which)
{
    int status = lpool_dispatch(L);
    if (status != LP_OK) return status;
    if (!which || count == 0 || have_null(futures, count)) return LP_INVALID;
    *which = find_ended(futures, count);
    if (*which < count) return LP_OK;
    lpool_waiter **box = push_box(L);
    lpool_future *ended = NULL;
    status = lpool_waiter_open(L, box);
    for (size_t i = 0; i < count && status == LP_OK; i++)
        status = lpool_waiter_add(*box, futures[i], i);
    if (status == LP_OK)
        status = lpool_waiter_next(L, *box, timeout, &ended, which);
    lpool_waiter_close(*box);
    *box = NULL;
    lua_pop(L, 1);
    return status;
}

int lpool_wait_all(lua_State *L, lpool_future *const *futures, size_t count,
                   int64_t timeout)
{
    lp_caller *caller;
    int entered = lp_caller_enter(L, &caller);
    if (entered != LP_OK) return entered;
    if (count > 0 && have_null(futures, count)) return LP_INVALID;
    int64_t deadline = lp_clock_after(timeout);
    for (size_t i = 0; i < count; i++) {
        int64_t left = -1;
        if (timeout >= 0) {
            left = deadline - lp_clock_now();
            if (left < 0) left = 0;
        }
        int status = lpool_future_wait(L, futures[i], left);
        if (status != LP_OK) return status;
    }
    return LP_OK;
}
