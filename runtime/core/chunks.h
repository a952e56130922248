/*
 * chunks.h - blocks of memory by number, private or in a memory file.
 *
 * The maker makes chunk after chunk, which never move. In a memory file,
 * where each lies is written to a list that other processes can read; they
 * map a chunk when they first come to it.
 */
#ifndef LP_CORE_CHUNKS_H
#define LP_CORE_CHUNKS_H

#include "base/alloc.h"
#include "base/shm.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LP_CHUNKS 32u

/* Where the chunks of a kind lie in their file; 0: not there. */
typedef struct lp_chunk_places {
    _Atomic uint64_t of[LP_CHUNKS];
} lp_chunk_places;

typedef struct lp_chunks {
    _Atomic(char *) at[LP_CHUNKS]; /* as this process sees them */
    const lp_allocator *allocator; /* of private memory */
    lp_shm *file;                  /* borrowed; NULL: private memory */
    lp_chunk_places *places;       /* borrowed; for a file */
} lp_chunks;

/* No chunks, in private memory. */
void lp_chunks_init(lp_chunks *chunks, const lp_allocator *allocator);

/* The same, in a file and with a list, which are there already. */
void lp_chunks_share(lp_chunks *chunks, lp_shm *file, lp_chunk_places *places);

/* Free what is private; mappings of a file end. sizes says how large. */
void lp_chunks_clear(lp_chunks *chunks, size_t (*size)(uint32_t, const void *),
                     const void *context);

/* Make chunk number, zeroed. 0 or LP_NOMEM. Maker only. */
int lp_chunks_make(lp_chunks *chunks, uint32_t number, size_t size);

/* Map a chunk that another process has made. NULL if there is none. */
char *lp_chunks_map(lp_chunks *chunks, uint32_t number, size_t size);

/* Where a chunk is; NULL if it is not there. Anyone. */
static inline char *lp_chunks_at(lp_chunks *chunks, uint32_t number,
                                 size_t size)
{
    /* Acquire; pairs with the store in lp_chunks_make. */
    char *found =
        atomic_load_explicit(&chunks->at[number], memory_order_acquire);
    return found ? found : lp_chunks_map(chunks, number, size);
}

#endif
