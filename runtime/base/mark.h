/*
 * mark.h - words by which memory is known for what it is.
 *
 * A mark is the address of what it marks, mixed with a secret of the process:
 * no other content of memory looks like one but by a chance of one in 2^56,
 * and nobody can make one who cannot read this process's memory.
 */
#ifndef LP_BASE_MARK_H
#define LP_BASE_MARK_H

#include <stdatomic.h>
#include <stdint.h>

/* What there is to be marked; at most 256 kinds. */
typedef enum lp_mark_kind {
    LP_MARK_FREE = 0, /* blocks of slabs; and the class added to it */
    LP_MARK_TIED = 64,
    LP_MARK_EXECUTOR,
    LP_MARK_OBJECT,
} lp_mark_kind;

extern _Atomic uint64_t lp_mark_secret;

/* Choose the secret, once for all; before any mark is made. Any thread. */
void lp_mark_open(void);

/* The mark of what lies at this address, which is a multiple of 8. */
static inline uint64_t lp_mark(const void *address, unsigned kind)
{
    return (atomic_load_explicit(&lp_mark_secret, memory_order_relaxed) ^
            ((uint64_t)(uintptr_t)address << 5)) +
           kind;
}

#endif
