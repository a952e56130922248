/*
 * queue.h - the run queue: what was accepted and not yet taken by a worker.
 *
 * First in, first out: a ring of entries with many takers. The host puts,
 * one thread at a time (the caller holds the executor's lock); takers need
 * no lock. An entry is the number of a task, or of a group with
 * LP_QUEUE_GROUP set.
 */
#ifndef LP_CORE_QUEUE_H
#define LP_CORE_QUEUE_H

#include "core/chunks.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LP_QUEUE_GROUP 0x80000000u

/* What takers and putters share; all zeroes at first. */
typedef struct lp_queue_words {
    /* Position of the oldest entry, times 64, plus the log2 of the ring. */
    _Atomic uint64_t head;
    char apart[64];        /* takers write the head, putters the tail */
    _Atomic uint64_t tail; /* position after the newest entry */
} lp_queue_words;

/* The queue as one process sees it. */
typedef struct lp_queue {
    lp_queue_words *words;
    lp_chunks rings; /* that of 2^i entries; made when needed, kept */
    uint64_t tail;   /* the putter's own, as takers may be out of their mind */
    unsigned ring;   /* the same: log2 of the ring in use */
} lp_queue;

/* Make a queue in words; its rings lie as the caller has said. 0, LP_NOMEM. */
int lp_queue_init(lp_queue *queue, lp_queue_words *words);

/* Use one that another process has made, only to take from it. */
void lp_queue_attach(lp_queue *queue, lp_queue_words *words);

void lp_queue_clear(lp_queue *queue);

/*
 * Append an entry. 0; or LP_NOMEM, LP_CORRUPT (a taker has scribbled on the
 * words): nothing has happened.
 */
int lp_queue_put(lp_queue *queue, uint32_t entry);

/* For the putter: visit what is in the queue now, oldest first. */
void lp_queue_each(lp_queue *queue,
                   void (*visit)(void *context, uint32_t entry), void *context);

/*
 * Move up to limit tasks from the front into batch; returns how many. A
 * group at the front is left there: batch[0] is its entry, *position says
 * where, and 1 is returned.
 */
uint32_t lp_queue_take(lp_queue *queue, uint32_t *batch, uint32_t limit,
                       uint64_t *position);

/* Remove the entry at the front if it is still the one at position. */
bool lp_queue_remove(lp_queue *queue, uint64_t position);

/* How many entries there are; already past when it returns. */
static inline uint64_t lp_queue_length(lp_queue *queue)
{
    uint64_t head = atomic_load(&queue->words->head) >> 6;
    uint64_t tail = atomic_load(&queue->words->tail);
    return tail > head ? tail - head : 0;
}

#endif
