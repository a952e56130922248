/*
 * task.c - the life of a task after it was accepted, as the host sees it.
 *
 * A task's number is free again when no future refers to it, it has ended,
 * and neither the queue nor a batch holds it. Whoever is the last of these
 * three frees it: a release frees it at once if the others are through, and
 * otherwise marks the cell abandoned, so that the worker that is the last to
 * touch it posts it to the host, which then frees it.
 */
#include "core/task.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hints.h"
#include "base/status.h"
#include "core/executor_private.h"
#include "core/mailbox.h"

/* From so many tasks and items on an executor takes so many serial numbers. */
#define MANY_TASKS 1024u
#define SERIALS    64u

void lp_handles_drop(lp_handles *handles)
{
    while (handles) {
        lp_handles *next = handles->next;
        lp_handles_free(handles->items, handles->count);
        lp_free(handles);
        handles = next;
    }
}

lp_task *lp_executor_task(lp_executor *executor, uint32_t number)
{
    if (number >= executor->tasks.count) return NULL;
    return lp_table_at(&executor->tasks, number);
}

lp_task *lp_executor_announced(lp_executor *executor, uint32_t worker)
{
    lp_record *record = lp_table_at(&executor->control.records, worker);
    uint32_t running = atomic_load(&record->running);
    lp_task *task = running ? lp_executor_task(executor, running - 1) : NULL;
    return task && task->live ? task : NULL;
}

/*
 * A number for people, of its own in the host. An executor that has had many
 * tasks takes several numbers at a time, since all write the host's counter.
 */
static uint32_t next_serial_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock)
{
    if (executor->serial == executor->serial_end) {
        uint32_t count = executor->accepted < MANY_TASKS ? 1 : SERIALS;
        executor->serial = atomic_fetch_add_explicit(
            &executor->host->serial, count, memory_order_relaxed);
        executor->serial_end = executor->serial + count;
    }
    executor->serial++;
    /* 0 is no task. */
    return executor->serial ? executor->serial : next_serial_locked(executor);
}

/* One with a new number, in all tables, which grow together. */
static lp_task *add_task_locked(lp_executor *executor) LP_HOLDS(&executor->lock)
{
    lp_control *control = &executor->control;
    uint32_t number, same = executor->tasks.count;
    /* A leftover of one does no harm. */
    if (control->slots.count == same &&
        lp_table_add(&control->slots, &number) != LP_OK)
        return NULL;
    if (control->cells.count == same &&
        lp_table_add(&control->cells, &number) != LP_OK)
        return NULL;
    if (executor->track && control->notes->tasks.count == same &&
        lp_table_add(&control->notes->tasks, &number) != LP_OK)
        return NULL;
    if (lp_table_add(&executor->tasks, &number) != LP_OK) return NULL;
    lp_task *new = lp_table_at(&executor->tasks, number);
    new->executor = executor;
    new->number = number;
    new->slot = lp_table_at(&control->slots, number);
    new->cell = lp_table_at(&control->cells, number);
    return new;
}

/* NULL: there is none. */
static lp_task *take_free_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock)
{
    lp_task *task = executor->free_task;
    if (!task) return NULL;
    lp_task *next = task->next_free;
    executor->free_task = next;
    if (next) { /* workers have these last; the next submit writes them */
        lp_prefetch_to_write(next->slot);
        lp_prefetch_to_write(next->cell);
    }
    return task;
}

int lp_task_new_locked(lp_executor *executor, lp_task **task)
{
    lp_task *new = take_free_locked(executor);
    if (!new) new = add_task_locked(executor);
    if (!new) return LP_NOMEM;
    lp_list_init(&new->mails);
    atomic_store_explicit(&new->references, 1, memory_order_relaxed);
    new->origin = NULL;
    new->extras = NULL;
    new->sent = 0;
    new->ending = 0;
    new->manual = 0;
    atomic_store_explicit(&new->posted, 0, memory_order_relaxed);
    atomic_store_explicit(&new->dead, 0, memory_order_relaxed);
    atomic_store_explicit(&new->seen, 0, memory_order_relaxed);
    new->live = 1;
    lp_slot *slot = new->slot;
    slot->length = 0;
    slot->handles = NULL;
    slot->timeout = 0;
    slot->retries = 0;
    slot->serial = next_serial_locked(executor);
    lp_cell *cell = new->cell;
    cell->length = 0;
    cell->worker = 0;
    cell->arena = 0;
    cell->pid = 0;
    lp_cell_note_end(cell, 0);
    cell->at.submitted_at = 0;
    /* Not pending before it is queued, so that nobody settles it. */
    atomic_store_explicit(&cell->state, LP_CANCELLED, memory_order_relaxed);
    executor->live_tasks++;
    *task = new;
    return LP_OK;
}

/* The number is free again; gives the handles of the parcel. */
static lp_handles *free_locked(lp_executor *executor, lp_task *task)
    LP_HOLDS(&executor->lock)
{
    lp_slot *slot = task->slot;
    lp_cell *cell = task->cell;
    lp_handles *handles = slot->handles;
    if (!task->live) return NULL; /* a wild post was faster */
    slot->handles = NULL;
    if (slot->length > LP_SLOT_INLINE)
        lp_arena_drop(executor->control.parcels, slot->at.parcel);
    lp_phase phase = lp_cell_phase(cell);
    if (cell->length > LP_CELL_INLINE && phase != LP_CANCELLED)
        lp_executor_drop_outcome_locked(executor, cell->arena,
                                        cell->at.outcome);
    if (task->sent) executor->sent--;
    atomic_store_explicit(&cell->state, LP_CANCELLED, memory_order_relaxed);
    lp_free(task->extras);
    task->extras = NULL;
    task->live = 0;
    task->next_free = executor->free_task;
    executor->free_task = task;
    executor->live_tasks--;
    return handles;
}

void lp_task_pile_free(lp_task_pile *pile)
{
    lp_handles *handles, *dropped = NULL;
    if (pile->count == 0) return;
    lp_executor *executor = pile->tasks[0]->executor;
    lp_lock_enter(&executor->lock);
    for (uint32_t i = 0; i < pile->count; i++) {
        lp_task *task = pile->tasks[i];
        if ((handles = free_locked(executor, task)) == NULL) continue;
        handles->next = dropped;
        dropped = handles;
    }
    pile->count = 0;
    bool last =
        executor->live_tasks == 0 && atomic_load(&executor->owners) == 0;
    lp_host *host = executor->host;
    lp_lock_leave(&executor->lock);

    lp_handles_drop(dropped);
    if (last) lp_host_reap(host);
}

static void pile_add(lp_task_pile *pile, lp_task *task)
{
    if (pile->count == LP_PILE ||
        (pile->count > 0 && pile->tasks[0]->executor != task->executor))
        lp_task_pile_free(pile);
    pile->tasks[pile->count++] = task;
    /* What nobody owns any more may go with its last task. */
    if (atomic_load(&task->executor->owners) == 0) lp_task_pile_free(pile);
}

void lp_task_free(lp_task *task)
{
    lp_task_pile pile;
    pile.tasks[0] = task;
    pile.count = 1;
    lp_task_pile_free(&pile);
}

static bool is_through(uint32_t state)
{
    return lp_phase_is_done(state) && !(state & LP_QUEUED);
}

bool lp_task_abandon(lp_task *task)
{
    if (task->manual) return true;
    lp_cell *cell = task->cell;
    uint32_t state = lp_cell_state(cell);
    if (is_through(state)) return true;
    atomic_store(&task->dead, 1); /* what is posted from here on frees it */
    state = atomic_fetch_or(&cell->state, LP_ABANDONED);
    if (!is_through(state)) return false;
    atomic_store(&task->dead, 0); /* nothing is: the caller frees it */
    return true;
}

void lp_task_retain(lp_task *task)
{
    atomic_fetch_add_explicit(&task->references, 1, memory_order_relaxed);
}

/* Whether a post is still to come, which then is the one that frees it. */
static LP_APART bool leave_to_post(lp_task *task)
{
    lp_host *host = task->executor->host;
    lp_lock_enter(&host->waiters);
    bool comes = atomic_load(&task->posted);
    if (comes) atomic_store(&task->dead, 1);
    lp_lock_leave(&host->waiters);
    return comes;
}

/* A future goes: true if the task is to be freed now. */
static bool end_reference(lp_task *task)
{
    /* Who has the only reference is the only one who could make another. */
    if (atomic_load_explicit(&task->references, memory_order_acquire) == 1) {
        atomic_store_explicit(&task->references, 0, memory_order_relaxed);
    } else if (atomic_fetch_sub(&task->references, 1) != 1) {
        return false;
    }
    if (!task->manual && atomic_load(&task->posted) && leave_to_post(task))
        return false; /* lp_host_collect frees it */
    return lp_task_abandon(task);
}

void lp_task_release(lp_task *task)
{
    if (task && end_reference(task)) lp_task_free(task);
}

/* It has more than its three parts. */
static bool holds_more(const lp_task *task)
{
    const lp_slot *slot = task->slot;
    return slot->handles || slot->length > LP_SLOT_INLINE ||
           task->cell->length > LP_CELL_INLINE;
}

void lp_task_release_later(lp_task *task, lp_task_pile *pile)
{
    if (!end_reference(task)) return;
    if (holds_more(task)) {
        lp_task_free(task);
    } else {
        pile_add(pile, task);
    }
}

bool lp_task_ended_badly(const lp_task *task)
{
    uint32_t phase = lp_task_state(task) & LP_PHASE;
    return phase == LP_RAISED || (phase == LP_LOST && task->cell->length > 0);
}

/* Somebody other than a worker ended the task: tell those who wait. */
static void tell_settled(lp_task *task, uint32_t before)
{
    lp_host *host = task->executor->host;
    if (before & LP_WAITED) lp_unpark_all(&task->cell->state);
    if (!(before & LP_NOTIFY)) return;
    lp_lock_enter(&host->waiters);
    /* First: whoever finds posted cleared sees to the end of the task. */
    bool dead = atomic_load(&task->dead);
    atomic_store(&task->posted, 0);
    lp_mailbox_deliver_locked(task);
    lp_lock_leave(&host->waiters);
    lp_bell_ring(host->bell);
    /* The post that would have freed it does not come any more. */
    if (!dead || !lp_task_abandon(task)) return;
    atomic_store(&task->dead, 1); /* by the one that comes now, then */
    lp_control_post(&task->executor->control, task->number);
}

bool lp_task_cancel(lp_task *task)
{
    lp_cell *cell = task->cell;
    uint32_t before;
    if (!lp_cell_settle(cell, LP_CANCELLED, &before))
        return (before & LP_PHASE) == LP_CANCELLED;
    lp_cell_note_end(cell, lp_clock_now());
    lp_executor *executor = task->executor;
    lp_lock_enter(&executor->lock);
    lp_executor_settle_locked(executor, LP_CANCELLED, 1);
    lp_executor_trace_unbegun_locked(executor, task->number, LP_CANCELLED);
    executor->tasks_settled++;
    lp_lock_leave(&executor->lock);
    lp_control_make_room(&executor->control);
    tell_settled(task, before);
    return true;
}

void lp_task_settle_locked(lp_task *task, lp_phase phase)
{
    uint32_t before;
    lp_cell *cell = task->cell;
    if (!lp_cell_settle(cell, phase, &before)) return;
    lp_cell_note_end(cell, lp_clock_now());
    lp_executor_settle_locked(task->executor, phase, 1);
    lp_executor_trace_unbegun_locked(task->executor, task->number, phase);
    task->executor->tasks_settled++;
    lp_control_make_room(&task->executor->control);
    tell_settled(task, before);
}

const uint8_t *lp_task_outcome(const lp_task *task, size_t *length)
{
    const lp_cell *cell = task->cell;
    /* Read once: the worker may be out of its mind. */
    uint64_t size = *(const volatile uint64_t *)&cell->length;
    *length = (size_t)size;
    if (size <= LP_CELL_INLINE) return cell->at.bytes;
    lp_outcomes *outcomes = lp_executor_outcomes(task->executor, cell->arena);
    if (!outcomes) return NULL;
    return lp_arena_check(outcomes->arena, cell->at.outcome, size);
}

int64_t lp_task_timeout(const lp_task *task)
{
    return task->slot->timeout;
}

bool lp_task_worker(const lp_task *task, uint32_t *worker, int32_t *pid)
{
    const lp_cell *cell = task->cell;
    lp_control *control = &task->executor->control;
    uint32_t phase = lp_task_state(task) & LP_PHASE;
    if (task->manual || phase == LP_PENDING || phase == LP_CANCELLED)
        return false;
    if (phase != LP_RUNNING) {
        /* What broke before it ran has no outcome. */
        if (phase == LP_LOST && cell->length == 0) return false;
        *worker = cell->worker;
        *pid = cell->pid;
        return *worker < task->executor->most;
    }
    uint32_t workers = atomic_load(&control->layout->workers);
    for (uint32_t i = 0; i < workers; i++) {
        lp_record *record = lp_table_at(&control->records, i);
        if (atomic_load(&record->running) != task->number + 1) continue;
        *worker = i;
        *pid = atomic_load(&record->pid);
        return true;
    }
    return false;
}

bool lp_task_listen(lp_task *task, uint32_t *expected)
{
    _Atomic uint32_t *word = &task->cell->state;
    *expected = atomic_load(word);
    if (lp_phase_is_done(*expected)) return false;
    *expected = atomic_fetch_or(word, LP_WAITED) | LP_WAITED;
    return !lp_phase_is_done(*expected);
}

/* ---- futures without a worker ---- */

int lp_executor_make_manual(lp_executor *executor, lp_task **task)
{
    lp_task *made;
    lp_lock_enter(&executor->lock);
    int status = lp_task_new_locked(executor, &made);
    if (status == LP_OK) {
        made->manual = 1;
        atomic_store(&made->cell->state, LP_PENDING);
        *task = made;
    }
    lp_lock_leave(&executor->lock);
    return status;
}

int lp_task_set_running(lp_task *task)
{
    uint32_t state;
    return lp_cell_claim(task->cell, &state) ? LP_OK : LP_INVALID;
}

int lp_task_settle(lp_task *task, lp_phase phase)
{
    lp_cell *cell = task->cell;
    uint32_t state = lp_task_state(task);
    if (lp_phase_is_done(state)) return LP_INVALID;
    /* The owner thread alone completes a manual future, so this is no race. */
    lp_cell_note_end(cell, lp_clock_now());
    if ((state & LP_PHASE) == LP_PENDING && lp_task_set_running(task) != LP_OK)
        return LP_INVALID;
    tell_settled(task, lp_cell_complete(cell, phase));
    return LP_OK;
}
