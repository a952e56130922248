/*
 * bell.h - the word on which a host's threads sleep when they wait for more
 * than one task.
 *
 * Whoever puts something in a list that a waiting thread looks at rings the
 * bell afterwards. It costs no system call unless somebody sleeps.
 */
#ifndef LP_CORE_BELL_H
#define LP_CORE_BELL_H

#include "base/lock.h"

#define LP_BELL_SLEEPERS 1u
#define LP_BELL_RING     2u

typedef struct lp_bell {
    _Atomic uint32_t word; /* rings, times two; plus one if anyone sleeps */
} lp_bell;

static inline void lp_bell_ring(lp_bell *bell)
{
    uint32_t before = atomic_fetch_add(&bell->word, LP_BELL_RING);
    if (before & LP_BELL_SLEEPERS) {
        atomic_fetch_and(&bell->word, ~LP_BELL_SLEEPERS);
        lp_unpark_all(&bell->word);
    }
}

/* What to give to lp_bell_sleep; look at the lists after this. */
static inline uint32_t lp_bell_listen(lp_bell *bell)
{
    return atomic_fetch_or(&bell->word, LP_BELL_SLEEPERS) | LP_BELL_SLEEPERS;
}

/* Sleep until it rings after lp_bell_listen. As lp_park. */
static inline int lp_bell_sleep(lp_bell *bell, uint32_t heard, int64_t deadline)
{
    return lp_park(&bell->word, heard, deadline);
}

#endif
