/*
 * worker_items.c - claims of a group's items, pieces made of them, and how an
 * idle worker takes its part of a claim.
 *
 * What a worker has claimed and not begun is one word of its record:
 *
 *      63      62        48 47        24 23         0
 *     +-------+------------+------------+------------+
 *     | whole |   group    |    next    |    end     |    0: none
 *     +-------+------------+------------+------------+
 *
 * A thief halves it. His swap succeeds only if exactly these items of this
 * group are still unbegun, so it does not matter how old his view was. Whole
 * items are one chunk, by the wish of the caller, and not divided.
 */
#include "core/worker_items.h"

#include "base/clock.h"
#include "base/status.h"

#include <string.h>

/* Look at the clock again after about this much work on items. */
#define STEP_NANOSECONDS 20000
/* Hand in a piece after this long, so that the consumer has something. */
#define PIECE_NANOSECONDS 400000

#define WHOLE ((uint64_t)1 << 63)

static uint64_t pack_items(uint32_t group, uint32_t next, uint32_t end)
{
    return ((uint64_t)group << 48) | ((uint64_t)next << 24) | end;
}

static uint32_t items_group(uint64_t items)
{
    return (uint32_t)(items >> 48) & (LP_GROUPS - 1);
}

static uint32_t items_next(uint64_t items)
{
    return (uint32_t)(items >> 24) & LP_GROUP_ITEMS;
}

static uint32_t items_end(uint64_t items)
{
    return (uint32_t)items & LP_GROUP_ITEMS;
}

/* Take up to want of the worker's own items; gives the first. 0: none left. */
static uint32_t next_items(lp_worker *worker, uint32_t want, uint32_t *first)
{
    _Atomic uint64_t *word = &worker->record->items;
    uint64_t items = atomic_load(word);
    for (;;) {
        uint32_t next = items_next(items), end = items_end(items);
        if (next >= end) return 0;
        uint32_t count = want < end - next ? want : end - next;
        uint64_t rest = 0;
        if (next + count < end)
            rest = pack_items(items_group(items), next + count, end) |
                   (items & WHOLE);
        if (atomic_compare_exchange_weak(word, &items, rest)) {
            *first = next;
            return count;
        }
    }
}

/* Hand in what was made of count items from first on. */
static void hand_in_piece(lp_worker *worker, lp_group *group, uint32_t first,
                          uint32_t count)
{
    lp_items_outcome outcome;
    worker->kind->end_items(worker->self, &outcome);
    lp_worker_count_ended(worker, count);

    lp_place place;
    size_t size = sizeof(lp_piece) + outcome.length;
    if (lp_arena_alloc(worker->outcomes, size, &place) != LP_OK) {
        /* The consumer learns of the gap from the accounting. */
        lp_group_account(group, count, worker->control->bell);
        return;
    }
    lp_piece *piece = lp_arena_at(worker->outcomes, place);
    piece->first = first;
    piece->count = count;
    piece->form = outcome.form;
    piece->length = outcome.length;
    if (outcome.length > 0) memcpy(piece + 1, outcome.bytes, outcome.length);
    lp_address address = ((uint64_t)worker->number << LP_PLACE_BITS) | place;
    lp_group_post(group, piece, address, worker->control->bell);
}

static void set_cost(lp_group *group, int64_t spent, uint32_t count)
{
    uint64_t cost = (uint64_t)spent / count + 1;
    if (cost > UINT32_MAX) cost = UINT32_MAX;
    atomic_store_explicit(&group->cost, (uint32_t)cost, memory_order_relaxed);
}

/* How many items to run before the clock is looked at again. */
static uint32_t step_size(const lp_group *group, uint32_t done, int64_t spent)
{
    uint64_t cost = atomic_load_explicit(&group->cost, memory_order_relaxed);
    if (done > 0) cost = (uint64_t)spent / done + 1;
    if (cost == 0) return 1;
    uint64_t step = STEP_NANOSECONDS / cost + 1;
    return step > 4096 ? 4096 : (uint32_t)step;
}

/* Run items of one group until the worker has none, in one or more pieces. */
static void run_items(lp_worker *worker)
{
    uint64_t items = atomic_load(&worker->record->items);
    if (items == 0) return; /* a thief was faster */
    lp_group *group = lp_table_at(&worker->control->groups, items_group(items));
    lp_items job;
    uint32_t first, count, piece_first = 0, piece_count = 0;
    int64_t started = lp_clock_now(), now = started;

    while ((count =
                next_items(worker, step_size(group, piece_count, now - started),
                           &first)) > 0) {
        if (atomic_load_explicit(&group->cancelled, memory_order_relaxed)) {
            lp_worker_count_ended(worker, count);
            lp_group_account(group, count, worker->control->bell);
            continue;
        }
        if (piece_count == 0) {
            /* Only now: a group without items of ours may be gone. */
            lp_group_items(group, worker->control->parcels, &job);
            piece_first = first;
            worker->kind->begin_items(worker->self, &job, first);
        }
        worker->kind->run_items(worker->self, count);
        piece_count += count;
        now = lp_clock_now();
        set_cost(group, now - started, piece_count);
        if (now - started > PIECE_NANOSECONDS) {
            hand_in_piece(worker, group, piece_first, piece_count);
            piece_count = 0;
            started = now;
        }
    }
    if (piece_count > 0) hand_in_piece(worker, group, piece_first, piece_count);
    worker->now = lp_clock_now();
}

void lp_worker_items_take(lp_worker *worker, uint32_t entry, uint64_t position)
{
    lp_control *control = worker->control;
    uint32_t number = entry & ~LP_QUEUE_GROUP;
    lp_group *group = lp_table_at(&control->groups, number);
    uint32_t first = 0;
    bool exhausted;
    uint32_t workers =
        atomic_load_explicit(&control->workers, memory_order_relaxed);
    uint32_t count =
        lp_group_claim(group, workers, worker->left, &first, &exhausted);
    if (exhausted && lp_queue_remove(&control->queue, position))
        lp_group_unqueue(group, control->bell);
    if (count == 0) return;

    uint64_t whole = group->chunk ? WHOLE : 0;
    if (count > 1) atomic_fetch_add(&control->hoards, 1);
    atomic_store(&worker->record->items,
                 pack_items(number, first, first + count) | whole);
    if (count > 1 || lp_queue_length(&control->queue) > 0)
        lp_idle_wake_one(&control->idle);
    run_items(worker);
    if (count > 1) atomic_fetch_sub(&control->hoards, 1);
    if (worker->left != UINT64_MAX) worker->left -= count;
}

bool lp_worker_items_can_divide(uint64_t items)
{
    return items_next(items) < items_end(items) && !(items & WHOLE);
}

bool lp_worker_items_steal(lp_worker *worker, lp_record *other)
{
    uint64_t items = atomic_load(&other->items);
    while (lp_worker_items_can_divide(items)) {
        uint32_t next = items_next(items), end = items_end(items);
        uint32_t middle = next + (end - next) / 2;
        if (end - middle > worker->left) middle = end - (uint32_t)worker->left;
        uint32_t group = items_group(items);
        uint64_t rest = middle == next ? 0 : pack_items(group, next, middle);
        if (!atomic_compare_exchange_weak(&other->items, &items, rest))
            continue;
        atomic_fetch_add(&worker->control->hoards, 1);
        atomic_store(&worker->record->items, pack_items(group, middle, end));
        lp_idle_wake_one(&worker->control->idle);
        run_items(worker);
        atomic_fetch_sub(&worker->control->hoards, 1);
        if (worker->left != UINT64_MAX) worker->left -= end - middle;
        return true;
    }
    return false;
}
