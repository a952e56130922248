/*
 * executor_private.h - the executor's struct, for the files of core that
 * share it: executor.c, task.c, host.c.
 */
#ifndef LP_CORE_EXECUTOR_PRIVATE_H
#define LP_CORE_EXECUTOR_PRIVATE_H

#include "core/executor.h"

struct lp_executor {
    lp_control control;

    lp_host *host; /* immutable, as the next four */
    const lp_executor_kind *kind;
    void *self;
    uint32_t max_workers;
    lp_memory memory;

    lp_list in_host; /* guarded by the host's lock */
    _Atomic uint32_t owners;

    lp_lock lock; /* guards all below */
    lp_table tasks;
    uint32_t free_task; /* number + 1, linked through line */
    uint32_t live_tasks;
    uint32_t *free_groups; /* a stack of numbers */
    uint32_t free_group_count;
    uint32_t free_group_room;
    uint32_t live_groups;
    uint32_t orphan;     /* groups to free when done: number + 1 */
    uint64_t accepted;   /* tasks and items */
    uint64_t settled;    /* of these, ended without a worker */
    uint32_t live;       /* workers */
    uint8_t *alive;      /* of max_workers flags */
    lp_arena **arenas;   /* of max_workers; NULL until used */
    lp_handles *dropped; /* to be released without a lock */
    char *broken;        /* why; NULL if it is not */
};

/* Cut the task off the last future: true if it is to be freed now. */
bool lp_task_abandon(lp_task *task);

/* End a pending task without a worker; under the executor's lock. */
void lp_task_settle_locked(lp_task *task, lp_phase phase);

/* The outcome, the parcel and the number are free again. */
void lp_task_free(lp_task *task);

/* Take a task's number; under the lock. */
int lp_task_new_locked(lp_executor *executor, lp_task **task)
    LP_HOLDS(&executor->lock);

/* 0 if it takes work, LP_CLOSED or LP_BROKEN. */
int lp_executor_check_locked(lp_executor *executor) LP_HOLDS(&executor->lock);

/* Start worker number, which is not alive. */
int lp_executor_start_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock);

/* No worker will come for what is queued: the queue lets go of it. */
void lp_executor_empty_queue_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/* Have as many workers as the work asks for and the executor may have. */
int lp_executor_start_needed_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/*
 * Free the groups whose owner has gone and that are done by now. Gives the
 * handles of groups, which the caller drops once he holds no lock.
 */
lp_handles *lp_executor_sweep_groups_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/* The same for whoever holds the host's lock alone. */
lp_handles *lp_executor_sweep(lp_executor *executor);

/* Cancel what no worker has claimed of any group. */
void lp_executor_cancel_groups_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/* See lp_executor_break. */
void lp_executor_break_locked(lp_executor *executor, const char *text)
    LP_HOLDS(&executor->lock);

/* Closed, all workers ended, and nothing refers to it. */
bool lp_executor_is_unused(lp_executor *executor);
void lp_executor_free(lp_executor *executor);

#endif
