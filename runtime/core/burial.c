/*
 * burial.c - taking stock after a death.
 *
 * A worker announces in its record what it is about to claim or run, so most
 * of what it held can be read there. Only in the moment in which it takes
 * something - from the queue, from a group, from another worker - is what it
 * takes nowhere; the record says then that it was moving. After a death in
 * that moment all is searched: what is in no queue, in no record and not
 * done was on its way to the dead, and goes back.
 *
 * All this happens under the executor's lock, so that nothing is submitted,
 * freed or used again meanwhile; but the other workers go on.
 */
#include "core/burial.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "core/executor_private.h"

#include <sched.h>
#include <string.h>
#include <time.h>

/* A worker that lives is not moving for longer, unless it is stopped. */
#define STILL_NANOSECONDS 20000000

/* Look this often for something that others may be handing on. */
#define LOOKS 5

/*
 * The executor's lock is held; clang's analysis cannot see that
 * work->executor is the one.
 */
#define UNDER_LOCK LP_UNCHECKED

typedef struct burial {
    lp_executor *executor;
    lp_record *record;
    uint32_t number;
    const lp_death *death;
    bool counted; /* the dead had counted what it was completing as ended */
} burial;

static lp_record *record_of(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->control.records, number);
}

static lp_cell *cell_of(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->control.cells, number);
}

static bool is_running(uint32_t state)
{
    return (state & LP_PHASE) == LP_RUNNING;
}

static bool is_pending(uint32_t state)
{
    return (state & LP_PHASE) == LP_PENDING;
}

/* Wait until what a living worker takes shows in its record. */
static void await_still(const lp_record *record)
{
    int64_t limit = lp_clock_now() + STILL_NANOSECONDS;
    while (atomic_load(&record->moving) && lp_clock_now() < limit)
        (void)sched_yield();
}

/* Whether a worker other than the dead one has, or runs, a task. */
static bool others_have(const burial *work, uint32_t task)
{
    lp_executor *executor = work->executor;
    for (uint32_t i = 0; i < executor->control.records.count; i++) {
        lp_record *record = record_of(executor, i);
        if (i == work->number || !executor->alive[i]) continue;
        await_still(record);
        uint32_t begun = atomic_load(&record->begun);
        uint32_t taken = atomic_load(&record->taken);
        for (uint32_t j = begun; j < taken && j < LP_BATCH; j++)
            if (atomic_load(&record->batch[j]) == task) return true;
        if (atomic_load(&record->running) == task + 1) return true;
    }
    return false;
}

/*
 * Whether this living worker runs a task that is running. That it has
 * announced it is not enough: the dead may have been faster at the claim,
 * and then it is about to let go.
 */
static bool runs(const lp_record *record, const lp_task *task)
{
    int64_t limit = lp_clock_now() + STILL_NANOSECONDS;
    while (atomic_load(&record->running) == task->number + 1) {
        uint64_t job = atomic_load(&record->job.job) & ~LP_JOB_STOPPED;
        if (job == lp_task_serial(task) || !is_running(lp_task_state(task)) ||
            lp_clock_now() >= limit)
            return true;
        (void)sched_yield();
    }
    return false;
}

/*
 * The same of all workers but the dead one. What stands in a batch says
 * nothing: the dead may have taken it from there.
 */
static bool others_run(const burial *work, const lp_task *task)
{
    lp_executor *executor = work->executor;
    for (uint32_t i = 0; i < executor->control.records.count; i++) {
        if (i == work->number || !executor->alive[i]) continue;
        if (runs(record_of(executor, i), task)) return true;
    }
    return false;
}

typedef struct search {
    uint32_t entry;
    bool found;
} search;

static void compare(void *context, uint32_t entry)
{
    search *work = context;
    if (entry == work->entry) work->found = true;
}

static bool is_queued(lp_executor *executor, uint32_t entry)
{
    search work = {entry, false};
    lp_levels_each(&executor->control.levels, compare, &work);
    return work.found;
}

/* ---- tasks ---- */

/* The queue takes a pending task back; or it ends, if nobody will run it. */
static void give_back_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock)
{
    lp_control *control = &executor->control;
    lp_task *task = lp_executor_task(executor, number);
    bool ends = executor->mode == LP_MODE_STOP;
    if (!ends && lp_executor_requeue_locked(executor, task) == LP_OK) return;
    lp_task_settle_locked(task, executor->broken ? LP_LOST : LP_CANCELLED);
    lp_control_unqueue(control, number);
}

/* Why a job of the dead is lost: perhaps it was to be stopped. */
static lp_reason reason_locked(const burial *work, uint64_t job) UNDER_LOCK
{
    const lp_executor *executor = work->executor;
    lp_reason reason = {
        .cause = LP_CAUSE_LOST,
        .number = work->death->status,
        .pid = work->death->pid,
    };
    if (executor->broken) {
        reason.cause = LP_CAUSE_BROKEN;
    } else if (executor->stopping &&
               executor->stopping[work->number].job == job) {
        reason.cause = executor->stopping[work->number].cause;
    }
    return reason;
}

/* For the statistics: what was under way ended for this reason. */
static void count_loss_locked(lp_executor *executor, uint32_t cause,
                              uint64_t count) LP_HOLDS(&executor->lock)
{
    if (cause == LP_CAUSE_LOST) {
        executor->lost += count;
    } else if (cause == LP_CAUSE_INTERRUPT) {
        executor->cancelled += count;
    } else {
        executor->failed += count;
    }
}

/* The dead was running it, and it may be run again. */
static bool retry_locked(const burial *work, lp_task *task) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    lp_slot *slot = task->slot;
    uint32_t used = atomic_load(&work->record->attempts);
    lp_cell *cell = task->cell;
    uint32_t state = lp_task_state(task);
    if (work->death->abandoned || executor->mode == LP_MODE_STOP ||
        slot->retries <= used)
        return false;
    slot->retries -= used + 1;
    if (work->counted) executor->accepted++; /* it will end once more */
    cell->at.submitted_at = 0;
    /* Pending again, with the flags of who waits. */
    while (!atomic_compare_exchange_weak(
        &cell->state, &state, (state & ~LP_PHASE) | LP_PENDING | LP_QUEUED))
        continue;
    lp_executor_count_pending_locked(executor);
    if (task->sent) {
        lp_executor_send_locked(executor, task);
    } else {
        give_back_locked(executor, task->number);
    }
    return true;
}

/* The dead was running it: it is lost. */
static void lose_task_locked(const burial *work, lp_task *task) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    lp_cell *cell = task->cell;
    const lp_reason reason = reason_locked(work, lp_task_serial(task));
    lp_executor_trace_lost_locked(executor, work->number, work->death,
                                  task->number, &reason);
    if (atomic_load(&work->record->claims) !=
        atomic_load(&work->record->claiming))
        executor->tasks_settled++; /* the dead had not counted its claim */
    if (reason.cause == LP_CAUSE_LOST && retry_locked(work, task)) return;
    cell->worker = (uint16_t)work->number;
    cell->pid = work->death->pid;
    cell->length = 0; /* the executor broke, and says so */
    if (!executor->broken) {
        cell->length = sizeof(reason);
        memcpy(cell->at.bytes, &reason, sizeof(reason));
    }
    lp_cell_note_end(cell, lp_clock_now());
    if (!work->counted) executor->settled++;
    count_loss_locked(executor, reason.cause, 1);
    lp_control_complete(&executor->control, task->number,
                        reason.cause == LP_CAUSE_INTERRUPT ? LP_CANCELLED
                                                           : LP_LOST);
}

/* It had completed a task, but had perhaps not told anybody. */
static void tell_locked(const burial *work, lp_task *task,
                        uint32_t state) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    lp_unpark_all(&task->cell->state);
    /* What it did post has been collected, so this is not the second time. */
    bool abandoned = (state & LP_ABANDONED) && !(state & LP_QUEUED);
    if (!task->ending && (abandoned || atomic_load(&task->posted)))
        lp_control_post(&executor->control, task->number);
}

/* Whether the task is in the queue, or with a worker other than the dead. */
static bool is_elsewhere(const burial *work, uint32_t task)
{
    return is_queued(work->executor, task) || others_have(work, task);
}

/*
 * Somebody else has ended a task that the dead had announced, and tells of it
 * himself. The dead may have been the one to take it out of its batch.
 */
static void let_go_locked(const burial *work, const lp_task *task,
                          uint32_t state) UNDER_LOCK
{
    if ((state & LP_QUEUED) && !task->sent && !is_elsewhere(work, task->number))
        lp_control_unqueue(&work->executor->control, task->number);
}

static void settle_running_locked(const burial *work) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    lp_task *task = lp_executor_announced(executor, work->number);
    if (!task) return;
    uint32_t state = lp_task_state(task);
    if (lp_phase_is_done(state) && work->counted) {
        tell_locked(work, task, state);
    } else if (lp_phase_is_done(state)) {
        let_go_locked(work, task, state);
    } else if (is_running(state)) {
        if (!others_run(work, task) && is_running(lp_task_state(task)))
            lose_task_locked(work, task);
    } else if (!task->sent && !is_elsewhere(work, task->number) &&
               is_pending(lp_task_state(task))) {
        give_back_locked(executor, task->number);
    }
}

/* What it took from the queue and did not begin. */
static void settle_batch_locked(const burial *work) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    uint32_t begun = atomic_load(&work->record->begun);
    uint32_t taken = atomic_load(&work->record->taken);
    for (uint32_t i = begun; i < taken && i < LP_BATCH; i++) {
        uint32_t number = atomic_load(&work->record->batch[i]);
        if (!lp_executor_task(executor, number)) continue;
        if (is_pending(atomic_load(&cell_of(executor, number)->state))) {
            give_back_locked(executor, number);
        } else {
            lp_control_unqueue(&executor->control, number);
        }
    }
    atomic_store(&work->record->taken, 0);
    atomic_store(&work->record->begun, 0);
}

/* The tasks that were sent to it are sent again, as lists may be torn. */
static void settle_inbox_locked(const burial *work) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    atomic_store(&work->record->inbox, 0);
    atomic_store(&work->record->waiting, 0);
    if (executor->sent == 0) return;
    for (uint32_t i = 0; i < executor->tasks.count; i++) {
        lp_task *task = lp_executor_task(executor, i);
        if (!task->live || task->sent != work->number + 1) continue;
        uint32_t state = lp_task_state(task);
        if (is_pending(state) && executor->mode == LP_MODE_STOP) {
            give_back_locked(executor, i);
        } else if (is_pending(state)) {
            lp_executor_send_locked(executor, task);
        } else if (lp_phase_is_done(state) && (state & LP_QUEUED)) {
            lp_control_unqueue(&executor->control, i);
        }
    }
}

static void mark(void *context, uint32_t entry)
{
    if (!(entry & LP_QUEUE_GROUP)) ((uint8_t *)context)[entry] = 1;
}

/* Mark what is in the queue, or with a living worker. */
static void mark_known_locked(const burial *work, uint8_t *known) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    uint32_t count = executor->tasks.count;
    lp_levels_each(&executor->control.levels, mark, known);
    for (uint32_t i = 0; i < executor->control.records.count; i++) {
        lp_record *record = record_of(executor, i);
        if (i == work->number || !executor->alive[i]) continue;
        await_still(record);
        uint32_t begun = atomic_load(&record->begun);
        uint32_t taken = atomic_load(&record->taken);
        for (uint32_t j = begun; j < taken && j < LP_BATCH; j++) {
            uint32_t task = atomic_load(&record->batch[j]);
            if (task < count) known[task] = 1;
        }
        uint32_t running = atomic_load(&record->running);
        if (running > 0 && running <= count) known[running - 1] = 1;
    }
}

/* It was taking from the queue: find what is nowhere now. */
static void search_tasks_locked(const burial *work) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    uint32_t count = executor->tasks.count;
    uint8_t *known = lp_calloc(executor->host->allocator, (size_t)count + 1, 1);
    if (known) mark_known_locked(work, known);
    for (uint32_t i = 0; i < count; i++) {
        lp_task *task = lp_executor_task(executor, i);
        uint32_t state = lp_task_state(task);
        if (!task->live || task->sent || task->manual || !is_pending(state) ||
            !(state & LP_QUEUED))
            continue;
        /* Without memory for the marks the search is slow, and right. */
        bool elsewhere = known ? known[i] != 0 : is_elsewhere(work, i);
        if (!elsewhere && is_pending(lp_task_state(task)))
            give_back_locked(executor, i);
    }
    lp_free(known);
}

/* ---- items ---- */

/* Post the results that the dead had made and not handed in. */
static bool save_piece_locked(const burial *work, uint32_t number,
                              uint32_t first, uint32_t count) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    uint32_t arena = executor->arena_of[work->number];
    lp_outcomes *outcomes = lp_executor_outcomes(executor, arena);
    uint64_t results = atomic_load(&work->record->progress.results);
    lp_place place = results / 4;
    lp_piece *piece = outcomes && place ? lp_arena_check(outcomes->arena, place,
                                                         sizeof(*piece))
                                        : NULL;
    if (!piece) return false;
    uint64_t room = lp_arena_room(outcomes->arena, place) - sizeof(*piece);
    uint64_t length;
    if (!lp_group_measure((const uint8_t *)(piece + 1), room,
                          (uint32_t)(results & 3), count, &length))
        return false;
    *piece = (lp_piece){.first = first,
                        .count = count,
                        .form = (uint32_t)(results & 3),
                        .length = length};
    lp_executor_trace_left_items_locked(executor, work->number, work->death,
                                        number, first, count, NULL);
    lp_group_post(lp_executor_group(executor, number), piece,
                  ((uint64_t)arena << LP_PLACE_BITS) | place,
                  executor->control.bell);
    return true;
}

/* Post that items were lost with the dead. */
static void lose_items_locked(const burial *work, uint32_t number,
                              uint32_t first, uint32_t count) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    lp_group *group = lp_executor_group(executor, number);
    uint64_t job = atomic_load(&work->record->job.job) & ~LP_JOB_STOPPED;
    if (job == LP_JOB_GIVEN_UP && executor->stopping)
        job = executor->stopping[work->number].job;
    const lp_reason reason = reason_locked(work, job);
    const uint64_t header = sizeof(reason) * 4 + 2; /* an lp_reason */
    const size_t each = sizeof(header) + sizeof(reason);
    lp_arena *parcels = executor->control.parcels;
    lp_place place;
    lp_executor_trace_left_items_locked(executor, work->number, work->death,
                                        number, first, count, &reason);
    executor->settled += count;
    count_loss_locked(executor, reason.cause, count);
    int status =
        lp_arena_alloc(parcels, sizeof(lp_piece) + count * each, &place);
    if (status == LP_OK) {
        status = lp_executor_own_piece_locked(executor, place);
        if (status != LP_OK) lp_arena_drop(parcels, place);
    }
    if (status != LP_OK) {
        lp_executor_account_locked(executor, number, first, count);
        lp_group_announce(group, executor->control.bell);
        return;
    }
    lp_piece *piece = lp_arena_at(parcels, place);
    uint8_t *at = (uint8_t *)(piece + 1);
    *piece = (lp_piece){.first = first,
                        .count = count,
                        .form = LP_FORM_MESSAGES,
                        .length = count * each};
    for (uint32_t i = 0; i < count; i++, at += each) {
        memcpy(at, &header, sizeof(header));
        memcpy(at + sizeof(header), &reason, sizeof(reason));
    }
    lp_group_post(group, piece, place, executor->control.bell);
}

/* Whether an item has ended: it was taken, or waits to be. */
static bool item_ended_locked(lp_executor *executor, uint32_t number,
                              uint32_t item) LP_HOLDS(&executor->lock)
{
    return lp_executor_piece_has_locked(executor, number, item) ||
           lp_executor_accounted_locked(executor, number, item);
}

/* Items that nobody has begun are left to the next worker of this number. */
static void leave_items_locked(const burial *work, uint64_t items) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    uint32_t first = lp_claim_next(items), end = lp_claim_end(items);
    if (first >= end) {
        items = 0;
    } else if (executor->mode == LP_MODE_STOP) {
        uint32_t number = lp_claim_group(items);
        lp_executor_settle_locked(executor, LP_CANCELLED, end - first);
        lp_executor_trace_unbegun_items_locked(executor, number, first,
                                               end - first);
        lp_executor_account_locked(executor, number, first, end - first);
        lp_group_announce(lp_executor_group(executor, number),
                          executor->control.bell);
        items = 0;
    }
    atomic_store(&work->record->items, items);
}

/* What it had claimed of a group. Thieves may still take some of it. */
static void settle_items_locked(const burial *work) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    lp_record *record = work->record;
    uint64_t items = atomic_exchange(&record->items, 0);
    uint32_t number = atomic_load(&record->piece_group);
    uint32_t next = lp_claim_next(items), end = lp_claim_end(items);
    if (number == 0 || number - 1 != lp_claim_group(items) ||
        !lp_executor_group(executor, number - 1)) {
        if (items != 0 && lp_executor_group(executor, lp_claim_group(items)))
            leave_items_locked(work, items);
        return;
    }
    number--;
    const lp_load *load = lp_executor_load(executor, number);
    /* It was posted, taken, and the group's number used again since. */
    if (load->generation != atomic_load(&record->piece_generation)) return;
    uint32_t limit = atomic_load(&load->count);
    uint32_t first = atomic_load(&record->piece_first);
    uint32_t begun = atomic_load(&record->piece_end);
    /* A thread that is stuck may go on, and write over what it has made. */
    uint32_t done =
        executor->is_shared ? atomic_load(&record->progress.done) : 0;
    if (begun > next) begun = next; /* that move has not happened */
    if (end > limit || begun < first || done > begun - first) {
        atomic_store(&record->items, 0); /* nonsense */
        lp_executor_damage_locked(executor, number);
        return;
    }
    if (begun > first && !item_ended_locked(executor, number, first)) {
        if (done > 0 && save_piece_locked(work, number, first, done)) {
            if (!work->counted) executor->settled += done;
        } else if (done > 0) {
            lose_items_locked(work, number, first, done);
        }
        if (first + done < begun) {
            lose_items_locked(work, number, first + done, 1);
            begun = first + done + 1;
        }
    }
    uint64_t whole = items & LP_CLAIM_WHOLE;
    leave_items_locked(work, lp_claim_pack(number, begun, end) | whole);
}

/* Whether a living worker has an item, begun or not. */
static bool others_have_item(const burial *work, uint32_t group, uint32_t item)
{
    lp_executor *executor = work->executor;
    for (uint32_t i = 0; i < executor->control.records.count; i++) {
        lp_record *record = record_of(executor, i);
        if (i == work->number) continue;
        if (executor->alive[i]) await_still(record);
        uint64_t items = atomic_load(&record->items);
        if (items != 0 && lp_claim_group(items) == group &&
            item >= lp_claim_next(items) && item < lp_claim_end(items))
            return true;
        if (atomic_load(&record->piece_group) == group + 1 &&
            item >= atomic_load(&record->piece_first) &&
            item < atomic_load(&record->piece_end))
            return true;
    }
    return false;
}

/* It was claiming items: if they are nowhere now, it had them. */
static void search_items_locked(const burial *work) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    uint64_t wanted = atomic_load(&work->record->wanted);
    uint32_t number = lp_claim_group(wanted), first = lp_claim_next(wanted);
    uint32_t end = lp_claim_end(wanted);
    lp_group *group = lp_executor_group(executor, number);
    if (wanted == 0 || !group || atomic_load(&work->record->items) != 0) return;
    const lp_load *load = lp_executor_load(executor, number);
    if (end > atomic_load(&load->count) || first >= end ||
        atomic_load(&group->claimed) <= first)
        return;
    for (int i = 0; i < LOOKS; i++) {
        /* Somebody may be handing it on while we look. */
        if (others_have_item(work, number, first) ||
            item_ended_locked(executor, number, first))
            return;
    }
    uint64_t whole = atomic_load(&load->chunk) ? LP_CLAIM_WHOLE : 0;
    leave_items_locked(work, wanted | whole);
}

/* It may have taken a group out of the queue, and not said so. */
static void search_groups_locked(const burial *work) UNDER_LOCK
{
    lp_executor *executor = work->executor;
    for (uint32_t i = 0; i < executor->accounts.count; i++) {
        lp_group *group = lp_executor_group(executor, i);
        if (!(atomic_load(&group->state) & LP_QUEUED)) continue;
        if (is_queued(executor, i | LP_QUEUE_GROUP)) continue;
        lp_group_unqueue(group, executor->control.bell);
    }
}

/* ---- */

static void reset_record(lp_record *record)
{
    atomic_store(&record->completing, 0);
    atomic_store(&record->running, 0);
    atomic_store(&record->moving, 0);
    atomic_store(&record->wanted, 0);
    atomic_store(&record->slept, 0);
    atomic_store(&record->hoards, 0);
    atomic_store(&record->piece_group, 0);
    atomic_store(&record->job.job, 0);
    atomic_store(&record->job.wanted, 0);
    atomic_store(&record->job.asked, 0);
    atomic_store(&record->shown, 0); /* the block goes with its arena */
    atomic_store(&record->deadline, 0);
    atomic_store(&record->attempts, 0);
}

#ifdef LP_DEBUG
/* Others go on meanwhile: tests see what they do then. */
static void dawdle(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
}
#else
static void dawdle(void)
{
}
#endif

void lp_burial(lp_executor *executor, uint32_t number, const lp_death *death)
{
    lp_record *record = record_of(executor, number);
    burial work = {executor, record, number, death,
                   atomic_load(&record->completing) != 0};
    lp_control *control = &executor->control;
    lp_words *words = control->words;
    /* What it has posted is known then, and what it has not is not. */
    lp_host_collect_from(executor);
    dawdle();

    lp_lock_enter(&executor->lock);
    bool moving = atomic_load(&work.record->moving) != 0;
    uint32_t group = atomic_load(&work.record->piece_group);
    settle_batch_locked(&work);
    settle_running_locked(&work);
    settle_inbox_locked(&work);
    settle_items_locked(&work);
    if (moving) {
        search_tasks_locked(&work);
        search_items_locked(&work);
        search_groups_locked(&work);
    }
    if (atomic_load(&work.record->hoards)) atomic_fetch_sub(&words->hoards, 1);
    bool slept = atomic_load(&work.record->slept) != 0;
    reset_record(work.record);
    if (executor->stopping) executor->stopping[number].job = 0;
    lp_executor_retire_arena_locked(executor, number);
    lp_idle_bury(&words->idle, number, slept);
    if (group > 0 && lp_executor_group(executor, group - 1))
        lp_group_announce(lp_executor_group(executor, group - 1),
                          control->bell);
    lp_lock_leave(&executor->lock);
    lp_executor_trace_death(executor, death);
    lp_executor_worker_ended(executor, number, LP_END_LOST);
}
