/* lock.c - pthread mutexes with a rank check, and Linux futexes. */
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

static void note_enter(const lp_lock *lock)
{
    assert(held < (1u << lock->rank) && "locks are taken in rising rank");
    held |= 1u << lock->rank;
}

static void note_leave(const lp_lock *lock)
{
    held &= ~(1u << lock->rank);
}
#else
static void note_enter(const lp_lock *lock)
{
    (void)lock;
}

static void note_leave(const lp_lock *lock)
{
    (void)lock;
}
#endif

void lp_lock_init(lp_lock *lock, lp_rank rank)
{
    pthread_mutex_init(&lock->mutex, NULL);
    lock->rank = rank;
}

void lp_lock_clear(lp_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void lp_lock_enter(lp_lock *lock) LP_UNCHECKED
{
    note_enter(lock);
    pthread_mutex_lock(&lock->mutex);
}

void lp_lock_leave(lp_lock *lock) LP_UNCHECKED
{
    pthread_mutex_unlock(&lock->mutex);
    note_leave(lock);
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
