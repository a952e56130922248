/* lock.c - Linux futexes, and locks of them that check their rank. */
#include "base/lock.h"

#include "base/clock.h"
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef LP_DEBUG
/* A bit for each rank that this thread holds. */
static _Thread_local unsigned held;

void lp_lock_note_enter(const lp_lock *lock)
{
    assert(held < (1u << lock->rank) && "locks are taken in rising rank");
    held |= 1u << lock->rank;
}

void lp_lock_note_leave(const lp_lock *lock)
{
    held &= ~(1u << lock->rank);
}
#endif

void lp_lock_wait(lp_lock *lock)
{
    int error = errno;
    /* Whoever gets it this way leaves it as awaited: others may wait too. */
    while (atomic_exchange_explicit(&lock->word, LP_LOCK_AWAITED,
                                    memory_order_acquire) != LP_LOCK_FREE)
        (void)lp_park(&lock->word, LP_LOCK_AWAITED, LP_NEVER);
    errno = error;
}

void lp_lock_wake(lp_lock *lock)
{
    int error = errno;
    /* The lock may be gone by now: then nobody is parked there. */
    lp_unpark_one(&lock->word);
    errno = error;
}

int lp_park(_Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    struct timespec until;
    struct timespec *limit = NULL;
    if (deadline != LP_NEVER) {
        lp_clock_timespec(deadline, &until);
        limit = &until;
    }
    /* WAIT_BITSET takes an absolute time on the monotonic clock. */
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, limit,
                          NULL, FUTEX_BITSET_MATCH_ANY);
    if (result == 0 || errno == EAGAIN) return LP_OK;
    if (errno == ETIMEDOUT) return LP_TIMEOUT;
    return LP_INTERRUPTED;
}

static void wake(_Atomic uint32_t *word, int count)
{
    /* Nothing can fail here but a bad address, which cannot be. */
    (void)syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

void lp_unpark_one(_Atomic uint32_t *word)
{
    wake(word, 1);
}

void lp_unpark_all(_Atomic uint32_t *word)
{
    wake(word, INT_MAX);
}
