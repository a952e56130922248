/*
 * executor_private.h - the executor's struct, for the files of core that
 * share it.
 */
#ifndef LP_CORE_EXECUTOR_PRIVATE_H
#define LP_CORE_EXECUTOR_PRIVATE_H

#include "core/burial.h"
#include "core/executor.h"
#include "core/spans.h"

/* What only the host knows of a group. */
typedef struct lp_account {
    _Atomic uint32_t accounted; /* items that ended, as far as is known */
    uint32_t orphan;            /* the executor's list: number + 1 */
    uint32_t damaged;           /* its pieces make no sense */
    lp_spans spans;             /* which items; for processes */
    lp_group_about about;       /* the label is owned */
} lp_account;

/* An arena of outcomes; outlives the workers who wrote it. */
typedef struct lp_outcomes {
    lp_arena *arena; /* NULL: the number is free */
    lp_shm file;     /* of a process */
    uint32_t pieces; /* blocks that consumers of maps have */
    uint32_t blocks; /* that are still to be read; counted once it is retired */
    bool retired;    /* its writer died: it goes when nothing is to be read */
    uint32_t next;   /* in the list of free numbers: number + 1 */
} lp_outcomes;

/* A job that is told to end. */
typedef struct lp_stopping {
    uint64_t job; /* 0: none */
    lp_cause cause;
    int64_t since;
    int64_t again; /* when to do more about it */
} lp_stopping;

/* Workers that may be started besides while others wait for tasks. */
#define LP_SPARES 128u

struct lp_executor {
    lp_control control;
    lp_memory_files files; /* if its workers are processes */
    bool is_shared;        /* they are; immutable, as the next six */

    lp_host *host;
    const lp_executor_kind *kind;
    void *self;
    uint32_t max_workers;
    lp_track *track; /* of what workers do not trace; NULL: nothing is traced */
    lp_memory memory;

    lp_list in_host; /* guarded by the host's lock */
    _Atomic uint32_t owners;

    lp_lock lock; /* guards all below */
    lp_mode mode; /* the truth; workers see a copy */
    lp_table tasks;
    lp_task *free_task; /* linked through next_free */
    uint32_t live_tasks;
    uint32_t serial;       /* of the latest task; */
    uint32_t serial_end;   /* up to here the numbers are ours to give */
    lp_table accounts;     /* of groups */
    uint32_t *free_groups; /* a stack of numbers */
    uint32_t free_group_count;
    uint32_t free_group_room;
    uint32_t live_groups;
    struct lp_own_piece *own_pieces; /* that the host has made */
    uint32_t orphan;                 /* groups to free when done: number + 1 */
    uint64_t accepted;               /* tasks and items */
    uint64_t settled;                /* of these, ended without a worker */
    uint64_t cancelled; /* by the host; the rest is in the tallies */
    uint64_t failed;    /* since the executor broke, or by a time limit */
    uint64_t lost;      /* with their workers */
    /* For a limit of pending tasks; without workers' claims: */
    uint32_t max_queue; /* 0: none; immutable */
    uint32_t room;      /* this many more are known to fit */
    uint64_t tasks_accepted;
    uint64_t tasks_settled; /* of these, ended before they began */
    uint32_t sent;   /* tasks for one worker alone, that have not ended */
    lp_list blocked; /* workers that wait, and for what: lp_blocked */
    uint32_t blocked_count;
    uint64_t block_changes; /* of that list, so far */
    uint32_t most;  /* numbers for workers, spare ones included; immutable */
    uint32_t live;  /* workers */
    uint8_t *alive; /* of max_workers flags */
    uint32_t *arena_of; /* of max_workers: numbers of outcomes; 0: none yet */
    lp_table outcomes;  /* by the numbers of cells and addresses, from 1 */
    uint32_t free_outcomes;
    lp_handles *dropped; /* to be released without a lock */
    const char *broken;  /* why; NULL if it is not */
    char *broken_text;   /* the same, owned; NULL: there was no memory for it */
    bool abrupt;         /* a worker's death broke it */

    /* See stopping.c. */
    lp_stopping *stopping; /* of max_workers; NULL before the first */
    int64_t shortest;      /* limit of the tasks that were accepted; 0: none */
    bool watched;          /* the supervisor looks at it */
    uint32_t abandoned;    /* threads that are stuck, and replaced */
    uint32_t round;        /* of the supervisor's looks; the host's lock */
};

/*
 * The host has made a piece at this place of its arena: what no worker can
 * say of another place. 0 or LP_NOMEM.
 */
int lp_executor_own_piece_locked(lp_executor *executor, lp_place place)
    LP_HOLDS(&executor->lock);

/* Forget all of them; the executor goes. */
void lp_executor_clear_own_pieces(lp_executor *executor);

/* The account of a group's number that workers wrote; NULL: there is none. */
const lp_account *lp_executor_account_of(lp_executor *executor,
                                         uint32_t number);

/* Cut the task off the last future: true if it is to be freed now. */
bool lp_task_abandon(lp_task *task);

/* End a pending task without a worker; under the executor's lock. */
void lp_task_settle_locked(lp_task *task, lp_phase phase) LP_UNCHECKED;

/* The outcome, the parcel and the number are free again. */
void lp_task_free(lp_task *task);

/* A task with one reference. 0 or LP_NOMEM. */
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

/* It may have one more worker than it has. */
bool lp_executor_may_grow_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/*
 * Have as many workers as the work asks for and the executor may have; one
 * at least if there is some work.
 */
int lp_executor_start_needed_locked(lp_executor *executor, bool some)
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

/* Take the pieces of a group whose owner has gone, and drop them. */
void lp_executor_discard_pieces_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock);

/* How many pieces that nobody has taken lie in an arena. */
uint32_t lp_executor_count_pieces_locked(lp_executor *executor, uint32_t arena)
    LP_HOLDS(&executor->lock);

/* Whether a piece that nobody has taken has an item; or it was accounted. */
bool lp_executor_piece_has_locked(lp_executor *executor, uint32_t number,
                                  uint32_t item) LP_HOLDS(&executor->lock);
bool lp_executor_accounted_locked(lp_executor *executor, uint32_t number,
                                  uint32_t item) LP_HOLDS(&executor->lock);

/* What a worker wrote about the group makes no sense: no more of it. */
void lp_executor_damage_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock);

/* Count items of a group that ended without a piece. */
void lp_executor_account_locked(lp_executor *executor, uint32_t number,
                                uint32_t first, uint32_t count)
    LP_HOLDS(&executor->lock);

/*
 * So many tasks or items ended without a worker: as cancelled, or as failed,
 * since the executor broke.
 */
void lp_executor_settle_locked(lp_executor *executor, lp_phase phase,
                               uint64_t count) LP_HOLDS(&executor->lock);

/* Tasks and items that were accepted and have not ended. */
uint64_t lp_executor_outstanding_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/* One task more is pending, whether there is room or not. */
void lp_executor_count_pending_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/* Queue a pending task again that a worker had taken. 0, or LP_NOMEM. */
int lp_executor_requeue_locked(lp_executor *executor, lp_task *task)
    LP_HOLDS(&executor->lock);

/* Put a task into the inbox of the worker that it is sent to. */
void lp_executor_send_locked(lp_executor *executor, lp_task *task)
    LP_HOLDS(&executor->lock);

/* A task with a limit, in nanoseconds, was accepted; 0 is none. */
void lp_executor_limit_locked(lp_executor *executor, int64_t timeout)
    LP_HOLDS(&executor->lock);

/* Something was accepted and has not ended. */
bool lp_executor_is_busy_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/* Notice what the workers of one executor have posted. */
void lp_host_collect_from(lp_executor *executor);

/* The task of a number that workers wrote; NULL if there is none. */
lp_task *lp_executor_task(lp_executor *executor, uint32_t number);

/* The task that a worker says it claims or runs; NULL: none. */
lp_task *lp_executor_announced(lp_executor *executor, uint32_t worker);

/* Have an arena for worker number, which is about to start. */
int lp_executor_use_arena_locked(lp_executor *executor, uint32_t worker)
    LP_HOLDS(&executor->lock);

/* The writer of an arena has died: it goes when all is read. */
void lp_executor_retire_arena_locked(lp_executor *executor, uint32_t worker)
    LP_HOLDS(&executor->lock);

/* The thread that held a retired arena has come back. */
void lp_executor_unhold_arena_locked(lp_executor *executor, uint32_t arena)
    LP_HOLDS(&executor->lock);

/* The arena of a number that a worker wrote; NULL if there is none. */
lp_outcomes *lp_executor_outcomes(lp_executor *executor, uint32_t arena);

/* Close all memory files; what lies in them stays readable. */
void lp_executor_close_files_locked(lp_executor *executor)
    LP_HOLDS(&executor->lock);

/* Free all arenas. */
void lp_executor_clear_arenas(lp_executor *executor);

/* Give a block of a worker's outcomes back, that the host has read. */
void lp_executor_drop_outcome_locked(lp_executor *executor, uint32_t arena,
                                     lp_place place) LP_HOLDS(&executor->lock);

/* A worker has written nonsense into the queue. Gives LP_BROKEN. */
int lp_executor_damaged_locked(lp_executor *executor) LP_HOLDS(&executor->lock);

/* See lp_executor_break. */
void lp_executor_break_locked(lp_executor *executor, const char *text)
    LP_HOLDS(&executor->lock);

/* ---- for a trace: executor_trace.c ---- */

/* Trace all that is to come, if the host is traced. 0, LP_NOMEM. */
int lp_executor_trace(lp_executor *executor, const char *name);

/* It is about to be queued; the executor is traced. */
void lp_executor_note_task(lp_executor *executor, const lp_task *task,
                           const lp_task_about *about);
void lp_executor_note_group(lp_executor *executor, uint32_t number,
                            const lp_group_about *about);

/*
 * A task, or items, ended in this way before they began. As for those below:
 * the executor need not be traced.
 */
void lp_executor_trace_unbegun_locked(lp_executor *executor, uint32_t task,
                                      lp_phase phase) LP_HOLDS(&executor->lock);
void lp_executor_trace_unbegun_items_locked(lp_executor *executor,
                                            uint32_t group, uint32_t first,
                                            uint32_t count)
    LP_HOLDS(&executor->lock);

/*
 * A task was lost with this worker; so were items, or, if there is no reason,
 * it had made their results. Before its record is used again.
 */
void lp_executor_trace_lost_locked(lp_executor *executor, uint32_t worker,
                                   const lp_death *death, uint32_t task,
                                   const lp_reason *reason)
    LP_HOLDS(&executor->lock);
void lp_executor_trace_left_items_locked(lp_executor *executor, uint32_t worker,
                                         const lp_death *death, uint32_t group,
                                         uint32_t first, uint32_t count,
                                         const lp_reason *reason)
    LP_HOLDS(&executor->lock);

/* Its worker has died; no lock is held. */
void lp_executor_trace_death(lp_executor *executor, const lp_death *death);

/* Closed, all workers ended, and nothing refers to it. */
bool lp_executor_is_unused(lp_executor *executor);
void lp_executor_free(lp_executor *executor);

#endif
