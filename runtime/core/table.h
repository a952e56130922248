/*
 * table.h - numbered objects of one size that never move.
 *
 * Objects are numbered from 0 and come zeroed. They lie in chunks, each
 * twice as large as the one before, so that a table of few objects is small
 * and one of millions has few chunks. One thread at a time adds (the caller
 * has a lock); anyone may look up a number that was handed to him, in other
 * processes too if the table is shared (chunks.h).
 */
#ifndef LP_CORE_TABLE_H
#define LP_CORE_TABLE_H

#include "base/alloc.h"
#include "core/chunks.h"

#define LP_TABLE_FIRST_BITS 4   /* the first chunk has 16 objects */
#define LP_TABLE_CHUNKS     26u /* so there is room for a thousand million */

typedef struct lp_table {
    lp_chunks chunks;
    size_t size;            /* of an object; immutable */
    _Atomic uint32_t count; /* objects made; changed by the adder */
} lp_table;

void lp_table_init(lp_table *table, size_t size, const lp_allocator *allocator);

/* The same for one in a memory file: the adder's, or another process's. */
void lp_table_share(lp_table *table, size_t size, lp_shm *file,
                    lp_chunk_places *places);

void lp_table_clear(lp_table *table);

/* Make room for the object number table->count, and count it. 0, LP_NOMEM. */
int lp_table_add(lp_table *table, uint32_t *number);

/* Which chunk an object is in, and its place there. */
static inline uint32_t lp_table_chunk(uint32_t number, uint32_t *place)
{
    uint32_t shifted = number + (1u << LP_TABLE_FIRST_BITS);
    uint32_t top = 31u - (uint32_t)__builtin_clz(shifted);
    *place = shifted - (1u << top);
    return top - LP_TABLE_FIRST_BITS;
}

static inline size_t lp_table_chunk_size(const lp_table *table, uint32_t chunk)
{
    return table->size << (LP_TABLE_FIRST_BITS + chunk);
}

/* The object of a number that was given out. */
static inline void *lp_table_at(lp_table *table, uint32_t number)
{
    uint32_t place;
    uint32_t chunk = lp_table_chunk(number, &place);
    return lp_chunks_at(&table->chunks, chunk,
                        lp_table_chunk_size(table, chunk)) +
           (size_t)place * table->size;
}

#endif
