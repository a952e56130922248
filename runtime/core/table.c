/* table.c - pages of pointers to chunks of objects. */
#include "core/table.h"

#include "base/alloc.h"
#include "base/status.h"

void lp_table_init(lp_table *table, size_t size)
{
    for (uint32_t i = 0; i < LP_TABLE_PAGES; i++)
        atomic_init(&table->pages[i], NULL);
    table->size = size;
    table->count = 0;
}

void lp_table_clear(lp_table *table)
{
    for (uint32_t i = 0; i < LP_TABLE_PAGES; i++) {
        _Atomic(void *) *page = atomic_load(&table->pages[i]);
        if (!page) break; /* pages come in order */
        for (uint32_t j = 0; j < LP_TABLE_PAGE; j++)
            lp_free(atomic_load(&page[j]));
        lp_free((void *)page);
        atomic_store(&table->pages[i], NULL);
    }
    table->count = 0;
}

/* Allocate the chunk, and its page if that is missing. */
static int add_chunk(lp_table *table, uint32_t chunk)
{
    uint32_t index = chunk >> LP_TABLE_PAGE_BITS;
    if (index >= LP_TABLE_PAGES) return LP_NOMEM;
    _Atomic(void *) *page = atomic_load(&table->pages[index]);
    if (!page) {
        page = lp_calloc(LP_TABLE_PAGE, sizeof(page[0]));
        if (!page) return LP_NOMEM;
        atomic_store(&table->pages[index], page);
    }
    void *objects = lp_calloc(LP_TABLE_CHUNK, table->size);
    if (!objects) return LP_NOMEM;
    atomic_store(&page[chunk & (LP_TABLE_PAGE - 1)], objects);
    return LP_OK;
}

int lp_table_add(lp_table *table, uint32_t *number)
{
    if ((table->count & (LP_TABLE_CHUNK - 1)) == 0) {
        int status = add_chunk(table, table->count >> LP_TABLE_CHUNK_BITS);
        if (status != LP_OK) return status;
    }
    *number = table->count++;
    return LP_OK;
}
