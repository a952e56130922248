/*
 * alloc.h - all memory that Lua does not manage.
 *
 * Each block remembers the allocator that it came from, a host's own or the
 * system's, so that it can be freed by whoever has it. Any thread may call
 * any function. Builds with LP_TEST_ALLOC count live blocks and can fail on
 * demand.
 */
#ifndef LP_BASE_ALLOC_H
#define LP_BASE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

/*
 * Where memory comes from. Called by any thread, by several at once. It
 * stays where it is, and outlives all blocks that came from it.
 */
typedef struct lp_allocator {
    /* As a lua_Alloc; NULL: malloc and its kin. */
    void *(*allocate)(void *context, void *block, size_t before, size_t after);
    void *context;
} lp_allocator;

/* Like malloc and calloc. NULL as the allocator: malloc and its kin. */
void *lp_alloc(const lp_allocator *allocator, size_t size);
void *lp_calloc(const lp_allocator *allocator, size_t count, size_t size);

/* A copy of a text. NULL: no memory. */
char *lp_alloc_text(const lp_allocator *allocator, const char *text);

/* Like realloc; a block that is there keeps its own allocator. */
void *lp_realloc(const lp_allocator *allocator, void *block, size_t size);

/* Like free. */
void lp_free(void *block);

/* The allocator that block came from is now at another address. */
void lp_alloc_rebind(void *block, const lp_allocator *allocator);

/* Whether it is a host's own. */
static inline int lp_allocator_is_own(const lp_allocator *allocator)
{
    return allocator && allocator->allocate;
}

/*
 * Let the system have what is free. It takes milliseconds, and keeps others
 * from allocating meanwhile: for when much has been freed at once.
 */
void lp_alloc_give_back(void);

#ifdef LP_TEST_ALLOC

/* Blocks given out and not freed yet, by all threads. */
size_t lp_alloc_live(void);

/*
 * Let the n-th allocation of this thread from now fail, and all that follow
 * succeed. 0 or less: none fails.
 */
void lp_alloc_fail_at(long n);

#endif

#endif
