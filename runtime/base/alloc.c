/* alloc.c - blocks behind a header, which says where they came from. */
#include "base/alloc.h"

#include <features.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#ifdef __GLIBC__
#    include <malloc.h>
#endif

typedef struct header {
    alignas(max_align_t) const lp_allocator *allocator;
    size_t size; /* of it all */
} header;

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

static void count(int by)
{
    atomic_fetch_add(&live, (size_t)by);
}

size_t lp_alloc_live(void)
{
    return atomic_load(&live);
}

void lp_alloc_fail_at(long n)
{
    until_failure = n;
}

#else

#    define must_fail() 0

static inline void count(int by)
{
    (void)by;
}

#endif

/* Write the header; gives the block behind it. */
static void *seal(header *made, const lp_allocator *allocator, size_t size)
{
    if (!made) return NULL;
    made->allocator = allocator;
    made->size = size;
    return made + 1;
}

void *lp_alloc(const lp_allocator *allocator, size_t size)
{
    return lp_realloc(allocator, NULL, size);
}

void *lp_calloc(const lp_allocator *allocator, size_t number, size_t size)
{
    if (size > 0 && number > (SIZE_MAX - sizeof(header)) / size) return NULL;
    size_t whole = sizeof(header) + number * size;
    header *made;

    if (must_fail()) return NULL;
    if (lp_allocator_is_own(allocator)) {
        made = allocator->allocate(allocator->context, NULL, 0, whole);
        if (made) memset(made, 0, whole);
    } else {
        made = calloc(1, whole); /* pages that are not touched cost nothing */
    }
    if (made) count(1);
    return seal(made, allocator, whole);
}

void *lp_realloc(const lp_allocator *allocator, void *block, size_t size)
{
    header *old = block ? (header *)block - 1 : NULL;
    size_t before = old ? old->size : 0;

    if (size > SIZE_MAX - sizeof(header) || must_fail()) return NULL;
    if (old) allocator = old->allocator;
    size += sizeof(header);
    header *made =
        lp_allocator_is_own(allocator)
            ? allocator->allocate(allocator->context, old, before, size)
            : realloc(old, size);
    if (made && !old) count(1);
    return seal(made, allocator, size);
}

char *lp_alloc_text(const lp_allocator *allocator, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = lp_alloc(allocator, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void lp_free(void *block)
{
    if (!block) return;
    header *made = (header *)block - 1;
    const lp_allocator *allocator = made->allocator;

    count(-1);
    if (!lp_allocator_is_own(allocator)) {
        free(made);
        return;
    }
    /* It may lie in the very block that goes. */
    lp_allocator own = *allocator;
    (void)own.allocate(own.context, made, made->size, 0); /* it is gone */
}

void lp_alloc_rebind(void *block, const lp_allocator *allocator)
{
    ((header *)block - 1)->allocator = allocator;
}

void lp_alloc_give_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0); /* it tells whether there was anything to give */
#endif
}
