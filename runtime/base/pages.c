/* pages.c - mmap, aligned for huge pages. */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE ((size_t)2 << 20)

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void *lp_pages_take(size_t size)
{
    if (size < HUGE) return map(size);
    if (size > SIZE_MAX - HUGE) return NULL;
    uint8_t *memory = map(size + HUGE);
    if (!memory) return NULL;
    /* Cut off what is in front of a multiple of the size, and the rest. */
    size_t before = (HUGE - (uintptr_t)memory % HUGE) % HUGE;
    size_t behind = (before + size + 4095) / 4096 * 4096;
    if (before > 0) (void)munmap(memory, before);
    if (behind < size + HUGE)
        (void)munmap(memory + behind, size + HUGE - behind);
    (void)madvise(memory + before, size, MADV_HUGEPAGE); /* if it has some */
    return memory + before;
}

void lp_pages_give(void *pages, size_t size)
{
    if (pages) (void)munmap(pages, size);
}

void lp_pages_empty(void *pages, size_t size)
{
    (void)madvise(pages, size, MADV_DONTNEED);
}
