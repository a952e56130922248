/*
 * worker.h - the loop: take, execute, complete.
 *
 * A worker serves one executor and does not care where it runs: in a thread
 * of the host, in a forked child, in the caller. It touches only what all
 * those can reach: the control part of the executor, slots and cells, the
 * host's arena to read, its own arena to write. What it means to execute is
 * given by its kind.
 */
#ifndef LP_CORE_WORKER_H
#define LP_CORE_WORKER_H

#include "base/alloc.h"
#include "base/progress.h"
#include "base/reason.h"
#include "base/stop.h"
#include "core/group.h"
#include "core/idle.h"
#include "core/levels.h"
#include "core/table.h"
#include "core/tally.h"
#include "core/task.h"
#include "core/trace_events.h"

/* Tasks taken at a time at most. */
#define LP_BATCH 32u

/* How far the executor is from its end. */
typedef enum lp_mode {
    LP_MODE_OPEN = 0,
    LP_MODE_DRAIN = 1, /* end when nothing is queued */
    LP_MODE_STOP = 2,  /* end now */
} lp_mode;

/* How far a worker that may die has come. */
typedef enum lp_stage {
    LP_STAGE_NONE = 0,
    LP_STAGE_STARTING = 1, /* the host has asked for it */
    LP_STAGE_READY = 2,    /* it serves */
    LP_STAGE_ENDED = 3,    /* its loop has ended; plus the lp_end, times 4 */
} lp_stage;

/*
 * What one worker shows to the host and to the other workers. A worker that
 * may die at any moment writes here what it is about to do before it does
 * it, so that core/burial.c can tell what it has left undone.
 */
typedef struct lp_record {
    char apart[64];          /* from the record of the worker before */
    _Atomic uint64_t ended;  /* tasks and items done with */
    _Atomic uint64_t items;  /* claimed of a group, not begun; worker_items.c */
    _Atomic uint64_t wanted; /* what it tries to claim, if it is moving */
    _Atomic uint32_t begun;  /* entries of batch that are no longer there */
    _Atomic uint32_t taken;  /* entries of batch */
    _Atomic uint32_t inbox;  /* list of tasks for this worker: number + 1 */
    _Atomic uint32_t waiting;    /* what of it was taken: oldest first */
    _Atomic uint32_t completing; /* a task is done, and not posted yet */
    _Atomic uint32_t running;    /* the task it claims or runs: number + 1 */
    _Atomic uint32_t moving;     /* what it takes is nowhere for the moment */
    _Atomic uint32_t slept;      /* counted among the sleepers */
    _Atomic uint32_t hoards;     /* counted among those who hoard */
    _Atomic uint32_t stage;      /* lp_stage */
    _Atomic int32_t pid;         /* of the worker's process; 0: the host's */
    _Atomic int32_t thread;      /* as the kernel numbers it; 0: unknown */
    lp_job_words job;          /* what it runs, for whoever wants it stopped */
    _Atomic uint64_t jobs;     /* of items, so far: also of those before it */
    _Atomic uint32_t attempts; /* runs of the job that failed */
    _Atomic int64_t deadline;  /* of the job; 0: none */
    _Atomic int64_t since;     /* the clock when that began, or all ended */
    /* Its stack as text, since somebody asked: a place of its arena. */
    _Atomic uint64_t shown;
    /* The piece in the making: its group + 1 (0: none), its items. */
    _Atomic uint32_t piece_group;
    _Atomic uint32_t piece_generation; /* of that group */
    _Atomic uint32_t piece_first;
    _Atomic uint32_t piece_end; /* of the items that are begun or next */
    lp_progress progress;
    /*
     * If pending tasks are limited: tasks it has claimed, and how many they
     * are with the one that it tries to claim. They differ after a death
     * between the claim and the count.
     */
    _Atomic uint64_t claims;
    _Atomic uint64_t claiming;
    _Atomic uint32_t batch[LP_BATCH]; /* taken from the queue */
} lp_record;

/* What all processes see of an executor and only the host writes. */
typedef struct lp_layout {
    _Atomic uint32_t mode;    /* lp_mode */
    _Atomic uint32_t workers; /* records in use, from 0 */
    uint32_t limited;         /* pending tasks are; immutable */
    uint64_t setup;           /* the kind's: a place of the host's arena */
    uint64_t setup_length;
    lp_chunk_places slots, loads, cells, groups, records, tallies;
    lp_chunk_places task_notes, group_notes;
    lp_levels_layout levels;
} lp_layout;

/* What host and workers write; all zeroes at first. */
typedef struct lp_words {
    lp_queue_words queue;
    lp_idle idle;
    _Atomic uint32_t blocked; /* somebody waits until a task has begun */
    _Atomic uint32_t hoards;  /* workers that have begun less than they took */
    _Atomic uint32_t completed; /* list of cells for the host: number + 1 */
    _Atomic uint32_t deaths;    /* for tests: workers that died as told */
} lp_words;

/* What a trace wants to know of tasks and groups, by their numbers. */
typedef struct lp_notes {
    lp_table tasks;
    lp_table groups;
} lp_notes;

/* An executor as the workers of one process see it; private to the process. */
typedef struct lp_control {
    const lp_allocator *allocator;
    lp_layout *layout;
    lp_words *words;
    lp_levels levels; /* the queue */
    lp_bell *bell;
    lp_arena *parcels;
    lp_table slots;
    lp_table loads;
    lp_table cells;
    lp_table groups;
    lp_table records;
    lp_table tallies; /* one for each record */
    lp_notes *notes;  /* NULL: nothing is traced */
} lp_control;

/* The memory of an executor whose workers are processes; see control.c. */
typedef struct lp_memory_files {
    lp_shm host;  /* the host writes, workers read */
    lp_shm words; /* all write */
} lp_memory_files;

/* 0, LP_NOMEM or LP_SYSTEM. The second takes both descriptors in any case. */
int lp_memory_files_make(lp_memory_files *files);
int lp_memory_files_open(lp_memory_files *files, int host, int words);
void lp_memory_files_clear(lp_memory_files *files);

/*
 * Make a control, all zeroes before: in files that were just made, which are
 * borrowed, or in private memory if files is NULL. After a failure it can be
 * cleared as well. 0, LP_NOMEM.
 */
int lp_control_make(lp_control *control, lp_memory_files *files, lp_bell *bell,
                    const lp_allocator *allocator);

/* View the control that another process has made. */
int lp_control_attach(lp_control *control, lp_memory_files *files,
                      lp_bell *bell, const lp_allocator *allocator);

/* Have notes, after one of the two. 0, or LP_NOMEM. */
int lp_control_trace(lp_control *control, lp_memory_files *files);

void lp_control_clear(lp_control *control, lp_memory_files *files);

/* What a kind is asked to do, and what it gives back. */
typedef struct lp_job {
    const uint8_t *bytes; /* the parcel */
    size_t length;
    const lp_handles *handles;
    uint32_t number; /* of the task */
} lp_job;

typedef struct lp_outcome {
    lp_phase phase;
    const uint8_t *bytes; /* the kind's, until its next job */
    size_t length;
    lp_place place; /* of bytes in the worker's arena, given; 0: elsewhere */
} lp_outcome;

typedef struct lp_items_outcome {
    const uint8_t *bytes;
    size_t length;
    lp_form form;
    lp_place place;  /* of the bytes, behind an lp_piece, given; 0: elsewhere */
    uint32_t failed; /* of the items */
    uint32_t cancelled; /* the same */
} lp_items_outcome;

typedef struct lp_worker_kind {
    /* Run one task. Cannot fail: what goes wrong is in the outcome. */
    void (*execute)(void *self, const lp_job *job, lp_outcome *outcome);
    /*
     * Begin a piece of a group at item first; then run its next items, as
     * many as asked for, any number of times; then end it for the outcome.
     * With progress, results are in the worker's arena behind room for an
     * lp_piece, and progress is kept up to date.
     */
    void (*begin_items)(void *self, const lp_items *items, uint32_t first,
                        lp_progress *progress);
    void (*run_items)(void *self, uint32_t count);
    void (*end_items)(void *self, lp_items_outcome *outcome);
    /* The job that just ended was stopped: be ready for the next. */
    void (*recover)(void *self);
} lp_worker_kind;

typedef struct lp_worker {
    lp_control *control;
    lp_record *record;
    lp_tally *tally;
    lp_arena *outcomes;
    uint32_t arena; /* the number by which the host knows that arena */
    uint32_t number;
    bool limited;    /* it counts its claims */
    bool spare;      /* it ends when nothing is queued */
    bool mortal;     /* it may die and be replaced: a process */
    int32_t pid;     /* of that process; else 0 */
    lp_track *track; /* of the trace; NULL: nothing is traced */
    const lp_worker_kind *kind;
    void *self;       /* the kind's */
    uint64_t left;    /* tasks until it retires; UINT64_MAX: never */
    uint64_t average; /* nanoseconds a task, lately */
    int64_t now;      /* the clock when the last task ended, or it woke */
    bool abandoned;   /* somebody else has ended its job, and taken its place */
} lp_worker;

/* Prepare a worker for control's record number; the caller fills the rest. */
void lp_worker_init(lp_worker *worker, lp_control *control, uint32_t number);

typedef enum lp_end {
    LP_END_DRAINED,   /* nothing is left, and nothing will come */
    LP_END_STOPPED,   /* it was told to stop */
    LP_END_RETIRED,   /* it has run as many tasks as it may */
    LP_END_BROKEN,    /* it could not begin */
    LP_END_LOST,      /* it died */
    LP_END_ABANDONED, /* its place was taken while it was stuck */
} lp_end;

/* Serve until there is a reason to end. */
lp_end lp_worker_run(lp_worker *worker);

/* Serve until nothing is queued, without sleeping: for the serial kind. */
void lp_worker_run_queued(lp_worker *worker);

typedef enum lp_job_end {
    LP_JOB_ENDED,
    LP_JOB_WAS_STOPPED,
    LP_JOB_ABANDONED, /* by the host: nothing of the record is ours any more */
} lp_job_end;

/*
 * Give the host a text that it has asked for: what the worker's own thread
 * runs. A text of before that nobody took is dropped.
 */
void lp_worker_show(void *worker, const char *text, size_t length);

/* Between these two a job can be stopped; for worker.c and worker_items.c. */
void lp_worker_begin_job(lp_worker *worker, uint64_t job, int64_t timeout);
lp_job_end lp_worker_end_job(lp_worker *worker, uint64_t job, int64_t timeout);

/* Items are jobs too: with numbers from here on. */
#define LP_JOB_ITEMS ((uint64_t)1 << 40)
/* The number of an initializer or a finalizer. */
#define LP_JOB_SETUP ((uint64_t)1 << 61)

/* The word of a job that the host has ended. */
#define LP_JOB_GIVEN_UP ((uint64_t)1 << 62)

/*
 * For tests: a debug build that was told to, by LPOOL_TEST_DIE in the
 * environment, dies at the point of that name; one worker for each pool.
 */
#ifdef LP_DEBUG
void lp_worker_point(const lp_worker *worker, const char *name);
#else
static inline void lp_worker_point(const lp_worker *worker, const char *name)
{
    (void)worker;
    (void)name;
}
#endif

/* Put a cell on the list that the host looks at, and ring. */
void lp_control_post(lp_control *control, uint32_t number);

/* A running task goes to phase; whoever waits hears of it. */
void lp_control_complete(lp_control *control, uint32_t number, lp_phase phase);

/* A task has begun or ended: wake those who wait for room in the queue. */
static inline void lp_control_make_room(lp_control *control)
{
    _Atomic uint32_t *blocked = &control->words->blocked;
    if (atomic_load(blocked) && atomic_exchange(blocked, 0))
        lp_bell_ring(control->bell);
}

/* The queue, or a batch, lets go of a task that somebody else ended. */
void lp_control_unqueue(lp_control *control, uint32_t number);

#endif
