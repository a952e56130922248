/*
 * prefetch.h - having memory near before it is needed.
 */
#ifndef LP_BASE_PREFETCH_H
#define LP_BASE_PREFETCH_H

/*
 * The line at address will be written here soon, and others may have it now:
 * fetch it for this processor alone, and go on meanwhile.
 */
static inline void lp_prefetch_to_write(const void *address)
{
#if defined(__x86_64__)
    /* The builtin would fetch it for reading, for the sake of old ones. */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1);
#endif
}

#endif
