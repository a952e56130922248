/*
 * arena.h - memory with one writer, addressed by offsets.
 *
 * What the writer puts into an arena others read: parcels in the host's
 * arena, outcomes in each worker's. A place in it is a number, never a
 * pointer, so that it means the same wherever the memory is mapped. Memory
 * comes in segments; blocks have size classes and are reused.
 *
 * Only the writer allocates and frees (the host's arena has many writers,
 * who hold a lock). Anyone may read a block that was handed over to him, and
 * give it back: it comes home to the writer through an atomic list.
 */
#ifndef LP_CORE_ARENA_H
#define LP_CORE_ARENA_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lp_arena lp_arena;

/*
 * A block of one arena: a segment's number and an offset in it; 0 is none.
 * The upper bits are left for whoever has to say which arena as well.
 */
typedef uint64_t lp_place;
#define LP_PLACE_OFFSET_BITS 36
#define LP_PLACE_BITS        50

/* An empty arena, which takes its first memory when asked. NULL: no memory. */
lp_arena *lp_arena_new(void);

/* Give all its memory back to the system, whoever has blocks of it. */
void lp_arena_free(lp_arena *arena);

/* A block of at least size bytes, aligned to 16. 0, or LP_NOMEM. Writer. */
int lp_arena_alloc(lp_arena *arena, size_t size, lp_place *place);

/* Where the block's bytes are. Anyone who was given the place. */
void *lp_arena_at(const lp_arena *arena, lp_place place);

/* Give a block back: by the writer, or by anyone else. 0 is allowed. */
void lp_arena_drop(lp_arena *arena, lp_place place);
void lp_arena_return(lp_arena *arena, lp_place place);

/* The arena as a memory for its writer's buffers. */
lp_memory lp_arena_memory(lp_arena *arena);

#endif
