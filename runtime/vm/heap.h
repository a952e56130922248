/*
 * heap.h - an allocator for one Lua state that stops at a limit.
 *
 * It stands in front of the state's own allocator and counts. A block that
 * would pass the limit is refused; Lua then collects all garbage and asks
 * once more, and only when that is refused too has the task passed the limit.
 * One thread at a time, as the state. A state without a limit has no such
 * allocator.
 */
#ifndef LP_VM_HEAP_H
#define LP_VM_HEAP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Buffers of strings in the making that are known at a time. */
#define LP_HEAP_BUFFERS 4u

typedef struct lp_heap {
    size_t limit; /* bytes; 0: none, and the rest means nothing */
    size_t used;
    size_t pending;   /* a block that was refused once; 0: none */
    bool refused;     /* a block was refused for good since the last reset */
    bool starved;     /* and not by the limit: the system had no more */
    bool expects;     /* the next block may be the first of a buffer */
    unsigned forgets; /* the buffer to be forgotten for the next */
    void *buffers[LP_HEAP_BUFFERS];
    lua_Alloc allocate; /* the state's own */
    void *context;      /* its */
} lp_heap;

/* Let L use at most limit bytes from now on, with what it uses already. */
void lp_heap_impose(lp_heap *heap, lua_State *L, size_t limit);

/* Have no limit any more. Nothing happens without one. */
static inline void lp_heap_lift(lp_heap *heap)
{
    if (heap->limit > 0) heap->limit = SIZE_MAX;
}

/* A task begins: nothing was refused. */
static inline void lp_heap_reset(lp_heap *heap)
{
    heap->refused = heap->starved = false;
    heap->pending = 0;
}

/* Whether a block was refused for good since then. */
static inline bool lp_heap_has_refused(const lp_heap *heap)
{
    return heap->refused || heap->pending != 0;
}

/* Whether too little of the limit is free for a task to begin with. */
static inline bool lp_heap_is_full(const lp_heap *heap)
{
    return heap->limit > 0 && heap->used > heap->limit / 4 * 3;
}

#endif
