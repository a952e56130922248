/* pages.c - mmap. */
#include "base/pages.h"

#include <sys/mman.h>

void *lp_pages_take(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void lp_pages_prefer_huge(void *pages, size_t size)
{
    (void)madvise(pages, size, MADV_HUGEPAGE); /* else they are small */
}

void lp_pages_empty(void *pages, size_t size)
{
    (void)madvise(pages, size, MADV_DONTNEED); /* else they stay full */
}

void lp_pages_give(void *pages, size_t size)
{
    if (pages) (void)munmap(pages, size);
}
