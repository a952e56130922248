/*
 * table.h - numbered objects of one size that never move.
 *
 * Objects are numbered from 0 and come zeroed. They lie in chunks, each
 * twice as large as the one before, so that a table of few objects is small
 * and one of millions has few chunks. One thread at a time adds (the caller
 * has a lock); anyone may look up a number that was handed to him.
 */
#ifndef LP_CORE_TABLE_H
#define LP_CORE_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LP_TABLE_FIRST_BITS 4   /* the first chunk has 16 objects */
#define LP_TABLE_CHUNKS     26u /* so there is room for a thousand million */

typedef struct lp_table {
    _Atomic(char *) chunks[LP_TABLE_CHUNKS];
    size_t size;    /* of an object; immutable */
    uint32_t count; /* objects made; the adder's */
} lp_table;

void lp_table_init(lp_table *table, size_t size);
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

static inline void *lp_table_at(const lp_table *table, uint32_t number)
{
    uint32_t place;
    uint32_t chunk = lp_table_chunk(number, &place);
    /* Acquire; pairs with the store in lp_table_add. */
    char *objects =
        atomic_load_explicit(&table->chunks[chunk], memory_order_acquire);
    return objects + (size_t)place * table->size;
}

#endif
