/*
 * alloc.h - all memory that Lua does not manage.
 *
 * Like malloc and its kin, and any thread may call any function. Builds with
 * LP_TEST_ALLOC count live blocks and can fail on demand; in others these
 * are plain calls and cost nothing.
 */
#ifndef LP_BASE_ALLOC_H
#define LP_BASE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

/*
 * Let the system have what is free. It takes milliseconds, and keeps others
 * from allocating meanwhile: for when much has been freed at once.
 */
void lp_alloc_give_back(void);

#ifdef LP_TEST_ALLOC

void *lp_alloc(size_t size);
void *lp_calloc(size_t count, size_t size);
void *lp_realloc(void *block, size_t size);
void lp_free(void *block);

/* Blocks given out and not freed yet, by all threads. */
size_t lp_alloc_live(void);

/*
 * Let the n-th allocation of this thread from now fail, and all that follow
 * succeed. 0 or less: none fails.
 */
void lp_alloc_fail_at(long n);

#else

static inline void *lp_alloc(size_t size)
{
    return malloc(size);
}

static inline void *lp_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

static inline void *lp_realloc(void *block, size_t size)
{
    return realloc(block, size);
}

static inline void lp_free(void *block)
{
    free(block);
}

#endif

#endif
