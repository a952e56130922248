/*
 * waiters.c - many futures, one by one as they end.
 *
 * Those that had ended when they were added are sorted by when that was, in
 * a time that grows with their number and no faster: they are nearly in
 * order, and there may be millions.
 */
#include "api/api.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"

#include <string.h>

/* A task that had ended when it was added. */
typedef struct ended {
    uint64_t at;   /* when; clock, nanoseconds */
    lp_task *task; /* retained */
    size_t tag;
} ended;

struct lpool_waiter {
    lp_mailbox mailbox;
    ended *ended;
    size_t count;
    size_t room;
    size_t taken;
    bool sorted;   /* what is not taken is in order */
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
    waiter->sorted = true;
    *out = waiter;
    return LP_OK;
}

void lpool_waiter_close(lpool_waiter *waiter)
{
    if (!waiter) return;
    lp_mailbox_clear(&waiter->mailbox);
    for (size_t i = waiter->taken; i < waiter->count; i++)
        lp_task_release(waiter->ended[i].task);
    lp_task_release(waiter->last);
    lp_free(waiter->ended);
    lp_free(waiter);
}

int lpool_waiter_add(lpool_waiter *waiter, lpool_future *future, size_t tag)
{
    if (!waiter || !future) return LP_INVALID;
    lp_task *task = lp_task_inner(future);
    if (lp_executor_host(task->executor) != waiter->mailbox.host)
        return LP_INVALID;
    if (!lp_phase_is_done(lp_task_state(task)))
        return lp_mailbox_expect(&waiter->mailbox, task, tag);
    if (waiter->count == waiter->room) {
        size_t room = 2 * waiter->room + 16;
        ended *moved = lp_realloc(waiter->mailbox.host->allocator,
                                  waiter->ended, room * sizeof(*moved));
        if (!moved) return LP_NOMEM;
        waiter->ended = moved;
        waiter->room = room;
    }
    lp_task_retain(task);
    ended *added = &waiter->ended[waiter->count];
    int64_t at =
        atomic_load_explicit(&task->cell->finished_at, memory_order_relaxed);
    *added = (ended){(uint64_t)at, task, tag};
    if (waiter->count > waiter->taken && added[-1].at > added->at)
        waiter->sorted = false;
    waiter->count++;
    return LP_OK;
}

/* ---- in the order of their ends ---- */

#define DIGIT_BITS 11u
#define DIGITS     (1u << DIGIT_BITS)
#define FEW        64u

static void sort_few(ended *all, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        ended one = all[i];
        size_t at = i;
        for (; at > 0 && all[at - 1].at > one.at; at--)
            all[at] = all[at - 1];
        all[at] = one;
    }
}

/* One digit of a radix sort. Those of the same digit keep their order. */
static void sort_by_digit(const ended *from, ended *to, size_t count,
                          uint64_t least, unsigned shift)
{
    size_t begins[DIGITS + 1] = {0};
    for (size_t i = 0; i < count; i++)
        begins[((from[i].at - least) >> shift) % DIGITS + 1]++;
    for (unsigned i = 0; i < DIGITS; i++)
        begins[i + 1] += begins[i];
    for (size_t i = 0; i < count; i++)
        to[begins[((from[i].at - least) >> shift) % DIGITS]++] = from[i];
}

/* 0, or LP_NOMEM: they stay as they are. */
static int sort_many(const lp_allocator *allocator, ended *all, size_t count)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t i = 0; i < count; i++) {
        if (all[i].at < least) least = all[i].at;
        if (all[i].at > most) most = all[i].at;
    }
    ended *other = lp_alloc(allocator, count * sizeof(*other));
    if (!other) return LP_NOMEM;
    ended *from = all, *to = other;
    for (unsigned shift = 0; shift < 64 && (most - least) >> shift != 0;
         shift += DIGIT_BITS) {
        sort_by_digit(from, to, count, least, shift);
        ended *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != all) memcpy(all, from, count * sizeof(*all));
    lp_free(other);
    return LP_OK;
}

static int sort_ended(lpool_waiter *waiter)
{
    ended *all = waiter->ended + waiter->taken;
    size_t count = waiter->count - waiter->taken;
    if (waiter->sorted) return LP_OK;
    if (count <= FEW) {
        sort_few(all, count);
    } else {
        int status = sort_many(waiter->mailbox.host->allocator, all, count);
        if (status != LP_OK) return status;
    }
    waiter->sorted = true;
    return LP_OK;
}

/* The next that has ended, if there is one. 0, or LP_NOMEM. */
static int take(lpool_waiter *waiter, lp_task **task, size_t *tag)
{
    int status = sort_ended(waiter);
    if (status != LP_OK) return status;
    if (waiter->taken < waiter->count) {
        const ended *next = &waiter->ended[waiter->taken++];
        *task = next->task;
        *tag = next->tag;
    } else {
        *task = lp_mailbox_take(&waiter->mailbox, tag);
    }
    return LP_OK;
}

int lpool_waiter_next(lua_State *L, lpool_waiter *waiter, int64_t timeout,
                      lpool_future **future, size_t *tag)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!waiter || (!future && !tag)) return LP_INVALID;
    int64_t deadline = lp_clock_after(timeout);
    for (;;) {
        lpool_dispatch(L);
        lp_task *task;
        size_t tagged = 0;
        status = take(waiter, &task, &tagged);
        if (status != LP_OK) return status;
        if (task) {
            lp_task_release(waiter->last);
            waiter->last = future ? task : NULL;
            if (future) {
                *future = (lpool_future *)task;
            } else {
                lp_task_release(task);
            }
            if (tag) *tag = tagged;
            return LP_OK;
        }
        if (waiter->mailbox.count == 0) return LP_INVALID;
        status = lp_caller_await_mail(L, caller, &waiter->mailbox, deadline);
        if (status == LP_INTERRUPTED) {
            lp_caller_interrupted(L, caller);
        } else if (status != LP_OK && !lp_mailbox_has_mail(&waiter->mailbox)) {
            return status;
        }
    }
}
