/*
 * idle.h - which workers sleep, and who wakes them.
 *
 * A worker that finds nothing to do declares that it is about to sleep, looks
 * once more, and sleeps. Whoever adds work looks whether anybody sleeps. One
 * of the two sees the other, since both use the total order of atomics.
 *
 * At most one wake-up is under way at a time: the woken worker, having taken
 * its share, wakes the next if work is left. So a burst of submits makes a
 * system call or two, and none at all while the workers are busy.
 */
#ifndef LP_CORE_IDLE_H
#define LP_CORE_IDLE_H

#include "base/lock.h"

typedef struct lp_idle {
    char apart[64];            /* from what is written all the time */
    _Atomic uint32_t sleepers; /* declared, or asleep */
    _Atomic uint32_t waking;   /* a wake-up is under way */
    _Atomic uint32_t event;    /* the word they sleep on */
    _Atomic uint32_t napper;   /* will look again soon: its number + 1 */
} lp_idle;

/* Declare; gives what to sleep on. Then look for work again. */
uint32_t lp_idle_declare(lp_idle *idle);

/* Sleep until woken after the declaration. */
void lp_idle_sleep(lp_idle *idle, uint32_t declared);

/* The declaration ends: work was found, or a wake-up came. */
void lp_idle_leave(lp_idle *idle);

/* Wake all, for good reasons only: closing, work for all. */
void lp_idle_wake_all(lp_idle *idle);

/*
 * Sleep until the deadline, without being woken for work: for worker number,
 * in the middle of a burst. Nobody else is woken meanwhile; it looks in time.
 */
void lp_idle_nap(lp_idle *idle, uint32_t number, int64_t deadline);

/*
 * Worker number has died, wherever it was: what it stands for here ends.
 * slept: it had declared, and not left.
 */
void lp_idle_bury(lp_idle *idle, uint32_t number, bool slept);

void lp_idle_wake_one_slowly(lp_idle *idle);

/*
 * Work was added, or is left: wake one, if one sleeps and none is waking or
 * about to look anyway.
 */
static inline void lp_idle_wake_one(lp_idle *idle)
{
    if (atomic_load(&idle->sleepers) != 0) lp_idle_wake_one_slowly(idle);
}

#endif
