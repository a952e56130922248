/* chunks.c - calloc, or ranges of a memory file. */
#include "core/chunks.h"

#include "base/alloc.h"
#include "base/hints.h"
#include "base/status.h"

/*
 * Private chunks begin with a cache line, so that an object of 64 bytes is in
 * one, and nobody else's. What is to be freed stands before the chunk.
 */
#define LINE ((size_t)64)

static char *take_private(const lp_allocator *allocator, size_t size)
{
    char *block = lp_calloc(allocator, 1, size + LINE + sizeof(void *));
    if (!block) return NULL;
    uintptr_t begin = (uintptr_t)block + sizeof(void *);
    char *chunk = block + ((begin + LINE - 1) / LINE * LINE - (uintptr_t)block);
    ((void **)(void *)chunk)[-1] = block;
    return chunk;
}

static void free_private(char *chunk)
{
    lp_free(((void **)(void *)chunk)[-1]);
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
        if (chunks->file) {
            lp_shm_unmap(chunks->file, memory, size(i, context));
        } else {
            free_private(memory);
        }
    }
}

int lp_chunks_make(lp_chunks *chunks, uint32_t number, size_t size)
{
    char *memory;
    uint64_t place = 0;
    if (!chunks->file) {
        memory = take_private(chunks->allocator, size);
    } else {
        if (lp_shm_extend(chunks->file, size, &place) != LP_OK) return LP_NOMEM;
        memory = lp_shm_map(chunks->file, place, size);
    }
    if (!memory) return LP_NOMEM;
    atomic_store(&chunks->at[number], memory);
    if (chunks->file) atomic_store(&chunks->places->of[number], place);
    return LP_OK;
}

LP_APART char *lp_chunks_map(lp_chunks *chunks, uint32_t number, size_t size)
{
    if (!chunks->file) return NULL;
    uint64_t place = atomic_load(&chunks->places->of[number]);
    if (place == 0) return NULL;
    char *memory = lp_shm_map(chunks->file, place, size);
    if (memory) atomic_store(&chunks->at[number], memory);
    return memory;
}
