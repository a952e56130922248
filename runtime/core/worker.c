/*
 * worker.c - how a worker takes its share, runs it and hands in the outcomes.
 *
 * It looks for work in this order: its inbox (broadcasts), its batch, the
 * items that it has claimed, the front of the highest level of the queue that
 * is not empty, and what other workers have taken but not begun. Only then
 * does it sleep.
 *
 * When tasks are tiny it takes several at a time, so that workers seldom
 * meet at the queue; tasks that are not tiny are taken one by one. Either
 * way what is not begun can be had by others: a task of a batch by claiming
 * its cell, items of a group as worker_items.c says.
 */
#include "core/worker.h"

#include "base/clock.h"
#include "base/hints.h"
#include "base/status.h"
#include "core/worker_items.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Take several tasks at a time only if they are faster than this. */
#define TINY_NANOSECONDS 10000u
/*
 * A worker that has run this many tasks since it last slept is in the middle
 * of a burst: it naps so long, so many times, before it goes to sleep, since
 * to be woken costs the submitter more than his submits.
 */
#define BURST_TASKS     32u
#define NAP_NANOSECONDS 50000
#define NAPS            10u

#ifdef LP_DEBUG
void lp_worker_point(const lp_worker *worker, const char *name)
{
    /* Nobody sets the environment while workers run. */
    const char *wanted =
        worker->mortal ? getenv("LPOOL_TEST_DIE") : NULL; /* NOLINT */
    if (!wanted || strcmp(wanted, name) != 0) return;
    if (atomic_fetch_add(&worker->control->words->deaths, 1) == 0)
        raise(SIGKILL);
}
#endif

void lp_worker_init(lp_worker *worker, lp_control *control, uint32_t number)
{
    memset(worker, 0, sizeof(*worker));
    worker->control = control;
    worker->number = number;
    worker->record = lp_table_at(&control->records, number);
    worker->tally = lp_table_at(&control->tallies, number);
    worker->limited = control->layout->limited != 0;
    worker->left = UINT64_MAX;
    worker->average = TINY_NANOSECONDS;
}

static lp_cell *cell_at(lp_control *control, uint32_t number)
{
    return lp_table_at(&control->cells, number);
}

void lp_control_post(lp_control *control, uint32_t number)
{
    lp_cell *cell = cell_at(control, number);
    _Atomic uint32_t *list = &control->words->completed;
    uint32_t first = atomic_load(list);
    do {
        atomic_store_explicit(&cell->next, first, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak(list, &first, number + 1));
    lp_bell_ring(control->bell);
}

void lp_control_unqueue(lp_control *control, uint32_t number)
{
    lp_cell *cell = cell_at(control, number);
    uint32_t before = atomic_fetch_and(&cell->state, ~LP_QUEUED);
    /* After a death others may do the same: who cleared the flag posts it. */
    if ((before & LP_QUEUED) && lp_phase_is_done(before) &&
        (before & LP_ABANDONED))
        lp_control_post(control, number);
}

/* ---- outcomes ---- */

/* Copy the outcome to where the host finds it. */
static lp_phase store_outcome(lp_worker *worker, lp_cell *cell,
                              const lp_outcome *outcome)
{
    cell->worker = (uint16_t)worker->number;
    cell->arena = (uint16_t)worker->arena;
    cell->pid = worker->pid;
    cell->length = outcome->length;
    if (outcome->length <= LP_CELL_INLINE) {
        if (outcome->length > 0)
            memcpy(cell->at.bytes, outcome->bytes, outcome->length);
        return outcome->phase;
    }
    lp_place place = outcome->place;
    if (place) {
        cell->at.outcome = place;
        return outcome->phase;
    }
    if (lp_arena_alloc(worker->outcomes, outcome->length, &place) != LP_OK) {
        const lp_reason reason = {.cause = LP_CAUSE_MEMORY};
        cell->length = sizeof(reason);
        memcpy(cell->at.bytes, &reason, sizeof(reason));
        return LP_LOST;
    }
    memcpy(lp_arena_at(worker->outcomes, place), outcome->bytes,
           outcome->length);
    cell->at.outcome = place;
    return outcome->phase;
}

/* What follows when a task that had these flags has ended. */
static void tell(lp_control *control, uint32_t number, uint32_t before)
{
    lp_cell *cell = cell_at(control, number);
    if (before & LP_WAITED) lp_unpark_all(&cell->state);
    if (before & LP_ABANDONED) {
        /* Still in a batch: whoever takes it out posts it. */
        if (!(before & LP_QUEUED)) lp_control_post(control, number);
    } else if (before & LP_NOTIFY) {
        lp_control_post(control, number);
    }
}

void lp_control_complete(lp_control *control, uint32_t number, lp_phase phase)
{
    tell(control, number, lp_cell_complete(cell_at(control, number), phase));
}

void lp_worker_count_ended(lp_worker *worker, uint64_t count)
{
    uint64_t ended =
        atomic_load_explicit(&worker->record->ended, memory_order_relaxed);
    atomic_store_explicit(&worker->record->ended, ended + count,
                          memory_order_release);
}

/* ---- jobs ---- */

void lp_worker_begin_job(lp_worker *worker, uint64_t job, int64_t timeout)
{
    lp_record *record = worker->record;
    if (timeout > 0) atomic_store(&record->deadline, lp_clock_after(timeout));
    atomic_store_explicit(&record->job.job, job, memory_order_release);
}

lp_job_end lp_worker_end_job(lp_worker *worker, uint64_t job, int64_t timeout)
{
    lp_record *record = worker->record;
    uint64_t found = job;
    if (!atomic_compare_exchange_strong(&record->job.job, &found, 0)) {
        if (found != (job | LP_JOB_STOPPED) ||
            !atomic_compare_exchange_strong(&record->job.job, &found, 0)) {
            worker->abandoned = true;
            return LP_JOB_ABANDONED;
        }
        worker->kind->recover(worker->self);
        if (timeout > 0) atomic_store(&record->deadline, 0);
        return LP_JOB_WAS_STOPPED;
    }
    if (timeout > 0) atomic_store(&record->deadline, 0);
    return LP_JOB_ENDED;
}

/* What a stopped job comes to. */
static void stop_outcome(const lp_worker *worker, lp_reason *reason,
                         lp_outcome *outcome)
{
    uint32_t cause = atomic_load(&worker->record->job.cause);
    if (outcome->place) lp_arena_drop(worker->outcomes, outcome->place);
    *reason = (lp_reason){.cause = LP_CAUSE_TIMEOUT, .pid = worker->pid};
    *outcome = (lp_outcome){.phase = LP_CANCELLED};
    if (cause == LP_CAUSE_INTERRUPT) return;
    outcome->phase = LP_LOST;
    outcome->bytes = (const uint8_t *)reason;
    outcome->length = sizeof(*reason);
}

/* It is about to begin something, or has nothing to do. */
static void note_time(lp_worker *worker)
{
    atomic_store_explicit(&worker->record->since, worker->now,
                          memory_order_relaxed);
}

/* The same, and the clock is to be read for it. */
static void look_at_clock(lp_worker *worker)
{
    worker->now = lp_clock_now();
    note_time(worker);
}

void lp_worker_show(void *self, const char *text, size_t length)
{
    lp_worker *worker = self;
    lp_place place;
    if (lp_arena_alloc(worker->outcomes, length + 1, &place) != LP_OK) return;
    char *copy = lp_arena_at(worker->outcomes, place);
    memcpy(copy, text, length);
    copy[length] = '\0';
    lp_place before = atomic_exchange(&worker->record->shown, place);
    if (before) lp_arena_drop(worker->outcomes, before);
    lp_bell_ring(worker->control->bell);
}

/* The claimed task begins now: how long has it waited? */
static void note_begin(lp_worker *worker, const lp_cell *cell)
{
    int64_t submitted = cell->at.submitted_at;
    note_time(worker);
    if (submitted == 0) return;
    int64_t waited = worker->now - submitted;
    lp_times_add(&worker->tally->waits, waited > 0 ? waited : 0, 1);
}

/*
 * Tell the trace of a task that has ended now, while nobody sees that yet: its
 * number may be another's as soon as it is seen.
 */
static LP_APART void trace_task(const lp_worker *worker, uint32_t number,
                                lp_phase phase, const lp_outcome *outcome,
                                int64_t now)
{
    /* Without memory for the outcome it is lost, whatever it was. */
    lp_reason reason = {.cause = LP_CAUSE_MEMORY};
    if (outcome->phase == LP_LOST && outcome->length >= sizeof(reason))
        memcpy(&reason, outcome->bytes, sizeof(reason));
    const lp_run run = {.id = lp_track_about_of(worker->track)->id,
                        .began = worker->now,
                        .ended = now,
                        .ending = lp_trace_ending(phase, &reason)};
    lp_trace_task(worker->track,
                  lp_table_at(&worker->control->notes->tasks, number), &run);
}

/* It has ended. */
static void note_end(lp_worker *worker, uint32_t number, lp_phase phase,
                     const lp_outcome *outcome)
{
    int64_t now = lp_clock_now();
    int64_t took = now - worker->now;
    if (worker->track) trace_task(worker, number, phase, outcome, now);
    worker->average = worker->average / 2 + (uint64_t)took / 2;
    worker->now = now;
    lp_times_add(&worker->tally->runs, took, 1);
    if (phase == LP_CANCELLED) {
        lp_tally_add(&worker->tally->cancelled, 1);
    } else if (phase != LP_FINISHED) {
        lp_tally_add(&worker->tally->failed, 1);
    }
    note_time(worker);
    lp_worker_count_ended(worker, 1);
    if (worker->left != UINT64_MAX && worker->left > 0) worker->left--;
}

/* Execute, again if that fails and may be tried again. */
static lp_job_end execute(lp_worker *worker, const lp_slot *slot,
                          const lp_job *job, lp_reason *reason,
                          lp_outcome *outcome)
{
    for (uint32_t attempt = 0;; attempt++) {
        atomic_store_explicit(&worker->record->attempts, attempt,
                              memory_order_relaxed);
        lp_worker_begin_job(worker, slot->serial, slot->timeout);
        worker->kind->execute(worker->self, job, outcome);
        lp_job_end end = lp_worker_end_job(worker, slot->serial, slot->timeout);
        if (end == LP_JOB_WAS_STOPPED) stop_outcome(worker, reason, outcome);
        if (end != LP_JOB_ENDED || outcome->phase != LP_RAISED ||
            attempt >= slot->retries)
            return end;
        if (outcome->place) lp_arena_drop(worker->outcomes, outcome->place);
    }
}

/*
 * Run a task that the worker has claimed. Its record says so since before
 * the claim.
 */
static void run_task(lp_worker *worker, uint32_t number)
{
    lp_control *control = worker->control;
    lp_record *record = worker->record;
    const lp_slot *slot = lp_table_at(&control->slots, number);
    lp_cell *cell = cell_at(control, number);
    lp_outcome outcome = {.phase = LP_FINISHED};
    lp_reason reason;
    lp_job job = {.bytes = slot->at.bytes,
                  .length = slot->length,
                  .handles = slot->handles,
                  .number = number};
    if (slot->length > LP_SLOT_INLINE)
        job.bytes = lp_arena_at(control->parcels, slot->at.parcel);

    lp_worker_point(worker, "claimed");
    note_begin(worker, cell);
    if (execute(worker, slot, &job, &reason, &outcome) == LP_JOB_ABANDONED)
        return;
    lp_worker_point(worker, "executed");
    lp_phase phase = store_outcome(worker, cell, &outcome);
    lp_worker_point(worker, "stored");

    note_end(worker, number, phase, &outcome);
    lp_cell_note_end(cell, worker->now);
    /* Whoever sees it done can see that it may still have to be posted. */
    atomic_store_explicit(&record->completing, 1, memory_order_relaxed);
    lp_worker_point(worker, "completing");
    uint32_t before = lp_cell_complete(cell, phase);
    lp_worker_point(worker, "completed");
    tell(control, number, before);
    lp_worker_point(worker, "told");
    /* Release; pairs with the acquire in lp_host_await_posts. */
    atomic_store_explicit(&record->completing, 0, memory_order_release);
    atomic_store_explicit(&record->running, 0, memory_order_release);
    if (worker->track) lp_track_tick(worker->track, worker->now);
}

/* The record says what the worker is about to claim. */
static void announce(lp_worker *worker, uint32_t number)
{
    lp_record *record = worker->record;
    if (worker->limited) {
        uint64_t claims =
            atomic_load_explicit(&record->claims, memory_order_relaxed);
        atomic_store_explicit(&record->claiming, claims + 1,
                              memory_order_relaxed);
    }
    atomic_store_explicit(&record->running, number + 1, memory_order_release);
}

/* It has claimed it: so the task is not pending any more. */
static void count_claim(lp_worker *worker)
{
    if (!worker->limited) return;
    lp_worker_point(worker, "uncounted");
    /* In total order: whoever waits sees the count, or is seen here. */
    atomic_store(
        &worker->record->claims,
        atomic_load_explicit(&worker->record->claiming, memory_order_relaxed));
    lp_control_make_room(worker->control);
}

/* Announce, then claim and run, or let go of, a task from queue or inbox. */
static void claim_and_run(lp_worker *worker, uint32_t number,
                          void (*announced)(lp_worker *worker))
{
    announce(worker, number);
    lp_worker_point(worker, "announced");
    announced(worker);
    lp_worker_point(worker, "begun");
    uint32_t state;
    if (lp_cell_claim(cell_at(worker->control, number), &state)) {
        count_claim(worker);
        run_task(worker, number);
        return;
    }
    lp_control_unqueue(worker->control, number);
    atomic_store_explicit(&worker->record->running, 0, memory_order_release);
}

/* ---- batches ---- */

static uint32_t batch_limit(lp_worker *worker, lp_queue *queue)
{
    uint32_t limit = 1;
    if (worker->average < TINY_NANOSECONDS) {
        lp_control *control = worker->control;
        uint64_t share = lp_queue_length(queue) /
                         atomic_load_explicit(&control->layout->workers,
                                              memory_order_relaxed);
        limit = share > LP_BATCH ? LP_BATCH : (uint32_t)share;
        if (limit == 0) limit = 1;
    }
    if (limit > worker->left) limit = (uint32_t)worker->left;
    return limit;
}

void lp_worker_hoard(lp_worker *worker, bool hoards)
{
    /* In this order a death leaves the count too high, which does no harm. */
    lp_words *words = worker->control->words;
    if (hoards) atomic_fetch_add(&words->hoards, 1);
    atomic_store_explicit(&worker->record->hoards, hoards,
                          memory_order_relaxed);
    if (!hoards) atomic_fetch_sub(&words->hoards, 1);
}

static void begin_next(lp_worker *worker)
{
    _Atomic uint32_t *begun = &worker->record->begun;
    uint32_t count = atomic_load_explicit(begun, memory_order_relaxed) + 1;
    uint32_t taken =
        atomic_load_explicit(&worker->record->taken, memory_order_relaxed);
    atomic_store_explicit(begun, count, memory_order_release);
    if (count == taken && taken > 1) lp_worker_hoard(worker, false);
}

/* Run what is left of the batch; others may have taken some of it. */
static void run_batch(lp_worker *worker)
{
    lp_record *record = worker->record;
    uint32_t taken = atomic_load_explicit(&record->taken, memory_order_relaxed);
    for (uint32_t i = 0; i < taken && !worker->abandoned; i++) {
        claim_and_run(
            worker,
            atomic_load_explicit(&record->batch[i], memory_order_relaxed),
            begin_next);
    }
    if (!worker->abandoned)
        atomic_store_explicit(&record->taken, 0, memory_order_relaxed);
}

/*
 * Take from the highest level that has something; gives which. 0 if all are
 * empty. Others may be faster at one, so this looks again.
 */
static uint32_t take(lp_worker *worker, uint32_t *batch, uint64_t *position,
                     lp_queue **queue)
{
    uint32_t count = 0;
    do {
        *queue = lp_levels_first(&worker->control->levels);
        if (!*queue) return 0;
        count =
            lp_queue_take(*queue, batch, batch_limit(worker, *queue), position);
    } while (count == 0 && lp_queue_length(*queue) == 0);
    return count;
}

/* Take from the queue and run; false if it was empty. */
static bool serve_queue(lp_worker *worker)
{
    lp_control *control = worker->control;
    lp_record *record = worker->record;
    uint32_t batch[LP_BATCH];
    uint64_t position;
    lp_queue *queue;
    if (!lp_levels_first(&control->levels)) return false;
    atomic_store_explicit(&record->moving, 1, memory_order_relaxed);
    uint32_t count = take(worker, batch, &position, &queue);
    lp_worker_point(worker, "taken");
    if (count > 0 && (batch[0] & LP_QUEUE_GROUP)) {
        lp_worker_items_take(worker, batch[0], queue, position);
        return true;
    }
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&record->batch[i], batch[i],
                              memory_order_relaxed);
    atomic_store_explicit(&record->begun, 0, memory_order_relaxed);
    /* Release; pairs with the acquire in steal_from. */
    atomic_store_explicit(&record->taken, count, memory_order_release);
    atomic_store_explicit(&record->moving, 0, memory_order_release);
    if (count == 0) return false;
    lp_worker_point(worker, "batched");
    if (count > 1) lp_worker_hoard(worker, true);
    if (count > 1 || lp_levels_first(&control->levels))
        lp_idle_wake_one(&control->words->idle);
    run_batch(worker);
    return true;
}

/* ---- what others have not begun ---- */

/* Run one task that other has taken and not begun, the last first. */
static bool steal_task(lp_worker *worker, lp_record *other)
{
    uint32_t taken = atomic_load_explicit(&other->taken, memory_order_acquire);
    uint32_t begun = atomic_load_explicit(&other->begun, memory_order_relaxed);
    for (uint32_t i = taken; i > begun; i--) {
        uint32_t number =
            atomic_load_explicit(&other->batch[i - 1], memory_order_relaxed);
        announce(worker, number);
        lp_worker_point(worker, "stealing");
        if (lp_cell_steal(cell_at(worker->control, number))) {
            lp_worker_point(worker, "stolen");
            count_claim(worker);
            lp_idle_wake_one(&worker->control->words->idle);
            run_task(worker, number);
            return true;
        }
    }
    atomic_store_explicit(&worker->record->running, 0, memory_order_release);
    return false;
}

/* Find work in the records of the others. */
static bool steal(lp_worker *worker)
{
    lp_control *control = worker->control;
    if (atomic_load(&control->words->hoards) == 0) return false;
    uint32_t workers = atomic_load(&control->layout->workers);
    for (uint32_t i = 1; i < workers; i++) {
        uint32_t number = (worker->number + i) % workers;
        lp_record *other = lp_table_at(&control->records, number);
        if (lp_worker_items_steal(worker, other) || steal_task(worker, other))
            return true;
    }
    return false;
}

/* Whether steal would find something, now. */
static bool can_steal(lp_worker *worker)
{
    lp_control *control = worker->control;
    if (atomic_load(&control->words->hoards) == 0) return false;
    uint32_t workers = atomic_load(&control->layout->workers);
    for (uint32_t i = 0; i < workers; i++) {
        lp_record *other = lp_table_at(&control->records, i);
        uint64_t items = atomic_load(&other->items);
        if (lp_worker_items_can_divide(items)) return true;
        uint32_t taken = atomic_load(&other->taken);
        for (uint32_t j = atomic_load(&other->begun); j < taken; j++) {
            lp_cell *cell = cell_at(control, atomic_load(&other->batch[j]));
            if ((atomic_load(&cell->state) & LP_PHASE) == LP_PENDING)
                return true;
        }
    }
    return false;
}

/* ---- the loop ---- */

/* Turn the list round, which begins with the newest task. */
static uint32_t oldest_first(lp_worker *worker, uint32_t entry)
{
    uint32_t turned = 0;
    while (entry) {
        lp_cell *cell = cell_at(worker->control, entry - 1);
        uint32_t next = atomic_load(&cell->next);
        atomic_store(&cell->next, turned);
        turned = entry;
        entry = next;
    }
    return turned;
}

/* The first of those that wait was announced. */
static void pass_waiting(lp_worker *worker)
{
    lp_record *record = worker->record;
    uint32_t number = atomic_load(&record->running) - 1;
    atomic_store(&record->waiting,
                 atomic_load(&cell_at(worker->control, number)->next));
}

/* Run one task of those that were sent to this worker alone. */
static bool serve_inbox(lp_worker *worker)
{
    lp_record *record = worker->record;
    uint32_t entry =
        atomic_load_explicit(&record->waiting, memory_order_relaxed);
    if (entry == 0) {
        if (atomic_load_explicit(&record->inbox, memory_order_relaxed) == 0)
            return false;
        entry = oldest_first(worker, atomic_exchange(&record->inbox, 0));
    }
    claim_and_run(worker, entry - 1, pass_waiting);
    return true;
}

static bool serve(lp_worker *worker)
{
    return lp_worker_items_resume(worker) || serve_inbox(worker) ||
           serve_queue(worker) || steal(worker);
}

void lp_worker_run_queued(lp_worker *worker)
{
    look_at_clock(worker);
    while (serve(worker))
        continue;
}

static uint64_t tasks_ended(const lp_worker *worker)
{
    return atomic_load_explicit(&worker->record->ended, memory_order_relaxed);
}

lp_end lp_worker_run(lp_worker *worker)
{
    lp_control *control = worker->control;
    look_at_clock(worker);
    uint64_t ended = 0; /* when it last slept */
    unsigned naps = 0;
    for (;;) {
        if (atomic_load(&control->layout->mode) == LP_MODE_STOP)
            return LP_END_STOPPED;
        if (worker->left == 0) return LP_END_RETIRED;
        bool served = serve(worker);
        if (worker->abandoned) return LP_END_ABANDONED;
        if (served) {
            naps = 0;
            continue;
        }
        if (worker->spare ||
            atomic_load(&control->layout->mode) == LP_MODE_DRAIN)
            return LP_END_DRAINED;
        if (tasks_ended(worker) - ended >= BURST_TASKS && naps++ < NAPS) {
            lp_idle_nap(&control->words->idle, worker->number,
                        lp_clock_now() + NAP_NANOSECONDS);
            worker->now = lp_clock_now();
            continue;
        }

        if (worker->track) lp_track_flush(worker->track);
        lp_idle *idle = &control->words->idle;
        uint32_t declared = lp_idle_declare(idle);
        atomic_store_explicit(&worker->record->slept, 1, memory_order_relaxed);
        bool sleep = atomic_load(&control->layout->mode) == LP_MODE_OPEN &&
                     atomic_load(&worker->record->inbox) == 0 &&
                     atomic_load(&worker->record->waiting) == 0 &&
                     lp_levels_length(&control->levels) == 0 &&
                     !can_steal(worker);
        lp_worker_point(worker, "sleeping");
        if (sleep) lp_idle_sleep(idle, declared);
        atomic_store_explicit(&worker->record->slept, 0, memory_order_relaxed);
        lp_idle_leave(idle);
        if (sleep) {
            worker->now = lp_clock_now();
            ended = tasks_ended(worker);
            naps = 0;
        }
    }
}
