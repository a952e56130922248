/*
 * executor.c - accepting work, and the end of it.
 */
#include "core/executor.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hints.h"
#include "base/status.h"
#include "core/executor_private.h"
#include "core/stopping.h"

#include <signal.h>
#include <string.h>

/* So many tasks' waits are measured before only some are. */
#define MEASURED_TASKS 1024u

/* ---- life ---- */

static int take_block(void *owner, size_t size, lp_place *place, void **bytes)
{
    lp_executor *executor = owner;
    lp_arena *parcels = executor->control.parcels;
    lp_lock_enter(&executor->lock);
    int status = lp_arena_alloc(parcels, size, place);
    lp_lock_leave(&executor->lock);
    if (status != LP_OK) return status;
    *bytes = lp_arena_at(parcels, *place);
    lp_executor_retain(executor);
    return LP_OK;
}

static void drop_block(void *owner, lp_place place)
{
    lp_executor *executor = owner;
    lp_lock_enter(&executor->lock);
    lp_arena_drop(executor->control.parcels, place);
    lp_lock_leave(&executor->lock);
    lp_executor_release(executor);
}

/* Queue, tables and arena, private or in files. */
static int open_memory(lp_executor *executor)
{
    lp_memory_files *files = NULL;
    if (executor->is_shared) {
        int status = lp_memory_files_make(&executor->files);
        if (status != LP_OK) return status;
        files = &executor->files;
    }
    return lp_control_make(&executor->control, files, executor->host->bell,
                           executor->host->allocator);
}

int lp_executor_open(const lp_executor_config *config, lp_executor **out)
{
    const lp_allocator *allocator = config->host->allocator;
    lp_executor *executor = lp_calloc(allocator, 1, sizeof(*executor));
    if (!executor) return LP_NOMEM;
    lp_table_init(&executor->tasks, sizeof(lp_task), allocator);
    lp_table_init(&executor->accounts, sizeof(lp_account), allocator);
    lp_table_init(&executor->outcomes, sizeof(lp_outcomes), allocator);
    lp_lock_init(&executor->lock, LP_RANK_EXECUTOR);
    executor->host = config->host;
    executor->kind = config->kind;
    executor->max_workers = config->max_workers;
    executor->max_queue = config->max_queue;
    executor->is_shared = config->is_shared;
    lp_shm_init(&executor->files.host);
    lp_shm_init(&executor->files.words);
    lp_list_init(&executor->blocked);
    executor->most = config->max_workers;
    if (!config->is_shared && !config->kind->run_queued)
        executor->most += LP_SPARES;
    executor->alive = lp_calloc(allocator, executor->most, sizeof(uint8_t));
    executor->arena_of = lp_calloc(allocator, executor->most, sizeof(uint32_t));
    executor->memory =
        (lp_memory){take_block, drop_block, executor, LP_BUFFER_LARGE};
    atomic_init(&executor->owners, 1);
    lp_list_init(&executor->in_host);
    int status = open_memory(executor);
    if (status == LP_OK) status = lp_executor_trace(executor, config->name);
    if (status == LP_OK && (!executor->alive || !executor->arena_of))
        status = LP_NOMEM;
    if (status != LP_OK) {
        lp_executor_free(executor);
        return status;
    }
    executor->control.layout->limited = config->max_queue > 0;
    executor->self = config->self;
    lp_lock_enter(&config->host->lock);
    lp_list_append(&config->host->executors, &executor->in_host);
    lp_lock_leave(&config->host->lock);
    *out = executor;
    return LP_OK;
}

const lp_memory *lp_executor_memory(lp_executor *executor)
{
    return &executor->memory;
}

void lp_executor_retain(lp_executor *executor)
{
    atomic_fetch_add(&executor->owners, 1);
}

void lp_executor_unretain(lp_executor *executor)
{
    atomic_fetch_sub(&executor->owners, 1);
}

void lp_executor_release(lp_executor *executor)
{
    if (!executor) return;
    lp_host *host = executor->host;
    bool serial = lp_executor_is_serial(executor);
    if (serial && atomic_load(&executor->owners) == 1) {
        lp_executor_close(executor, false);
        executor->kind->join(executor->self);
    }
    /* Under the host's lock nobody frees it before it is closed. */
    lp_lock_enter(&host->lock);
    bool last = atomic_fetch_sub(&executor->owners, 1) == 1;
    if (last) lp_executor_close(executor, false);
    lp_lock_leave(&host->lock);
    if (last) lp_host_reap(host);
}

bool lp_executor_is_unused(lp_executor *executor)
{
    if (atomic_load(&executor->owners) != 0) return false;
    lp_lock_enter(&executor->lock);
    bool unused = executor->live == 0 && executor->live_tasks == 0 &&
                  executor->live_groups == 0 && executor->abandoned == 0;
    lp_lock_leave(&executor->lock);
    return unused;
}

void lp_executor_free(lp_executor *executor)
{
    if (executor->self) {
        executor->kind->join(executor->self);
        executor->kind->free(executor->self);
    }
    lp_track_free(executor->track);
    lp_executor_clear_arenas(executor);
    for (uint32_t i = 0; i < executor->accounts.count; i++) {
        lp_account *account = lp_table_at(&executor->accounts, i);
        lp_spans_clear(&account->spans);
        lp_free((char *)account->about.label);
    }
    lp_free(executor->stopping);
    lp_free(executor->arena_of);
    lp_free(executor->alive);
    lp_executor_clear_own_pieces(executor);
    lp_free(executor->free_groups);
    lp_free(executor->broken_text);
    lp_table_clear(&executor->tasks);
    lp_table_clear(&executor->accounts);
    lp_control_clear(&executor->control,
                     executor->is_shared ? &executor->files : NULL);
    lp_memory_files_clear(&executor->files);
    lp_free(executor);
}

const lp_memory_files *lp_executor_files(const lp_executor *executor)
{
    return &executor->files;
}

int lp_executor_keep_setup(lp_executor *executor, const void *bytes,
                           size_t length)
{
    lp_place place;
    lp_layout *layout = executor->control.layout;
    lp_lock_enter(&executor->lock);
    int status = lp_arena_alloc(executor->control.parcels, length, &place);
    if (status == LP_OK) {
        memcpy(lp_arena_at(executor->control.parcels, place), bytes, length);
        layout->setup = place;
        layout->setup_length = length;
    }
    lp_lock_leave(&executor->lock);
    return status;
}

lp_control *lp_executor_control(lp_executor *executor)
{
    return &executor->control;
}

lp_host *lp_executor_host(const lp_executor *executor)
{
    return executor->host;
}

void *lp_executor_self(const lp_executor *executor)
{
    return executor->self;
}

uint32_t lp_executor_max_workers(const lp_executor *executor)
{
    return executor->max_workers;
}

bool lp_executor_is_shared(const lp_executor *executor)
{
    return executor->is_shared;
}

bool lp_executor_is_traced(const lp_executor *executor)
{
    return executor->track != NULL;
}

bool lp_executor_is_serial(const lp_executor *executor)
{
    return executor->kind->run_queued != NULL;
}

/* ---- accepting ---- */

int lp_executor_check_locked(lp_executor *executor)
{
    if (executor->broken) return LP_BROKEN;
    return executor->mode == LP_MODE_OPEN ? LP_OK : LP_CLOSED;
}

int lp_executor_check(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    int status = lp_executor_check_locked(executor);
    lp_lock_leave(&executor->lock);
    return status;
}

uint32_t lp_executor_max_queue(const lp_executor *executor)
{
    return executor->max_queue;
}

/* Tasks that have not begun, and will. */
static uint64_t pending_locked(lp_executor *executor) LP_HOLDS(&executor->lock)
{
    lp_control *control = &executor->control;
    int64_t pending =
        (int64_t)(executor->tasks_accepted - executor->tasks_settled);
    uint32_t workers = atomic_load(&control->layout->workers);
    for (uint32_t i = 0; i < workers; i++) {
        lp_record *record = lp_table_at(&control->records, i);
        pending -= (int64_t)atomic_load(&record->claims);
    }
    return pending > 0 ? (uint64_t)pending : 0;
}

/*
 * Whether one more task may be pending. There is at least as much room as
 * when it was last counted, less what was accepted since.
 */
static bool has_room_locked(lp_executor *executor) LP_HOLDS(&executor->lock)
{
    if (executor->max_queue == 0 || executor->room > 0) return true;
    uint64_t pending = pending_locked(executor);
    if (pending < executor->max_queue)
        executor->room = executor->max_queue - (uint32_t)pending;
    return executor->room > 0;
}

int lp_executor_ask_for_room(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    int status = lp_executor_check_locked(executor);
    if (status == LP_OK && !has_room_locked(executor)) {
        /* Say so, and look again: see count_claim in worker.c. */
        atomic_store(&executor->control.words->blocked, 1);
        if (!has_room_locked(executor)) status = LP_FULL;
    }
    lp_lock_leave(&executor->lock);
    return status;
}

void lp_executor_count_pending_locked(lp_executor *executor)
{
    executor->tasks_accepted++;
    if (executor->room > 0) executor->room--;
}

/* The same, unless the limit forbids it: LP_FULL. */
static int take_room_locked(lp_executor *executor, bool exceeds)
    LP_HOLDS(&executor->lock)
{
    int status = lp_executor_check_locked(executor);
    if (status == LP_OK && !exceeds && !has_room_locked(executor))
        status = LP_FULL;
    if (status == LP_OK) lp_executor_count_pending_locked(executor);
    return status;
}

/* The task was not accepted after all. */
static void return_room_locked(lp_executor *executor) LP_HOLDS(&executor->lock)
{
    executor->tasks_accepted--;
    lp_control_make_room(&executor->control);
}

/* Move the parcel's handles to *handles, for a slot. */
static int take_handles(const lp_executor *executor, lp_handles **handles,
                        lp_buffer *parcel)
{
    *handles = NULL;
    if (parcel->handle_count == 0) return LP_OK;
    lp_handles *taken = lp_alloc(executor->host->allocator, sizeof(*taken));
    if (!taken) return LP_NOMEM;
    taken->next = NULL;
    taken->items = parcel->handles;
    taken->count = parcel->handle_count;
    parcel->handles = NULL;
    parcel->handle_count = parcel->handle_capacity = 0;
    *handles = taken;
    return LP_OK;
}

/* A second reference to each of the parcel's handles, for one more slot. */
static int copy_handles(const lp_executor *executor, lp_handles **handles,
                        const lp_buffer *parcel)
{
    lp_buffer copy;
    lp_buffer_init(&copy, executor->host->allocator);
    int status = LP_OK;
    for (size_t i = 0; i < parcel->handle_count && status == LP_OK; i++)
        status = lp_buffer_add_handle(&copy, parcel->handles[i]);
    if (status == LP_OK) status = take_handles(executor, handles, &copy);
    lp_buffer_clear(&copy);
    return status;
}

/* Make what only some tasks have. */
static LP_APART int make_extras(const lp_executor *executor,
                                const lp_task_about *about,
                                lp_task_extras **extras)
{
    size_t size = about->label ? strlen(about->label) + 1 : 0;
    lp_task_extras *made =
        lp_alloc(executor->host->allocator, sizeof(*made) + size);
    if (!made) return LP_NOMEM;
    made->priority = about->priority;
    made->label = NULL;
    if (about->label) made->label = memcpy(made + 1, about->label, size);
    *extras = made;
    return LP_OK;
}

static int64_t priority_of(const lp_task *task)
{
    return task->extras ? task->extras->priority : 0;
}

/*
 * A task with its parcel in place, not yet to be found by anybody. A parcel
 * whose bytes are at adopted already stays there.
 */
static inline int make_task_locked(lp_executor *executor,
                                   const lp_buffer *parcel, lp_place adopted,
                                   const lp_task_about *about, lp_task **made)
    LP_HOLDS(&executor->lock)
{
    lp_place place = adopted;
    lp_control *control = &executor->control;
    lp_task_extras *extras = NULL;
    int status = LP_OK;
    if (about->label || about->priority != 0)
        status = make_extras(executor, about, &extras);
    if (status == LP_OK && parcel->length > LP_SLOT_INLINE && !adopted)
        status = lp_arena_alloc(control->parcels, parcel->length, &place);
    if (status == LP_OK) {
        status = lp_task_new_locked(executor, made);
        if (status != LP_OK && !adopted) lp_arena_drop(control->parcels, place);
    }
    if (status != LP_OK) {
        lp_free(extras);
        return status;
    }
    lp_task *new = *made;
    new->origin = about->origin;
    new->extras = extras;
    lp_slot *slot = new->slot;
    slot->length = parcel->length;
    slot->timeout = about->timeout;
    slot->retries = about->retries;
    if (parcel->length > LP_SLOT_INLINE) {
        slot->at.parcel = place;
    } else {
        memcpy(slot->at.bytes, parcel->bytes, parcel->length);
    }
    if (executor->track) lp_executor_note_task(executor, new, about);
    return LP_OK;
}

/* Put a task into the inbox of the worker that it is sent to. */
void lp_executor_send_locked(lp_executor *executor, lp_task *task)
{
    lp_record *record = lp_table_at(&executor->control.records, task->sent - 1);
    lp_cell *cell = task->cell;
    uint32_t first = atomic_load(&record->inbox);
    do {
        atomic_store(&cell->next, first);
    } while (!atomic_compare_exchange_weak(&record->inbox, &first,
                                           task->number + 1));
}

int lp_executor_requeue_locked(lp_executor *executor, lp_task *task)
{
    lp_levels *levels = &executor->control.levels;
    int status = lp_levels_put(levels, priority_of(task), task->number);
    /* The levels may be others' by now: then it waits among the first. */
    if (status != LP_OK) status = lp_levels_put(levels, 0, task->number);
    return status;
}

/*
 * Whether the task's wait is measured: that of each of the first, and of a
 * sixteenth of the others, evenly spread, since the clock is not free.
 */
static bool is_measured(const lp_executor *executor, const lp_task *task)
{
    return executor->accepted < MEASURED_TASKS ||
           lp_task_serial(task) * 2654435761u < UINT32_MAX / 16;
}

/* The task is complete: queue it, or send it to one worker. */
static inline int accept_locked(lp_executor *executor, lp_task *task)
    LP_HOLDS(&executor->lock)
{
    lp_control *control = &executor->control;
    lp_cell *cell = task->cell;
    if (is_measured(executor, task)) cell->at.submitted_at = lp_clock_now();
    /* Release: whoever claims the cell sees the slot. */
    atomic_store_explicit(&cell->state, LP_PENDING | LP_QUEUED,
                          memory_order_release);
    if (task->sent) {
        executor->sent++;
        lp_executor_send_locked(executor, task);
    } else {
        int status =
            lp_levels_put(&control->levels, priority_of(task), task->number);
        if (status != LP_OK) {
            atomic_store(&cell->state, LP_CANCELLED);
            return status;
        }
    }
    executor->accepted++;
    lp_executor_limit_locked(executor, task->slot->timeout);
    return LP_OK;
}

int lp_executor_submit(lp_executor *executor, lp_buffer *parcel,
                       const lp_task_about *about, lp_task **task)
{
    lp_control *control = &executor->control;
    lp_handles *handles;
    lp_task *made = NULL;
    if (take_handles(executor, &handles, parcel) != LP_OK) return LP_NOMEM;

    lp_lock_enter(&executor->lock);
    lp_place adopted = parcel->memory == &executor->memory ? parcel->place : 0;
    int status = take_room_locked(executor, about->exceeds);
    if (status == LP_OK) {
        status = make_task_locked(executor, parcel, adopted, about, &made);
        if (status != LP_OK) return_room_locked(executor);
    }
    if (status != LP_OK) {
        lp_lock_leave(&executor->lock);
        lp_handles_drop(handles);
        return status;
    }
    made->slot->handles = handles;
    if (adopted) {
        (void)lp_buffer_take_place(parcel); /* it is the slot's now */
    } else if (parcel->length > LP_SLOT_INLINE) {
        /* Copy without the lock; the task is not to be found yet. */
        void *bytes = lp_arena_at(control->parcels, made->slot->at.parcel);
        lp_lock_leave(&executor->lock);
        memcpy(bytes, parcel->bytes, parcel->length);
        lp_lock_enter(&executor->lock);
        status = lp_executor_check_locked(executor);
    }
    if (status == LP_OK && lp_executor_may_grow_locked(executor)) {
        executor->accepted++; /* as if it were queued already */
        status = lp_executor_start_needed_locked(executor, true);
        executor->accepted--;
    }
    if (status == LP_OK) status = accept_locked(executor, made);
    if (status == LP_CORRUPT) status = lp_executor_damaged_locked(executor);
    if (status != LP_OK) return_room_locked(executor);
    lp_lock_leave(&executor->lock);
    if (adopted) lp_executor_release(executor); /* as the buffer's owner */

    if (status != LP_OK) {
        lp_task_release(made);
        return status;
    }
    *task = made;
    if (executor->kind->run_queued) {
        executor->kind->run_queued(executor->self);
    } else {
        lp_idle_wake_one(&control->words->idle);
    }
    return LP_OK;
}

int lp_executor_broadcast(lp_executor *executor, lp_buffer *parcel,
                          const lp_task_about *about, lp_task **tasks,
                          uint32_t *count)
{
    lp_control *control = &executor->control;
    *count = 0;
    lp_lock_enter(&executor->lock);
    int status = lp_executor_check_locked(executor);
    for (uint32_t i = 0; i < executor->max_workers && status == LP_OK; i++) {
        lp_handles *handles = NULL;
        lp_task *made;
        if (!executor->alive[i]) { /* which may break the executor */
            status = lp_executor_start_locked(executor, i);
            if (status == LP_OK) status = lp_executor_check_locked(executor);
        }
        if (status == LP_OK) status = copy_handles(executor, &handles, parcel);
        if (status == LP_OK)
            status = make_task_locked(executor, parcel, 0, about, &made);
        if (status != LP_OK) {
            lp_handles_drop(handles);
            break;
        }
        made->slot->handles = handles;
        if (parcel->length > LP_SLOT_INLINE)
            memcpy(lp_arena_at(control->parcels, made->slot->at.parcel),
                   parcel->bytes, parcel->length);
        made->sent = (uint16_t)(i + 1);
        lp_executor_count_pending_locked(executor);
        (void)accept_locked(executor, made); /* cannot fail */
        tasks[i] = made;
        *count = i + 1;
    }
    lp_lock_leave(&executor->lock);
    if (*count == 0) return status;
    if (executor->kind->run_queued) {
        executor->kind->run_queued(executor->self);
    } else {
        lp_idle_wake_all(&control->words->idle);
    }
    return status;
}

/* ---- the end ---- */

void lp_executor_settle_locked(lp_executor *executor, lp_phase phase,
                               uint64_t count)
{
    executor->settled += count;
    if (phase == LP_CANCELLED) {
        executor->cancelled += count;
    } else {
        executor->failed += count;
    }
}

static void cancel_pending_locked(lp_executor *executor, lp_phase phase)
    LP_HOLDS(&executor->lock)
{
    for (uint32_t i = 0; i < executor->tasks.count; i++) {
        lp_task *task = lp_table_at(&executor->tasks, i);
        if (task->live) lp_task_settle_locked(task, phase);
    }
    lp_executor_cancel_groups_locked(executor);
}

static void set_mode_locked(lp_executor *executor, lp_mode mode)
    LP_HOLDS(&executor->lock)
{
    lp_control *control = &executor->control;
    if (executor->mode < mode) {
        executor->mode = mode;
        atomic_store(&control->layout->mode, mode);
    }
    if (executor->live == 0 && mode == LP_MODE_STOP)
        lp_executor_empty_queue_locked(executor);
    lp_idle_wake_all(&control->words->idle);
    lp_control_make_room(control); /* whoever waits for it will not get it */
}

void lp_executor_close(lp_executor *executor, bool cancel)
{
    lp_lock_enter(&executor->lock);
    if (cancel) cancel_pending_locked(executor, LP_CANCELLED);
    set_mode_locked(executor, LP_MODE_DRAIN);
    lp_lock_leave(&executor->lock);
}

void lp_executor_cancel_pending(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    cancel_pending_locked(executor, LP_CANCELLED);
    lp_lock_leave(&executor->lock);
}

void lp_executor_stop(lp_executor *executor, int signal)
{
    lp_lock_enter(&executor->lock);
    cancel_pending_locked(executor, LP_CANCELLED);
    set_mode_locked(executor, LP_MODE_STOP);
    lp_lock_leave(&executor->lock);
    if (executor->kind->kill) {
        executor->kind->kill(executor->self, signal);
    } else {
        lp_executor_interrupt(executor);
    }
}

void lp_executor_break_locked(lp_executor *executor, const char *text)
{
    if (executor->broken) return;
    executor->broken_text = lp_alloc_text(executor->host->allocator, text);
    executor->broken =
        executor->broken_text ? executor->broken_text : "not enough memory";
    cancel_pending_locked(executor, LP_LOST);
    set_mode_locked(executor, LP_MODE_STOP);
}

int lp_executor_damaged_locked(lp_executor *executor)
{
    lp_executor_break_locked(
        executor, "a worker has written over what it shares with the others, "
                  "the pool is not usable any more");
    executor->kind->kill(executor->self, SIGKILL);
    return LP_BROKEN;
}

void lp_executor_break(lp_executor *executor, const char *text)
{
    lp_lock_enter(&executor->lock);
    lp_executor_break_locked(executor, text);
    lp_lock_leave(&executor->lock);
}

void lp_executor_break_abruptly(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    if (!executor->broken) {
        executor->abrupt = true;
        lp_executor_break_locked(
            executor, "A process in the process pool was terminated abruptly "
                      "while the future was running or pending.");
    }
    lp_lock_leave(&executor->lock);
    executor->kind->kill(executor->self, SIGTERM);
}

bool lp_executor_broke_abruptly(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    bool abrupt = executor->abrupt;
    lp_lock_leave(&executor->lock);
    return abrupt;
}

const char *lp_executor_broken(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    const char *text = executor->broken; /* never changes once set */
    lp_lock_leave(&executor->lock);
    return text;
}
