/*
 * table.h - numbered objects of one size that never move.
 *
 * Objects are numbered from 0 and come zeroed, a chunk at a time. One thread
 * at a time adds (the caller has a lock); anyone may look up a number that
 * was handed to him.
 */
#ifndef LP_CORE_TABLE_H
#define LP_CORE_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LP_TABLE_CHUNK_BITS 8
#define LP_TABLE_CHUNK (1u << LP_TABLE_CHUNK_BITS)
#define LP_TABLE_PAGE_BITS 8
#define LP_TABLE_PAGE (1u << LP_TABLE_PAGE_BITS)
#define LP_TABLE_PAGES 256u

/* Chunks of 256 objects, 256 chunks to a page of pointers: 16 million. */
typedef struct lp_table {
    _Atomic(_Atomic(void *) *) pages[LP_TABLE_PAGES];
    size_t size;    /* of an object; immutable */
    uint32_t count; /* objects made; the adder's */
} lp_table;

void lp_table_init(lp_table *table, size_t size);
void lp_table_clear(lp_table *table);

/* Make room for the object number table->count, and count it. 0, LP_NOMEM. */
int lp_table_add(lp_table *table, uint32_t *number);

static inline void *lp_table_at(const lp_table *table, uint32_t number)
{
    uint32_t chunk = number >> LP_TABLE_CHUNK_BITS;
    _Atomic(void *) *page = atomic_load_explicit(
        &table->pages[chunk >> LP_TABLE_PAGE_BITS], memory_order_acquire);
    char *objects = atomic_load_explicit(&page[chunk & (LP_TABLE_PAGE - 1)],
                                         memory_order_acquire);
    return objects + (size_t)(number & (LP_TABLE_CHUNK - 1)) * table->size;
}

#endif
