/*
 * task.h - one accepted call: what is to be done, and what came of it.
 *
 * A task has a number in its executor and three parts with that number, one
 * for each kind of writer:
 *   slot   what is to be done; the host writes it, before the task is queued
 *   cell   how far it is and what came of it; atomics, and the outcome, which
 *          the worker writes before it releases the state
 *   task   what only the host knows: references, who waits, its name
 * Workers of all kinds see slots and cells; tasks are private to the host.
 */
#ifndef LP_CORE_TASK_H
#define LP_CORE_TASK_H

#include "base/buffer.h"
#include "base/reason.h"
#include "base/stop.h"
#include "core/arena.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The low bits of a state word say how far the task is. */
typedef enum lp_phase {
    LP_PENDING = 0,
    LP_RUNNING = 1,
    LP_FINISHED = 2,  /* the outcome holds the results */
    LP_RAISED = 3,    /* the outcome holds the error and a traceback */
    LP_CANCELLED = 4, /* no outcome */
    LP_LOST = 5,      /* the outcome is an lp_reason */
} lp_phase;

#define LP_PHASE     7u
#define LP_WAITED    8u  /* a thread is parked on the word */
#define LP_NOTIFY    16u /* the host wants the cell in the completed list */
#define LP_QUEUED    32u /* in the queue, or in the batch of a worker */
#define LP_ABANDONED 64u /* no future refers to it */
#define LP_POKE      LP_STOP_POKE /* to wake a parked thread for no reason */

#define LP_SLOT_INLINE 32u
#define LP_CELL_INLINE 32u

/* Handles of a parcel: for the host, and for threads of its process. */
typedef struct lp_handles {
    struct lp_handles *next; /* in a list of those to be dropped */
    size_t count;
    lp_handle *items;
} lp_handles;

/*
 * Release the handles, and those of the lists that follow; NULL is allowed.
 * To release an executor takes locks, so the caller holds none.
 */
void lp_handles_drop(lp_handles *handles);

typedef struct lp_slot {
    uint64_t length;     /* of the parcel in bytes */
    lp_handles *handles; /* owned by the host; NULL if there are none */
    union {
        lp_place parcel;               /* in the host's arena */
        uint8_t bytes[LP_SLOT_INLINE]; /* if length fits */
    } at;
    int64_t timeout;  /* nanoseconds from its start; 0: none */
    uint32_t serial;  /* for people; the number of the job */
    uint32_t retries; /* runs that are left after an error or a death */
} lp_slot;

typedef struct lp_cell {
    _Atomic uint32_t state;
    _Atomic uint32_t next;       /* in the completed list: number + 1 */
    _Atomic int64_t finished_at; /* clock, nanoseconds */
    uint64_t length;             /* of the outcome in bytes */
    uint16_t worker;             /* that ran it */
    uint16_t arena;              /* that has the outcome, if it is not here */
    int32_t pid;                 /* of the worker; 0: the host's */
    union {
        int64_t submitted_at; /* before there is an outcome; 0: not noted */
        lp_place outcome;
        uint8_t bytes[LP_CELL_INLINE];
    } at;
} lp_cell;

/*
 * When the task ended: before it is seen as done, or, if nobody ran it, just
 * after it.
 */
static inline void lp_cell_note_end(lp_cell *cell, int64_t now)
{
    atomic_store_explicit(&cell->finished_at, now, memory_order_relaxed);
}

static inline bool lp_phase_is_done(uint32_t state)
{
    return (state & LP_PHASE) >= LP_FINISHED;
}

/* Its state; what was written before that can be read. */
static inline uint32_t lp_cell_state(const lp_cell *cell)
{
    /* Acquire; pairs with lp_cell_complete. */
    return atomic_load_explicit(&cell->state, memory_order_acquire);
}

static inline lp_phase lp_cell_phase(const lp_cell *cell)
{
    return (lp_phase)(lp_cell_state(cell) & LP_PHASE);
}

/* Pending to running, by a worker; false if it is not pending any more. */
static inline bool lp_cell_claim(lp_cell *cell, uint32_t *state)
{
    *state = atomic_load_explicit(&cell->state, memory_order_relaxed);
    while ((*state & LP_PHASE) == LP_PENDING) {
        uint32_t running = (*state & ~LP_QUEUED) | LP_RUNNING;
        if (atomic_compare_exchange_weak(&cell->state, state, running))
            return true;
    }
    return false;
}

/* The same by a worker that found the task in another one's batch. */
static inline bool lp_cell_steal(lp_cell *cell)
{
    uint32_t state = atomic_load_explicit(&cell->state, memory_order_relaxed);
    while ((state & LP_PHASE) == LP_PENDING) {
        if (atomic_compare_exchange_weak(&cell->state, &state,
                                         state | LP_RUNNING))
            return true;
    }
    return false;
}

/*
 * Running to phase; the outcome is in place and readable from here on. The
 * flags as they were; whoever held them off must be served by the caller.
 */
static inline uint32_t lp_cell_complete(lp_cell *cell, lp_phase phase)
{
    /* Release; pairs with the acquire of whoever sees it done. */
    return atomic_fetch_add(&cell->state, (uint32_t)phase - LP_RUNNING);
}

/* Pending to phase, by the host. False if it is not pending. */
static inline bool lp_cell_settle(lp_cell *cell, lp_phase phase,
                                  uint32_t *state)
{
    *state = atomic_load(&cell->state);
    while ((*state & LP_PHASE) == LP_PENDING) {
        uint32_t settled = (*state & ~(LP_WAITED | LP_NOTIFY)) | phase;
        if (atomic_compare_exchange_weak(&cell->state, state, settled))
            return true;
    }
    return false;
}

#endif
