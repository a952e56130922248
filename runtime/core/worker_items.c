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
 *
 * A worker that may die keeps an account of its piece in its record: items
 * from piece_first on, of which progress.done have results; those up to
 * piece_end are begun, or are next. piece_end is set before the word moves:
 * where the word has not reached it, the move has not happened.
 */
#include "core/worker_items.h"

#include "base/clock.h"
#include "base/status.h"

#include <string.h>

/* Look at the clock again after about this much work on items. */
#define STEP_NANOSECONDS 20000

/* Consecutive items of one group, and when they were run. */
typedef struct run_of_items {
    uint32_t group; /* its number */
    uint32_t first;
    uint32_t count;
    int64_t began;
    int64_t ended;
} run_of_items;

/* Take up to want of the worker's own items; gives the first. 0: none left. */
static uint32_t next_items(lp_worker *worker, uint32_t want, uint32_t *first)
{
    lp_record *record = worker->record;
    uint64_t items = atomic_load(&record->items);
    for (;;) {
        uint32_t next = lp_claim_next(items), end = lp_claim_end(items);
        if (next >= end) return 0;
        uint32_t count = want < end - next ? want : end - next;
        uint64_t rest =
            lp_claim_pack(lp_claim_group(items), next + count, end) |
            (items & LP_CLAIM_WHOLE);
        atomic_store_explicit(&record->piece_end, next + count,
                              memory_order_release);
        lp_worker_point(worker, "claiming items");
        if (atomic_compare_exchange_weak(&record->items, &items, rest)) {
            *first = next;
            return count;
        }
    }
}

/* Give what was made of a piece to the consumer. */
static void post_piece(lp_worker *worker, lp_group *group, lp_place place)
{
    lp_piece *piece = lp_arena_at(worker->outcomes, place);
    lp_address address = ((uint64_t)worker->arena << LP_PLACE_BITS) | place;
    _Atomic uint32_t *completing = &worker->record->completing;
    lp_worker_count_ended(worker, piece->count);
    atomic_store_explicit(completing, 1, memory_order_relaxed);
    lp_worker_point(worker, "posting piece");
    lp_group_post(group, piece, address, worker->control->bell);
    lp_worker_point(worker, "posted piece");
    /* In this order: who has the piece, and sees neither, reads no more of it
     * in executor_early.c. */
    atomic_store_explicit(&worker->record->piece_group, 0,
                          memory_order_release);
    atomic_store_explicit(completing, 0, memory_order_release);
}

/*
 * Tell the trace of items that have ended, while nobody sees that yet: the
 * group's number may be another's as soon as it is seen.
 */
static void trace_items(const lp_worker *worker, const run_of_items *items,
                        const char *ending, uint32_t failed, uint32_t cancelled)
{
    const lp_run_items which = {items->first, items->count, failed, cancelled};
    const lp_run run = {.id = lp_track_about_of(worker->track)->id,
                        .began = items->began,
                        .ended = items->ended,
                        .ending = ending};
    lp_trace_items(worker->track,
                   lp_table_at(&worker->control->notes->groups, items->group),
                   &which, &run);
}

/* Items of a piece for which there is no memory: they are gone. */
static void lose_piece(lp_worker *worker, lp_group *group, uint32_t count)
{
    lp_tally_add(&worker->tally->failed, count);
    lp_worker_count_ended(worker, count);
    atomic_fetch_add(&group->gone, count);
    lp_group_announce(group, worker->control->bell);
    atomic_store_explicit(&worker->record->piece_group, 0,
                          memory_order_release);
}

/* How a piece of items ended, for the trace. */
static const char *ending_of(const lp_items_outcome *outcome)
{
    if (outcome->failed > 0) return "failed";
    return outcome->cancelled > 0 ? "cancelled" : "finished";
}

/* Hand in what was made of these items. */
static void hand_in_piece(lp_worker *worker, lp_group *group,
                          const run_of_items *items)
{
    uint32_t count = items->count;
    int64_t spent = items->ended - items->began;
    lp_items_outcome outcome = {.form = LP_FORM_NOTHING};
    lp_times_add(&worker->tally->runs, spent / count, count);
    worker->kind->end_items(worker->self, &outcome);
    lp_place place = outcome.place;
    size_t size = sizeof(lp_piece) + outcome.length;
    if (!place && lp_arena_alloc(worker->outcomes, size, &place) != LP_OK) {
        /* The consumer learns of the gap from the count. */
        if (worker->track) trace_items(worker, items, "no memory", count, 0);
        lose_piece(worker, group, count);
        return;
    }
    if (worker->track)
        trace_items(worker, items, ending_of(&outcome), outcome.failed,
                    outcome.cancelled);
    lp_piece *piece = lp_arena_at(worker->outcomes, place);
    lp_tally_add(&worker->tally->failed, outcome.failed);
    lp_tally_add(&worker->tally->cancelled, outcome.cancelled);
    piece->first = items->first;
    piece->count = count;
    piece->form = outcome.form;
    piece->length = outcome.length;
    if (!outcome.place && outcome.length > 0)
        memcpy(piece + 1, outcome.bytes, outcome.length);
    post_piece(worker, group, place);
    if (worker->track) lp_track_tick(worker->track, items->ended);
}

/* A piece of items that were cancelled before they began. */
static void hand_in_nothing(lp_worker *worker, lp_group *group,
                            const run_of_items *items)
{
    uint32_t first = items->first, count = items->count;
    lp_place place;
    if (worker->track) trace_items(worker, items, "cancelled", 0, count);
    if (lp_arena_alloc(worker->outcomes, sizeof(lp_piece), &place) != LP_OK) {
        lose_piece(worker, group, count);
        return;
    }
    lp_piece *piece = lp_arena_at(worker->outcomes, place);
    *piece =
        (lp_piece){.first = first, .count = count, .form = LP_FORM_NOTHING};
    lp_tally_add(&worker->tally->cancelled, count);
    post_piece(worker, group, place);
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

/* Announce a piece of the worker's next items, before they are claimed. */
static void announce_piece(lp_worker *worker, uint32_t group)
{
    lp_record *record = worker->record;
    uint32_t next = lp_claim_next(atomic_load(&record->items));
    atomic_store_explicit(&record->progress.done, 0, memory_order_relaxed);
    atomic_store_explicit(&record->progress.results, 0, memory_order_relaxed);
    const lp_load *load = lp_table_at(&worker->control->loads, group);
    atomic_store_explicit(
        &record->piece_generation,
        atomic_load_explicit(&load->generation, memory_order_relaxed),
        memory_order_relaxed);
    atomic_store_explicit(&record->piece_first, next, memory_order_release);
    atomic_store_explicit(&record->piece_end, next, memory_order_relaxed);
    atomic_store_explicit(&record->piece_group, group + 1,
                          memory_order_release);
}

/*
 * A number for some items. No worker uses one that its predecessors have
 * used: one of them may be stuck, and take ours for its own.
 */
static uint64_t next_job(lp_record *record)
{
    uint64_t jobs = atomic_load_explicit(&record->jobs, memory_order_relaxed);
    atomic_store_explicit(&record->jobs, jobs + 1, memory_order_relaxed);
    return LP_JOB_ITEMS + jobs + 1;
}

/* Begin a piece with these items, which the worker has taken. */
static void begin_piece(lp_worker *worker, const lp_load *load, lp_items *job,
                        run_of_items *piece, uint32_t first, uint32_t count)
{
    lp_group_items(load, worker->control->parcels, job);
    piece->first = first;
    lp_times_add(&worker->tally->waits, piece->ended - load->queued_at, count);
    worker->kind->begin_items(worker->self, job, first,
                              &worker->record->progress);
}

/* Run items of one group until the worker has none, in one or more pieces. */
static void run_items(lp_worker *worker)
{
    lp_control *control = worker->control;
    uint32_t number = lp_claim_group(atomic_load(&worker->record->items));
    lp_group *group = lp_table_at(&control->groups, number);
    const lp_load *load = lp_table_at(&control->loads, number);
    lp_items job;
    uint32_t first, count;
    run_of_items piece = {.group = number, .began = lp_clock_now()};
    piece.ended = piece.began;

    for (;;) {
        if (piece.count == 0) announce_piece(worker, number);
        int64_t timeout =
            atomic_load_explicit(&load->timeout, memory_order_relaxed);
        /* Those with a limit are watched one by one. */
        uint32_t want = timeout > 0 ? 1
                                    : step_size(group, piece.count,
                                                piece.ended - piece.began);
        /*
         * Before it takes more: items that it has taken belong to the piece
         * that is announced, and to hand that in ends the announcement.
         */
        bool cancelled =
            atomic_load_explicit(&group->cancelled, memory_order_relaxed);
        if (cancelled && piece.count > 0) {
            hand_in_piece(worker, group, &piece);
            piece.count = 0;
            continue;
        }
        count = next_items(worker, want, &first);
        if (count == 0) break;
        lp_worker_point(worker, "items taken");
        if (cancelled) {
            piece =
                (run_of_items){number, first, count, piece.ended, piece.ended};
            hand_in_nothing(worker, group, &piece);
            piece.count = 0;
            continue;
        }
        /* Only now: a group without items of ours may be gone. */
        if (piece.count == 0)
            begin_piece(worker, load, &job, &piece, first, count);
        uint64_t number_of_job = next_job(worker->record);
        atomic_store_explicit(&worker->record->since, piece.ended,
                              memory_order_relaxed);
        lp_worker_begin_job(worker, number_of_job, timeout);
        worker->kind->run_items(worker->self, count);
        if (lp_worker_end_job(worker, number_of_job, timeout) ==
            LP_JOB_ABANDONED)
            return;
        piece.count += count;
        piece.ended = lp_clock_now();
        int64_t spent = piece.ended - piece.began;
        set_cost(group, spent, piece.count);
        if (spent > LP_PIECE_NANOSECONDS || timeout > 0) {
            hand_in_piece(worker, group, &piece);
            piece.count = 0;
            piece.began = piece.ended;
        }
    }
    if (piece.count > 0) hand_in_piece(worker, group, &piece);
    atomic_store_explicit(&worker->record->piece_group, 0,
                          memory_order_release);
    atomic_store(&worker->record->items, 0);
    worker->now = lp_clock_now();
    atomic_store_explicit(&worker->record->since, worker->now,
                          memory_order_relaxed);
}

/* These items become the worker's own; run them. */
static void own_items(lp_worker *worker, uint64_t items)
{
    uint32_t count = lp_claim_end(items) - lp_claim_next(items);
    if (count > 1) lp_worker_hoard(worker, true);
    /* From here on others may take some of them. */
    atomic_store(&worker->record->items, items);
    lp_worker_point(worker, "items owned");
    atomic_store_explicit(&worker->record->moving, 0, memory_order_release);
    if (count > 1 || lp_levels_first(&worker->control->levels))
        lp_idle_wake_one(&worker->control->words->idle);
    run_items(worker);
    if (worker->abandoned) return;
    if (count > 1) lp_worker_hoard(worker, false);
    if (worker->left != UINT64_MAX)
        worker->left -= count < worker->left ? count : worker->left;
}

bool lp_worker_items_resume(lp_worker *worker)
{
    uint64_t items =
        atomic_load_explicit(&worker->record->items, memory_order_relaxed);
    if (items == 0) return false;
    if (lp_claim_end(items) - lp_claim_next(items) > 1)
        lp_worker_hoard(worker, true);
    run_items(worker);
    if (!worker->abandoned && atomic_load(&worker->record->hoards))
        lp_worker_hoard(worker, false);
    return true;
}

void lp_worker_items_take(lp_worker *worker, uint32_t entry, lp_queue *queue,
                          uint64_t position)
{
    lp_control *control = worker->control;
    uint32_t number = entry & ~LP_QUEUE_GROUP;
    lp_group *group = lp_table_at(&control->groups, number);
    const lp_load *load = lp_table_at(&control->loads, number);
    uint32_t first = 0;
    bool exhausted;
    uint32_t workers =
        atomic_load_explicit(&control->layout->workers, memory_order_relaxed);
    const lp_claim claim = {workers, worker->left, number,
                            &worker->record->wanted};
    uint32_t count = lp_group_claim(group, load, &claim, &first, &exhausted);
    lp_worker_point(worker, "group claimed");
    uint64_t whole = atomic_load(&load->chunk) ? LP_CLAIM_WHOLE : 0;
    if (exhausted && lp_queue_remove(queue, position)) {
        lp_worker_point(worker, "group removed");
        lp_group_unqueue(group, control->bell);
    }
    if (count > 0) {
        own_items(worker, lp_claim_pack(number, first, first + count) | whole);
    } else {
        atomic_store_explicit(&worker->record->moving, 0, memory_order_release);
    }
}

bool lp_worker_items_can_divide(uint64_t items)
{
    return lp_claim_next(items) < lp_claim_end(items) &&
           !(items & LP_CLAIM_WHOLE);
}

bool lp_worker_items_steal(lp_worker *worker, lp_record *other)
{
    uint64_t items = atomic_load(&other->items);
    while (lp_worker_items_can_divide(items)) {
        uint32_t next = lp_claim_next(items), end = lp_claim_end(items);
        uint32_t middle = next + (end - next) / 2;
        if (end - middle > worker->left) middle = end - (uint32_t)worker->left;
        uint32_t group = lp_claim_group(items);
        uint64_t rest = lp_claim_pack(group, next, middle);
        atomic_store_explicit(&worker->record->wanted,
                              lp_claim_pack(group, middle, end),
                              memory_order_relaxed);
        atomic_store_explicit(&worker->record->moving, 1, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(&other->items, &items, rest)) {
            atomic_store_explicit(&worker->record->moving, 0,
                                  memory_order_relaxed);
            continue;
        }
        lp_worker_point(worker, "items stolen");
        own_items(worker, lp_claim_pack(group, middle, end));
        return true;
    }
    return false;
}
