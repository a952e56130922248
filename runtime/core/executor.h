/*
 * executor.h - a queue and the workers that serve it.
 *
 * Any thread of the host may call any function. An executor lives until its
 * owners have released it, its workers have ended and its tasks are freed.
 */
#ifndef LP_CORE_EXECUTOR_H
#define LP_CORE_EXECUTOR_H

#include "base/buffer.h"
#include "core/host.h"
#include "core/worker.h"

#include <assert.h>

typedef struct lp_executor lp_executor;

/* What only some tasks have. */
typedef struct lp_task_extras {
    int64_t priority;
    const char *label; /* behind this struct; NULL if it has none */
} lp_task_extras;

/* The host's part of a task, which futures refer to. */
typedef struct lp_task {
    lp_executor *executor; /* immutable, as the next two and the number */
    lp_slot *slot;
    lp_cell *cell;
    lp_list mails;               /* guarded by the host's waiters lock */
    _Atomic uint32_t references; /* futures and mails */
    uint32_t number;             /* of its slot and cell */
    union {
        const char *origin;        /* as lp_task_about says */
        struct lp_task *next_free; /* if it is not live */
    };
    lp_task_extras *extras; /* owned; NULL if it has none */
    uint16_t sent;          /* to this worker alone: number + 1 */
    uint8_t manual;         /* immutable: a future without a worker */
    uint8_t live;           /* 0: its number is free; executor's lock */
    _Atomic uint8_t posted; /* the cell will come to the list; waiters lock */
    _Atomic uint8_t dead;   /* the post that comes frees it */
    _Atomic uint8_t seen;   /* somebody looked at how it ended */
    uint8_t ending;         /* in the host's list of ended; host's lock */
} lp_task;

static_assert(sizeof(void *) > 8 || sizeof(lp_task) <= 72,
              "a million of them are not to grow by accident");

/* Its number for people. */
static inline uint32_t lp_task_serial(const lp_task *task)
{
    return task->slot->serial;
}

static inline const char *lp_task_label(const lp_task *task)
{
    return task->extras ? task->extras->label : NULL;
}

/* How an executor's workers come to life; one for each kind. */
typedef struct lp_executor_kind {
    /*
     * Start worker number; called under the executor's lock. It must call
     * lp_executor_worker_ended when its loop has ended. 0 or an error.
     */
    int (*start)(void *self, uint32_t number);
    /* Wait for what start began and ended since; no lock is held. */
    void (*join)(void *self);
    /* Make the workers end now; NULL: they end after what they run. */
    void (*kill)(void *self, int signal);
    /*
     * Send worker number the signal of base/stop.h; NULL: it cannot be
     * stopped. Under the executor's lock, as the next.
     */
    void (*stop)(void *self, uint32_t number);
    /* Worker number is stuck: kill the process, or let the thread be. */
    void (*abandon)(void *self, uint32_t number);
    /* Run what is queued in the calling thread instead; NULL: by workers. */
    void (*run_queued)(void *self);
    /* All workers have ended and nothing refers to the executor. */
    void (*free)(void *self);
} lp_executor_kind;

typedef struct lp_executor_config {
    lp_host *host;
    const lp_executor_kind *kind;
    void *self; /* the kind's; the executor takes it */
    uint32_t max_workers;
    uint32_t max_queue; /* most pending tasks; 0: any number */
    bool is_shared;     /* its workers are other processes */
    const char *name;   /* for a trace; borrowed; NULL: it is never traced */
} lp_executor_config;

/*
 * A new executor with one owner. 0, or LP_NOMEM: self is still the caller's.
 */
int lp_executor_open(const lp_executor_config *config, lp_executor **executor);

void lp_executor_retain(lp_executor *executor);

/* Undo a retain, by whoever has the executor's lock; not the last owner. */
void lp_executor_unretain(lp_executor *executor);

/* The last owner's release means: finish what is queued, then end. */
void lp_executor_release(lp_executor *executor);

lp_control *lp_executor_control(lp_executor *executor);
lp_host *lp_executor_host(const lp_executor *executor);
void *lp_executor_self(const lp_executor *executor);

/* Whether its tasks are traced; and on which track those of a thread. */
bool lp_executor_is_traced(const lp_executor *executor);
lp_track_id lp_executor_track_id(const lp_executor *executor, uint32_t worker);

/* Arena number 0 is the host's own. */
#define LP_HOST_ARENA 0u

/* The number of the arena for the outcomes of a worker; it is starting. */
uint32_t lp_executor_worker_arena(lp_executor *executor, uint32_t worker);

/* An arena, and the file that it is in; its writer is alive. */
lp_arena *lp_executor_arena(lp_executor *executor, uint32_t number);
const lp_shm *lp_executor_arena_file(lp_executor *executor, uint32_t number);

/*
 * Put bytes into the arena that its workers read, and drop them. 0, or
 * LP_NOMEM.
 */
int lp_executor_put(lp_executor *executor, const void *bytes, size_t length,
                    lp_place *place);
void lp_executor_drop(lp_executor *executor, lp_place place);

/* The memory files of an executor whose workers are processes. */
const lp_memory_files *lp_executor_files(const lp_executor *executor);

/* Keep bytes for the workers to read: see lp_layout's setup. 0, LP_NOMEM. */
int lp_executor_keep_setup(lp_executor *executor, const void *bytes,
                           size_t length);

/*
 * The host's arena as a memory for buffers whose bytes will be submitted. A
 * block that was taken keeps the executor alive until it is given back or
 * submitted.
 */
const lp_memory *lp_executor_memory(lp_executor *executor);

/* What people want to know of a task. */
typedef struct lp_task_about {
    const char *origin; /* "file:line" of its submit, which lives as long as
                           the host; NULL: unknown */
    const char *label;  /* copied; NULL if it has none */
    int64_t timeout;    /* nanoseconds from its start; 0: none */
    uint32_t retries;   /* after errors and deaths */
    int64_t priority;   /* higher ones first */
    bool exceeds;       /* the limit of pending tasks does not hold for it */
} lp_task_about;

uint32_t lp_executor_max_workers(const lp_executor *executor);

/* Its workers are processes of their own. */
bool lp_executor_is_shared(const lp_executor *executor);

/* Its tasks run in the thread that submits them. */
bool lp_executor_is_serial(const lp_executor *executor);

/*
 * Accept a task: the parcel is copied, or taken if it lies in the executor's
 * memory; its handles are taken, after a failure too. Gives a task
 * with one reference. 0, LP_CLOSED, LP_BROKEN, LP_FULL, LP_CROWDED (by
 * priorities), LP_NOMEM, or LP_SYSTEM if there is no worker and none can be
 * started.
 */
int lp_executor_submit(lp_executor *executor, lp_buffer *parcel,
                       const lp_task_about *about, lp_task **task);

/*
 * The same for each of all max_workers, started if they are not: tasks has
 * room for that many.
 */
int lp_executor_broadcast(lp_executor *executor, lp_buffer *parcel,
                          const lp_task_about *about, lp_task **tasks,
                          uint32_t *count);

/*
 * 0, LP_CLOSED, LP_BROKEN; or LP_FULL: the host's bell rings when that may
 * have changed.
 */
int lp_executor_ask_for_room(lp_executor *executor);

/* The most pending tasks; 0: any number. */
uint32_t lp_executor_max_queue(const lp_executor *executor);

/* A task that no worker runs: it is the host's to complete. */
int lp_executor_make_manual(lp_executor *executor, lp_task **task);
int lp_task_set_running(lp_task *task);
int lp_task_settle(lp_task *task, lp_phase phase);

/*
 * Whether all that somebody waits for is still to come: visit is called with
 * each executor that some of it comes from, and says false if it has seen
 * enough of them. False: something has come, or it cannot be told. Called
 * by any thread, under the lock of one executor.
 */
typedef bool lp_visit(void *walk, lp_executor *executor);
typedef bool lp_outlook(void *what, lp_visit *visit, void *walk);

/* A worker's thread that waits, on its own stack. */
typedef struct lp_blocked {
    lp_list in_executor;
    /*
     * What it waits for without a limit: a task, or room, or any of several
     * things, or (NULL) something else.
     */
    const lp_task *task;
    lp_executor *room;
    lp_outlook *outlook;
    void *what;         /* for outlook */
    uint32_t worker;    /* its number, for people */
    uint32_t waits_for; /* the number of a task of any executor; 0: no task */
} lp_blocked;

/*
 * A worker of the executor, a thread, is about to wait: another may take its
 * place meanwhile. 0; or LP_DEADLOCK, and it must not wait: all workers, and
 * those of the executors that they wait for, wait for each other.
 */
int lp_executor_block(lp_executor *executor, lp_blocked *blocked);
void lp_executor_unblock(lp_executor *executor, lp_blocked *blocked);

/* 0 if open, else LP_CLOSED or LP_BROKEN. */
int lp_executor_check(lp_executor *executor);

/* What people want to know of a group. */
typedef struct lp_group_about {
    const char *origin; /* of its map; lives as long as the host */
    const char *label;  /* of the map; copied; NULL if it has none */
    uint64_t base;      /* how many items of the map come before its first */
} lp_group_about;

/* What a group holds in the host's arena; copied. */
typedef struct lp_group_content {
    const uint64_t *index;
    size_t index_count;
    const uint8_t *items;
    size_t items_length;
    const uint8_t *head;
    size_t head_length;
} lp_group_content;

/*
 * A group of a map. Its owner makes it, fills it, sets its other fields, and
 * queues it with so many items; then takes its pieces; and drops it, at any
 * time: what has not begun is cancelled then, or runs for nobody. 0, LP_CLOSED,
 * LP_BROKEN, LP_CROWDED, LP_SYSTEM or LP_NOMEM; after a failure the owner only
 * has to drop it.
 */
int lp_executor_new_group(lp_executor *executor, const lp_group_about *about,
                          uint32_t *number);
lp_load *lp_executor_load(lp_executor *executor, uint32_t number);
lp_group *lp_executor_group(lp_executor *executor, uint32_t number);
int lp_executor_fill_group(lp_executor *executor, uint32_t number,
                           const lp_group_content *content);
int lp_executor_queue_group(lp_executor *executor, uint32_t number,
                            uint32_t count, int64_t priority);
void lp_executor_drop_group(lp_executor *executor, uint32_t number,
                            bool cancel);

/* A piece, checked: what it says lies inside of its block. */
typedef struct lp_taken {
    uint32_t first; /* number of its first item in the group */
    uint32_t count;
    lp_form form; /* of the results */
    lp_address address;
    const uint8_t *bytes;
    uint64_t length;
} lp_taken;

/*
 * Take what has come of a group since the last time: give is called for each
 * piece, newest first, under the executor's lock; if it fails, that piece and
 * what follows stay. 0, or what give said.
 */
int lp_executor_take_pieces(lp_executor *executor, uint32_t number,
                            int (*give)(void *context, const lp_taken *piece),
                            void *context);

/*
 * Take what workers have made of a group and not handed in. known says how
 * many results of the piece that begins with that item were taken before;
 * give gets the others: its count is what is known then, its bytes are a
 * copy, which is the receiver's. Both under the executor's lock. 0, LP_NOMEM,
 * or what give said. Pieces that are handed in later have these results too.
 */
typedef struct lp_early {
    uint32_t (*known)(void *context, uint32_t first);
    int (*give)(void *context, const lp_taken *part, uint32_t known);
    void *context;
} lp_early;
int lp_executor_take_early(lp_executor *executor, uint32_t number,
                           const lp_early *taker);

/* Whether results of a group may be there that were not handed in. */
bool lp_executor_may_be_early(lp_executor *executor, uint32_t number);

/* Give a piece back. */
void lp_executor_drop_piece(lp_executor *executor, lp_address address);

/* All items of a group have ended, and their pieces were taken. */
bool lp_executor_group_is_over(lp_executor *executor, uint32_t number);

/* Take no more; with cancel, what is pending ends as cancelled. */
void lp_executor_close(lp_executor *executor, bool cancel);

/*
 * Close, cancel, and make the workers stop: processes now, by a signal;
 * threads after what they run.
 */
void lp_executor_stop(lp_executor *executor, int signal);

/* No live worker is left; join may be called without waiting for long. */
bool lp_executor_has_ended(lp_executor *executor);
void lp_executor_join(lp_executor *executor);

/* Cancel what is pending, and stay open. */
void lp_executor_cancel_pending(lp_executor *executor);

/* A worker's loop ended. Called by the kind in the worker's last moments. */
void lp_executor_worker_ended(lp_executor *executor, uint32_t number,
                              lp_end end);

/* Threads of it are stuck, were replaced, and have not come back. */
bool lp_executor_has_abandoned(lp_executor *executor);

/* A thread that was abandoned has come back, and ends. Its arena goes. */
void lp_executor_abandoned_ended(lp_executor *executor, uint32_t arena);

/*
 * Worker number did not come to life. Others go on without it; if there are
 * none, or if it has work that is its alone, the executor breaks.
 */
void lp_executor_start_failed(lp_executor *executor, uint32_t number,
                              const char *text);

/* A worker died, and that is to be the end: by CPython's rule. */
void lp_executor_break_abruptly(lp_executor *executor);

/* An initializer failed: everything pending fails with this text. */
void lp_executor_break(lp_executor *executor, const char *text);

/* It broke because a worker died, and not because none could start. */
bool lp_executor_broke_abruptly(lp_executor *executor);

/* The text given to lp_executor_break, borrowed; NULL if it is not broken. */
const char *lp_executor_broken(lp_executor *executor);

/* ---- tasks ---- */

void lp_task_retain(lp_task *task);
void lp_task_release(lp_task *task);

/*
 * Tasks of one executor that no reference is left to, to be freed together,
 * which takes its lock only once. They keep the executor alive, and nothing
 * else: tasks with memory or handles of their own do not wait. All zeroes is
 * empty.
 */
#define LP_PILE 64u
typedef struct lp_task_pile {
    uint32_t count;
    lp_task *tasks[LP_PILE];
} lp_task_pile;

/* Release; what is to be freed goes to the pile, which is freed if full. */
void lp_task_release_later(lp_task *task, lp_task_pile *pile);

/* Free its tasks; no lock is held. */
void lp_task_pile_free(lp_task_pile *pile);

/* Cancel if pending: true if it is cancelled now, or was before. */
bool lp_task_cancel(lp_task *task);

/* It raised or was lost, by its own doing. */
bool lp_task_ended_badly(const lp_task *task);

/* Its limit in nanoseconds from its start; 0: none. */
int64_t lp_task_timeout(const lp_task *task);

/*
 * Which worker runs it or has run it, and in which process: 0 is the host's.
 * False: none has, or it cannot be told.
 */
bool lp_task_worker(const lp_task *task, uint32_t *worker, int32_t *pid);

/*
 * Where the outcome's bytes are; the task is done. NULL: what the worker
 * wrote makes no sense.
 */
const uint8_t *lp_task_outcome(const lp_task *task, size_t *length);

/*
 * Announce that the caller is about to park on the cell's state; false if the
 * task has ended. Gives the value to park with.
 */
bool lp_task_listen(lp_task *task, uint32_t *expected);

static inline uint32_t lp_task_state(const lp_task *task)
{
    return lp_cell_state(task->cell);
}

#endif
