/*
 * mark.h - words by which memory is known for what it is.
 *
 * A mark is the address of what it marks, mixed with a secret of the process:
 * no other content of memory looks like one but by a chance of one in 2^56,
 * and nobody can make one who cannot read this process's memory. What is left
 * of a mark, when somebody else has written a part of it, is no mark of another
 * kind: Lua's values are written so, 9 bytes of 16.
 */
#ifndef LP_BASE_MARK_H
#define LP_BASE_MARK_H

#include <stdatomic.h>
#include <stdint.h>

/* What there is to be marked. */
typedef enum lp_mark_kind {
    LP_MARK_FREE = 1, /* a block of slabs; they add its class */
    LP_MARK_TIED,
    LP_MARK_EXECUTOR,
    LP_MARK_OBJECT,
} lp_mark_kind;

extern _Atomic uint64_t lp_mark_secret;

/* Choose the secret, once for all; before any mark is made. Any thread. */
void lp_mark_open(void);

/*
 * The mark of what lies at this address, which is a multiple of 8. The lowest
 * byte is zero.
 */
static inline uint64_t lp_mark(const void *address, lp_mark_kind kind)
{
    return atomic_load_explicit(&lp_mark_secret, memory_order_relaxed) ^
           ((uint64_t)(uintptr_t)address << 5) ^ ((uint64_t)kind << 56);
}

#endif
