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

#include "base/alloc.h"
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

static int make_ring(lp_queue *queue, unsigned log)
{
    if (log >= LP_QUEUE_RINGS) return LP_NOMEM;
    _Atomic uint32_t *ring = lp_alloc(sizeof(*ring) << log);
    if (!ring) return LP_NOMEM;
    atomic_store(&queue->rings[log], ring);
    return LP_OK;
}

int lp_queue_init(lp_queue *queue)
{
    for (unsigned i = 0; i < LP_QUEUE_RINGS; i++)
        atomic_init(&queue->rings[i], NULL);
    atomic_init(&queue->head, FIRST_RING);
    atomic_init(&queue->tail, 0);
    return make_ring(queue, FIRST_RING);
}

void lp_queue_clear(lp_queue *queue)
{
    for (unsigned i = 0; i < LP_QUEUE_RINGS; i++) {
        lp_free((void *)atomic_load(&queue->rings[i]));
        atomic_store(&queue->rings[i], NULL);
    }
}

/* Go on with a ring of twice the size. Takers may move the head meanwhile. */
static int grow(lp_queue *queue, uint64_t tail)
{
    uint64_t head = atomic_load(&queue->head);
    unsigned log = ring_of(head);
    if (!atomic_load(&queue->rings[log + 1])) {
        int status = make_ring(queue, log + 1);
        if (status != LP_OK) return status;
    }
    _Atomic uint32_t *from = atomic_load(&queue->rings[log]);
    _Atomic uint32_t *to = atomic_load(&queue->rings[log + 1]);
    uint64_t from_mask = (UINT64_C(1) << log) - 1;
    uint64_t to_mask = (UINT64_C(2) << log) - 1;
    for (uint64_t i = position_of(head); i < tail; i++) {
        uint32_t entry =
            atomic_load_explicit(&from[i & from_mask], memory_order_relaxed);
        atomic_store_explicit(&to[i & to_mask], entry, memory_order_relaxed);
    }
    while (!atomic_compare_exchange_weak(&queue->head, &head, head + 1))
        continue; /* a taker was faster; what it took is copied in vain */
    return LP_OK;
}

int lp_queue_put(lp_queue *queue, uint32_t entry)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    uint64_t head = atomic_load(&queue->head);
    if (tail - position_of(head) >= UINT64_C(1) << ring_of(head)) {
        int status = grow(queue, tail);
        if (status != LP_OK) return status;
        head = atomic_load(&queue->head);
    }
    _Atomic uint32_t *ring = atomic_load_explicit(&queue->rings[ring_of(head)],
                                                  memory_order_relaxed);
    uint64_t mask = (UINT64_C(1) << ring_of(head)) - 1;
    atomic_store_explicit(&ring[tail & mask], entry, memory_order_relaxed);
    /* In total order with idle.c, so that a sleeper is not overlooked. */
    atomic_store(&queue->tail, tail + 1);
    return LP_OK;
}

uint32_t lp_queue_take(lp_queue *queue, uint32_t *batch, uint32_t limit,
                       uint64_t *position)
{
    for (;;) {
        uint64_t head = atomic_load(&queue->head);
        uint64_t first = position_of(head);
        uint64_t tail = atomic_load(&queue->tail);
        if (tail <= first) return 0;

        _Atomic uint32_t *ring = atomic_load(&queue->rings[ring_of(head)]);
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
            if (atomic_load(&queue->head) != head) continue;
            *position = head;
            return 1;
        }
        uint64_t next = head + ((uint64_t)count << 6);
        if (atomic_compare_exchange_weak(&queue->head, &head, next))
            return count;
    }
}

bool lp_queue_remove(lp_queue *queue, uint64_t position)
{
    for (;;) {
        uint64_t head = atomic_load(&queue->head);
        if (position_of(head) != position_of(position)) return false;
        if (atomic_compare_exchange_weak(&queue->head, &head,
                                         head + (UINT64_C(1) << 6)))
            return true;
    }
}
