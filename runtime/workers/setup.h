/*
 * setup.h - what every worker of an executor begins and ends with.
 *
 * A worker opens its state, requires the modules to preload and runs the
 * initializer, before its first task; and runs the finalizer after its last.
 * A setup is made by the api, is immutable while workers run, and is owned by
 * the kind.
 */
#ifndef LP_WORKERS_SETUP_H
#define LP_WORKERS_SETUP_H

#include "base/buffer.h"
#include "base/stop.h"
#include "core/executor.h"
#include "vm/state.h"

#define LP_NAME_SIZE  128
#define LP_KIND_SIZE  32
#define LP_BREAK_TEXT 1024 /* bytes of the reason why a pool broke */

/* Who a worker is, for its own state; lives as long as the state. */
typedef struct lp_identity {
    lp_host *host;         /* whose state it is; for what its tasks open */
    lp_executor *executor; /* NULL in another process */
    const char *kind;      /* "thread"; the setup's */
    uint32_t number;
    /* A stand-in's: see lp_setup. Only compared, and perhaps gone. */
    const lp_executor *stands_in_for;
    uint32_t depth; /* how deep executors are nested */
    uint64_t seed;  /* of its random numbers */
    char name[LP_NAME_SIZE];
    lp_memory outcomes; /* its arena, for its state's large outcomes */
    lp_stop *stop;      /* how what it runs is stopped; NULL: not at all */
} lp_identity;

typedef struct lp_setup {
    lp_state_config state; /* context is set to the lp_identity */
    uint64_t seed;         /* of the workers' seeds */
    char kind[LP_KIND_SIZE];
    char prefix[LP_NAME_SIZE];
    const lp_executor *stands_in_for; /* NULL: it has tasks of its own */
    uint32_t depth;                   /* of the workers: see lp_identity */
    uint64_t max_tasks;               /* 0: no limit */
    uint64_t memory_limit;            /* bytes of a state's heap; 0: none */
    int64_t timeout;                  /* of each task, nanoseconds; 0: none */
    lp_buffer initializer;            /* a parcel; empty: none */
    lp_buffer finalizer;              /* the same */
    lp_buffer preload;                /* see lp_state_preload; empty: nothing */
    void (*log)(void *context, const char *line); /* a line for people */
    void *log_context;
    int when_full; /* the api's: lpool_when_full */
} lp_setup;

/* Free what the setup owns. */
void lp_setup_clear(lp_setup *setup);

/* What worker number is called. */
void lp_setup_name(const lp_setup *setup, uint32_t number, char *name,
                   size_t size);

/*
 * Copy from, into all zeroes, for a worker that runs tasks in the caller of
 * executor, whose setup it is. 0, or LP_NOMEM: to be cleared all the same.
 */
int lp_setup_stand_in(lp_setup *setup, const lp_setup *from,
                      const lp_executor *executor);

/*
 * Have a track for a worker of the host's process, if its executor is traced;
 * whoever ends the worker frees it. 0, LP_NOMEM.
 */
int lp_setup_trace(const lp_setup *setup, const lp_identity *identity,
                   lp_worker *worker);

/* Fill in who worker number of executor is. */
void lp_setup_identify(const lp_setup *setup, lp_executor *executor,
                       uint32_t number, lp_identity *identity);

/*
 * Open a state, without what belongs to one worker alone. 0, or an error:
 * the text says why.
 */
int lp_setup_open(const lp_setup *setup, lp_identity *identity,
                  lp_state **state, char *text, size_t size);

/* Make an open state ready for tasks. The same, for the executor to break. */
int lp_setup_ready(const lp_setup *setup, lp_identity *identity,
                   lp_state *state, char *text, size_t size);

/*
 * Open a state, preload, and make it ready. 0, or an error: the text says
 * why, for the executor to break with.
 */
int lp_setup_begin(const lp_setup *setup, lp_identity *identity,
                   lp_state **state, char *text, size_t size);

/* Run the finalizer, if the worker came to an orderly end, and close. */
void lp_setup_end(const lp_setup *setup, const lp_identity *identity,
                  lp_state *state, bool orderly);

/* The worker kind that executes in an lp_state; self is the lp_state. */
extern const lp_worker_kind lp_state_worker_kind;

#endif
