/*
 * queue.c - a ring with one putter at a time, and takers that race.
 *
 * A taker copies entries and then claims them all by moving the head with
 * one compare-and-swap. If that succeeds nobody else had moved the head
 * meanwhile, so nobody could have overwritten what was copied.
 *
 * A full ring is replaced by one of twice the size: entries are copied, and
 * the head, which also says which ring is meant, changes to the new one. A
 * taker with the old head fails its swap and looks again.
 */
#include "core/queue.h"

#include "base/hints.h"
#include "base/status.h"

#include <stddef.h>

#define FIRST_RING 6u /* 64 entries */

static uint64_t position_of(uint64_t head)
{
    return head >> 6;
}

static unsigned ring_of(uint64_t head)
{
    return (unsigned)(head & 63);
}

static size_t ring_size(uint32_t log, const void *unused)
{
    (void)unused;
    return sizeof(uint32_t) << log;
}

static _Atomic uint32_t *ring_at(lp_queue *queue, unsigned log)
{
    if (log >= LP_CHUNKS) return NULL;
    return (_Atomic uint32_t *)(void *)lp_chunks_at(&queue->rings, log,
                                                    ring_size(log, NULL));
}

int lp_queue_init(lp_queue *queue, lp_queue_words *words)
{
    queue->words = words;
    queue->tail = 0;
    queue->ring = FIRST_RING;
    atomic_init(&words->head, FIRST_RING);
    atomic_init(&words->tail, 0);
    return lp_chunks_make(&queue->rings, FIRST_RING,
                          ring_size(FIRST_RING, NULL));
}

void lp_queue_attach(lp_queue *queue, lp_queue_words *words)
{
    queue->words = words;
    queue->tail = 0;
    queue->ring = 0;
}

void lp_queue_clear(lp_queue *queue)
{
    lp_chunks_clear(&queue->rings, ring_size, NULL);
}

/* The head, if it makes sense. */
static bool read_head(const lp_queue *queue, uint64_t *head)
{
    *head = atomic_load(&queue->words->head);
    return ring_of(*head) == queue->ring && position_of(*head) <= queue->tail;
}

/* Go on with a ring of twice the size. Takers may move the head meanwhile. */
static LP_APART int grow(lp_queue *queue)
{
    uint64_t head;
    unsigned log = queue->ring;
    if (log + 1 >= LP_CHUNKS) return LP_NOMEM;
    if (!ring_at(queue, log + 1)) {
        int status =
            lp_chunks_make(&queue->rings, log + 1, ring_size(log + 1, NULL));
        if (status != LP_OK) return status;
    }
    if (!read_head(queue, &head)) return LP_CORRUPT;
    _Atomic uint32_t *from = ring_at(queue, log);
    _Atomic uint32_t *to = ring_at(queue, log + 1);
    uint64_t from_mask = (UINT64_C(1) << log) - 1;
    uint64_t to_mask = (UINT64_C(2) << log) - 1;
    for (uint64_t i = position_of(head); i < queue->tail; i++) {
        uint32_t entry =
            atomic_load_explicit(&from[i & from_mask], memory_order_relaxed);
        atomic_store_explicit(&to[i & to_mask], entry, memory_order_relaxed);
    }
    while (!atomic_compare_exchange_weak(&queue->words->head, &head, head + 1))
        continue; /* a taker was faster; what it took is copied in vain */
    queue->ring = log + 1;
    return LP_OK;
}

int lp_queue_put(lp_queue *queue, uint32_t entry)
{
    uint64_t tail = queue->tail, head;
    if (!read_head(queue, &head)) return LP_CORRUPT;
    if (tail - position_of(head) >= UINT64_C(1) << queue->ring) {
        int status = grow(queue);
        if (status != LP_OK) return status;
    }
    _Atomic uint32_t *ring = ring_at(queue, queue->ring);
    uint64_t mask = (UINT64_C(1) << queue->ring) - 1;
    atomic_store_explicit(&ring[tail & mask], entry, memory_order_relaxed);
    queue->tail = tail + 1;
    /* In total order with idle.c, so that a sleeper is not overlooked. */
    atomic_store(&queue->words->tail, tail + 1);
    return LP_OK;
}

void lp_queue_each(lp_queue *queue,
                   void (*visit)(void *context, uint32_t entry), void *context)
{
    uint64_t head;
    if (!read_head(queue, &head)) return;
    _Atomic uint32_t *ring = ring_at(queue, queue->ring);
    uint64_t mask = (UINT64_C(1) << queue->ring) - 1;
    for (uint64_t i = position_of(head); i < queue->tail; i++)
        visit(context,
              atomic_load_explicit(&ring[i & mask], memory_order_relaxed));
}

uint32_t lp_queue_take(lp_queue *queue, uint32_t *batch, uint32_t limit,
                       uint64_t *position)
{
    for (;;) {
        uint64_t head = atomic_load(&queue->words->head);
        uint64_t first = position_of(head);
        uint64_t tail = atomic_load(&queue->words->tail);
        if (tail <= first) return 0;

        _Atomic uint32_t *ring = ring_at(queue, ring_of(head));
        if (!ring) return 0;
        uint64_t mask = (UINT64_C(1) << ring_of(head)) - 1;
        uint64_t available = tail - first;
        uint32_t count = 0;
        while (count < limit && count < available) {
            uint32_t entry = atomic_load_explicit(&ring[(first + count) & mask],
                                                  memory_order_relaxed);
            if ((entry & LP_QUEUE_GROUP) && count > 0) break;
            batch[count++] = entry;
            if (entry & LP_QUEUE_GROUP) break;
        }
        if (batch[0] & LP_QUEUE_GROUP) {
            /* Fresh only if the head is where it was. */
            if (atomic_load(&queue->words->head) != head) continue;
            *position = head;
            return 1;
        }
        uint64_t next = head + ((uint64_t)count << 6);
        if (atomic_compare_exchange_weak(&queue->words->head, &head, next))
            return count;
    }
}

bool lp_queue_remove(lp_queue *queue, uint64_t position)
{
    for (;;) {
        uint64_t head = atomic_load(&queue->words->head);
        if (position_of(head) != position_of(position)) return false;
        if (atomic_compare_exchange_weak(&queue->words->head, &head,
                                         head + (UINT64_C(1) << 6)))
            return true;
    }
}
