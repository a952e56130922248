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
 *
 * An arena lies in private memory, or in a memory file (base/shm.h) of which
 * each process has a view. Its writer may end in good order and be followed
 * by another, who finds the books as they were. Whoever reads what another
 * process has written checks each place before he uses it.
 */
#ifndef LP_CORE_ARENA_H
#define LP_CORE_ARENA_H

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/shm.h"

#include <stdbool.h>
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
lp_arena *lp_arena_new(const lp_allocator *allocator);

/* Bytes at the start of an arena's file, all in the file's first mapping. */
#define LP_ARENA_HEAD     ((size_t)4096 + LP_ARENA_SEGMENTS * 16)
#define LP_ARENA_SEGMENTS ((size_t)16384)

/*
 * A view of the arena in a file, which begins at byte begin of it: an empty
 * arena if the file was just made. The file is borrowed. NULL: no memory.
 * If its readers are not trusted, private_books keeps the books, and what
 * comes home, out of the file; then it cannot have another writer later.
 */
lp_arena *lp_arena_open(lp_shm *file, size_t begin, bool private_books,
                        const lp_allocator *allocator);

/*
 * Map all that there is, so that its file may be closed: whoever reads it
 * needs the file no longer. Its writer has ended.
 */
void lp_arena_map_all(lp_arena *arena);

/* Give all its memory back to the system, whoever has blocks of it. */
void lp_arena_free(lp_arena *arena);

/* A block of at least size bytes, aligned to 16. 0, or LP_NOMEM. Writer. */
int lp_arena_alloc(lp_arena *arena, size_t size, lp_place *place);

/* Where the block's bytes are. Anyone who was given the place. */
void *lp_arena_at(lp_arena *arena, lp_place place);

/*
 * The same for a place that may be wrong, of which length bytes will be
 * read: NULL if that is not all inside of the arena.
 */
void *lp_arena_check(lp_arena *arena, lp_place place, uint64_t length);

/* Bytes from a place that was checked to the end of its segment. */
uint64_t lp_arena_room(lp_arena *arena, lp_place place);

/* Let the first size bytes of a block be zeroes, without memory. Writer. */
void lp_arena_wipe(lp_arena *arena, lp_place place, size_t size);

/* Give a block back: by the writer, or by anyone else. 0 is allowed. */
void lp_arena_drop(lp_arena *arena, lp_place place);
void lp_arena_return(lp_arena *arena, lp_place place);

/* The arena as a memory for its writer's buffers. */
lp_memory lp_arena_memory(lp_arena *arena);

#endif
