/* table.c - chunks of doubling size. */
#include "core/table.h"

#include "base/alloc.h"
#include "base/status.h"

void lp_table_init(lp_table *table, size_t size)
{
    for (uint32_t i = 0; i < LP_TABLE_CHUNKS; i++)
        atomic_init(&table->chunks[i], NULL);
    table->size = size;
    table->count = 0;
}

void lp_table_clear(lp_table *table)
{
    for (uint32_t i = 0; i < LP_TABLE_CHUNKS; i++) {
        lp_free(atomic_load(&table->chunks[i]));
        atomic_store(&table->chunks[i], NULL);
    }
    table->count = 0;
}

int lp_table_add(lp_table *table, uint32_t *number)
{
    uint32_t place;
    uint32_t chunk = lp_table_chunk(table->count, &place);
    if (chunk >= LP_TABLE_CHUNKS) return LP_NOMEM;
    if (place == 0) {
        size_t count = (size_t)1 << (LP_TABLE_FIRST_BITS + chunk);
        char *objects = lp_calloc(count, table->size);
        if (!objects) return LP_NOMEM;
        atomic_store(&table->chunks[chunk], objects);
    }
    *number = table->count++;
    return LP_OK;
}
