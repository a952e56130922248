/* waiters.c - many futures, one by one as they end. */
#include "api/api.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"

#include <stdlib.h>

struct lpool_waiter {
    lp_mailbox mailbox;
    /* Those that had ended when they were added, in the order of their ends. */
    lp_task **ended; /* retained */
    size_t count;
    size_t room;
    size_t taken;
    bool sorted;
    lp_task *last; /* given to the caller last; ours until the next */
};

int lpool_waiter_open(lua_State *L, lpool_waiter **out)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!out) return LP_INVALID;
    lpool_waiter *waiter =
        lp_calloc(caller->pool->host.allocator, 1, sizeof(*waiter));
    if (!waiter) return LP_NOMEM;
    lp_mailbox_init(&waiter->mailbox, &caller->pool->host);
    *out = waiter;
    return LP_OK;
}

void lpool_waiter_close(lpool_waiter *waiter)
{
    if (!waiter) return;
    lp_mailbox_clear(&waiter->mailbox);
    for (size_t i = waiter->taken; i < waiter->count; i++)
        lp_task_release(waiter->ended[i]);
    lp_task_release(waiter->last);
    lp_free(waiter->ended);
    lp_free(waiter);
}

int lpool_waiter_add(lpool_waiter *waiter, lpool_future *future)
{
    if (!waiter || !future) return LP_INVALID;
    lp_task *task = lp_task_inner(future);
    if (lp_executor_host(task->executor) != waiter->mailbox.host)
        return LP_INVALID;
    if (!lp_phase_is_done(lp_task_state(task)))
        return lp_mailbox_expect(&waiter->mailbox, task);
    if (waiter->count == waiter->room) {
        size_t room = 2 * waiter->room + 16;
        lp_task **ended = lp_realloc(waiter->mailbox.host->allocator,
                                     waiter->ended, room * sizeof(*ended));
        if (!ended) return LP_NOMEM;
        waiter->ended = ended;
        waiter->room = room;
    }
    lp_task_retain(task);
    waiter->ended[waiter->count++] = task;
    waiter->sorted = false;
    return LP_OK;
}

static int compare_ends(const void *left, const void *right)
{
    const lp_task *a = *(lp_task *const *)left, *b = *(lp_task *const *)right;
    int64_t x = lp_task_cell(a)->finished_at, y = lp_task_cell(b)->finished_at;
    if (x != y) return x < y ? -1 : 1;
    return (a->serial > b->serial) - (a->serial < b->serial);
}

static lp_task *take_ended(lpool_waiter *waiter)
{
    if (waiter->taken == waiter->count) return NULL;
    if (!waiter->sorted) {
        qsort(waiter->ended + waiter->taken, waiter->count - waiter->taken,
              sizeof(waiter->ended[0]), compare_ends);
        waiter->sorted = true;
    }
    return waiter->ended[waiter->taken++];
}

int lpool_waiter_next(lua_State *L, lpool_waiter *waiter, int64_t timeout,
                      lpool_future **future)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!waiter || !future) return LP_INVALID;
    int64_t deadline = lp_clock_after(timeout);
    for (;;) {
        lpool_dispatch(L);
        lp_task *task = take_ended(waiter);
        if (!task) task = lp_mailbox_take(&waiter->mailbox);
        if (task) {
            lp_task_release(waiter->last);
            waiter->last = task;
            *future = (lpool_future *)task;
            return LP_OK;
        }
        if (waiter->mailbox.count == 0) return LP_INVALID;
        status = lp_caller_wait(L, caller, lp_caller_has_mail, &waiter->mailbox,
                                deadline);
        if (status == LP_INTERRUPTED) {
            lp_caller_interrupted(L, caller);
        } else if (status != LP_OK && !lp_mailbox_has_mail(&waiter->mailbox)) {
            return status;
        }
    }
}
