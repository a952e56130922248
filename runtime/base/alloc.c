/* alloc.c - giving back; the allocation functions as tests want them. */
#include "base/alloc.h"

#include <features.h>
#ifdef __GLIBC__
#    include <malloc.h>
#endif

#ifdef LP_TEST_ALLOC

#    include <stdatomic.h>
#    include <stdbool.h>

static _Atomic size_t live;
static _Thread_local long until_failure;

/* Whether the allocation that asks is the one that has to fail. */
static bool must_fail(void)
{
    return until_failure > 0 && --until_failure == 0;
}

/* Count block, unless there was no memory for it. */
static void *counted(void *block)
{
    if (block) atomic_fetch_add(&live, 1);
    return block;
}

void *lp_alloc(size_t size)
{
    return must_fail() ? NULL : counted(malloc(size));
}

void *lp_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : counted(calloc(count, size));
}

void *lp_realloc(void *block, size_t size)
{
    if (must_fail()) return NULL;
    if (!block) return counted(malloc(size));
    return realloc(block, size);
}

void lp_free(void *block)
{
    if (block) atomic_fetch_sub(&live, 1);
    free(block);
}

size_t lp_alloc_live(void)
{
    return atomic_load(&live);
}

void lp_alloc_fail_at(long n)
{
    until_failure = n;
}

#endif

void lp_alloc_give_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0); /* it tells whether there was anything to give */
#endif
}
