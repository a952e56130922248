/* table.c - chunks of doubling size. */
#include "core/table.h"

#include "base/status.h"

void lp_table_init(lp_table *table, size_t size,
                   const struct lp_allocator *allocator)
{
    lp_chunks_init(&table->chunks, allocator);
    table->size = size;
    table->count = 0;
}

void lp_table_share(lp_table *table, size_t size, lp_shm *file,
                    lp_chunk_places *places)
{
    lp_chunks_share(&table->chunks, file, places);
    table->size = size;
    table->count = 0;
}

static size_t chunk_size(uint32_t chunk, const void *table)
{
    return lp_table_chunk_size(table, chunk);
}

void lp_table_clear(lp_table *table)
{
    lp_chunks_clear(&table->chunks, chunk_size, table);
    table->count = 0;
}

int lp_table_add(lp_table *table, uint32_t *number)
{
    uint32_t place;
    uint32_t next = atomic_load_explicit(&table->count, memory_order_relaxed);
    uint32_t chunk = lp_table_chunk(next, &place);
    if (chunk >= LP_TABLE_CHUNKS) return LP_NOMEM;
    if (place == 0 &&
        lp_chunks_make(&table->chunks, chunk,
                       lp_table_chunk_size(table, chunk)) != LP_OK)
        return LP_NOMEM;
    atomic_store_explicit(&table->count, next + 1, memory_order_release);
    *number = next;
    return LP_OK;
}
