/*
 * executor_workers.c - which workers an executor has, and when they end.
 *
 * Workers start when they are needed: when more tasks are accepted and not
 * ended than there are workers. The counts of ended tasks are the workers'
 * own, so that the hot path of a full pool shares nothing.
 */
#include "base/status.h"
#include "core/executor_private.h"

uint64_t lp_executor_outstanding_locked(lp_executor *executor)
{
    lp_control *control = &executor->control;
    uint64_t left = executor->accepted - executor->settled;
    uint32_t workers = atomic_load(&control->layout->workers);
    for (uint32_t i = 0; i < workers; i++) {
        lp_record *record = lp_table_at(&control->records, i);
        /* Acquire; pairs with count_ended in worker.c. */
        left -= atomic_load_explicit(&record->ended, memory_order_acquire);
    }
    /* A death may have been counted twice, or a worker have lost its mind. */
    return left > UINT64_MAX / 2 ? 0 : left;
}

bool lp_executor_is_busy_locked(lp_executor *executor)
{
    return lp_executor_outstanding_locked(executor) > 0;
}

int lp_executor_start_locked(lp_executor *executor, uint32_t number)
{
    lp_control *control = &executor->control;
    while (number >= control->records.count) {
        uint32_t made;
        /* The tallies first: whoever finds a record finds its tally. */
        if (control->tallies.count == control->records.count &&
            lp_table_add(&control->tallies, &made) != LP_OK)
            return LP_NOMEM;
        if (lp_table_add(&control->records, &made) != LP_OK) return LP_NOMEM;
    }
    int status = lp_executor_use_arena_locked(executor, number);
    if (status != LP_OK) return status;
    if (number >= atomic_load(&control->layout->workers))
        atomic_store(&control->layout->workers, number + 1);
    lp_record *record = lp_table_at(&control->records, number);
    atomic_store(&record->since, 0);
    executor->alive[number] = 1;
    executor->live++;
    status = executor->kind->start(executor->self, number);
    if (status != LP_OK) {
        executor->alive[number] = 0;
        executor->live--;
    }
    return status;
}

static int start_next_locked(lp_executor *executor) LP_HOLDS(&executor->lock)
{
    uint32_t number = executor->live; /* right unless some have retired */
    if (number >= executor->most || executor->alive[number])
        for (number = 0; executor->alive[number];)
            number++;
    return lp_executor_start_locked(executor, number);
}

bool lp_executor_may_grow_locked(lp_executor *executor)
{
    return executor->live < executor->most &&
           executor->live < executor->max_workers + executor->blocked_count;
}

int lp_executor_start_needed_locked(lp_executor *executor, bool some)
{
    while (lp_executor_may_grow_locked(executor)) {
        bool none = some && executor->live == 0;
        if (!none && lp_executor_outstanding_locked(executor) <= executor->live)
            break;
        int status = start_next_locked(executor);
        /* Fewer workers than one would like do the work, only slower. */
        if (status != LP_OK) return executor->live > 0 ? LP_OK : status;
    }
    return LP_OK;
}

/* Let go of the tasks of an inbox; a worker has written the list. */
static void unqueue_list(lp_executor *executor, uint32_t entry)
{
    lp_control *control = &executor->control;
    for (uint32_t i = 0; entry && i < executor->tasks.count; i++) {
        if (!lp_executor_task(executor, entry - 1)) return;
        lp_cell *cell = lp_table_at(&control->cells, entry - 1);
        uint32_t next = atomic_load(&cell->next);
        lp_control_unqueue(control, entry - 1);
        entry = next;
    }
}

/* Let go of all that is on a level, where its words may be nonsense. */
static void empty_level(lp_executor *executor, lp_queue *queue)
{
    lp_control *control = &executor->control;
    uint32_t entry;
    uint64_t position;
    uint64_t left = queue->tail;
    while (left-- > 0 && lp_queue_take(queue, &entry, 1, &position) > 0) {
        if (entry & LP_QUEUE_GROUP) {
            lp_group *group =
                lp_executor_group(executor, entry & ~LP_QUEUE_GROUP);
            (void)lp_queue_remove(queue, position);
            if (group) lp_group_unqueue(group, control->bell);
        } else if (lp_executor_task(executor, entry)) {
            lp_control_unqueue(control, entry);
        }
    }
}

void lp_executor_empty_queue_locked(lp_executor *executor)
{
    lp_control *control = &executor->control;
    lp_queue *queue;
    for (uint32_t i = 0; (queue = lp_levels_at(&control->levels, i)); i++)
        empty_level(executor, queue);
    for (uint32_t i = 0; i < control->records.count; i++) {
        lp_record *record = lp_table_at(&control->records, i);
        unqueue_list(executor, atomic_exchange(&record->inbox, 0));
        unqueue_list(executor, atomic_exchange(&record->waiting, 0));
    }
}

/* Work that nobody can do but the worker of this record. */
static bool has_work(const lp_record *record)
{
    return atomic_load(&record->inbox) != 0 ||
           atomic_load(&record->waiting) != 0 ||
           atomic_load(&record->items) != 0;
}

void lp_executor_worker_ended(lp_executor *executor, uint32_t number,
                              lp_end end)
{
    lp_control *control = &executor->control;
    lp_host *host = executor->host;
    lp_lock_enter(&executor->lock);
    executor->alive[number] = 0;
    executor->live--;
    if (end != LP_END_STOPPED && executor->mode != LP_MODE_STOP) {
        lp_record *record = lp_table_at(&control->records, number);
        int status = LP_OK;
        bool queued = lp_levels_length(&control->levels) > 0;
        if (has_work(record))
            status = lp_executor_start_locked(executor, number);
        /* One that has drained all knows that nobody is needed. */
        if (status == LP_OK && (queued || end != LP_END_DRAINED))
            status = lp_executor_start_needed_locked(executor, queued);
        if (status != LP_OK && (executor->live == 0 || has_work(record)))
            lp_executor_break_locked(executor,
                                     "a worker could not be started again, the "
                                     "pool is not usable any more");
    }
    if (executor->live == 0 && executor->mode == LP_MODE_STOP)
        lp_executor_empty_queue_locked(executor);
    lp_lock_leave(&executor->lock);
    lp_bell_ring(host->bell); /* for who waits, and for who reaps */
}

bool lp_executor_has_abandoned(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    bool some = executor->abandoned > 0;
    lp_lock_leave(&executor->lock);
    return some;
}

void lp_executor_abandoned_ended(lp_executor *executor, uint32_t arena)
{
    lp_host *host = executor->host;
    lp_lock_enter(&executor->lock);
    lp_executor_unhold_arena_locked(executor, arena);
    executor->abandoned--;
    lp_lock_leave(&executor->lock);
    lp_bell_ring(host->bell);
}

void lp_executor_start_failed(lp_executor *executor, uint32_t number,
                              const char *text)
{
    lp_lock_enter(&executor->lock);
    executor->alive[number] = 0;
    executor->live--;
    const lp_record *record = lp_table_at(&executor->control.records, number);
    if (executor->live == 0 || has_work(record))
        lp_executor_break_locked(executor, text);
    if (executor->live == 0 && executor->mode == LP_MODE_STOP)
        lp_executor_empty_queue_locked(executor);
    lp_host *host = executor->host;
    lp_lock_leave(&executor->lock);
    lp_bell_ring(host->bell);
}

bool lp_executor_has_ended(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    bool ended = executor->live == 0;
    lp_lock_leave(&executor->lock);
    return ended;
}

void lp_executor_join(lp_executor *executor)
{
    executor->kind->join(executor->self);
    lp_lock_enter(&executor->lock);
    /* Futures may be kept long after; descriptors need not be. */
    if (executor->is_shared && executor->live == 0 &&
        executor->mode != LP_MODE_OPEN)
        lp_executor_close_files_locked(executor);
    lp_lock_leave(&executor->lock);
}
