/* chunks.c - calloc, whole pages, or ranges of a memory file. */
#include "core/chunks.h"

#include "base/alloc.h"
#include "base/pages.h"
#include "base/status.h"

#include <stdbool.h>

#define PAGES_FROM ((size_t)2 << 20) /* larger chunks are pages of their own   \
                                      */

/* Whether a private chunk of this size is pages of its own. */
static bool is_pages(const lp_chunks *chunks, size_t size)
{
    return size >= PAGES_FROM && !lp_allocator_is_own(chunks->allocator);
}

void lp_chunks_init(lp_chunks *chunks, const lp_allocator *allocator)
{
    chunks->allocator = allocator;
    for (uint32_t i = 0; i < LP_CHUNKS; i++)
        atomic_init(&chunks->at[i], NULL);
    chunks->file = NULL;
    chunks->places = NULL;
}

void lp_chunks_share(lp_chunks *chunks, lp_shm *file, lp_chunk_places *places)
{
    lp_chunks_init(chunks, NULL);
    chunks->file = file;
    chunks->places = places;
}

void lp_chunks_clear(lp_chunks *chunks, size_t (*size)(uint32_t, const void *),
                     const void *context)
{
    for (uint32_t i = 0; i < LP_CHUNKS; i++) {
        char *memory = atomic_exchange(&chunks->at[i], NULL);
        if (!memory) continue;
        size_t length = size(i, context);
        if (chunks->file) {
            lp_shm_unmap(chunks->file, memory, length);
        } else if (is_pages(chunks, length)) {
            lp_pages_give(memory, length);
        } else {
            lp_free(memory);
        }
    }
}

int lp_chunks_make(lp_chunks *chunks, uint32_t number, size_t size)
{
    char *memory;
    uint64_t place = 0;
    if (!chunks->file && is_pages(chunks, size)) {
        memory = lp_pages_take(size);
    } else if (!chunks->file) {
        memory = lp_calloc(chunks->allocator, 1, size);
    } else {
        if (lp_shm_extend(chunks->file, size, &place) != LP_OK) return LP_NOMEM;
        memory = lp_shm_map(chunks->file, place, size);
    }
    if (!memory) return LP_NOMEM;
    atomic_store(&chunks->at[number], memory);
    if (chunks->file) atomic_store(&chunks->places->of[number], place);
    return LP_OK;
}

char *lp_chunks_map(lp_chunks *chunks, uint32_t number, size_t size)
{
    if (!chunks->file) return NULL;
    uint64_t place = atomic_load(&chunks->places->of[number]);
    if (place == 0) return NULL;
    char *memory = lp_shm_map(chunks->file, place, size);
    if (memory) atomic_store(&chunks->at[number], memory);
    return memory;
}
