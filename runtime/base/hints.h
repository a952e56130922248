/*
 * hints.h - what we know of the hot path, and compiler and processor do not.
 */
#ifndef LP_BASE_HINTS_H
#define LP_BASE_HINTS_H

/*
 * The slow half of a function, apart, so that the other half does not pay for
 * its frame.
 */
#define LP_APART __attribute__((noinline))

/*
 * The line at address will be written here soon, and others may have it now:
 * fetch it for this processor alone, and go on meanwhile.
 */
static inline void lp_prefetch_to_write(const void *address)
{
#if defined(__x86_64__)
    /* Old processors do nothing; the builtin would, as it is meant for all,
     * fetch the line for reading. */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1);
#endif
}

#endif
