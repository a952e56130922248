/*
 * lock.h - mutexes that know their rank, and parking on a word.
 *
 * Locks are taken in increasing rank. Debug builds check it on every entry;
 * clang checks at compile time that every path releases. A thread that has
 * to wait parks on an atomic word, and whoever changes the word wakes it.
 */
#ifndef LP_BASE_LOCK_H
#define LP_BASE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#    define LP_ATTRIBUTE(x) __attribute__((x))
#else
#    define LP_ATTRIBUTE(x)
#endif
#define LP_CAPABILITY  LP_ATTRIBUTE(capability("lock"))
#define LP_ACQUIRES(l) LP_ATTRIBUTE(acquire_capability(l))
#define LP_RELEASES(l) LP_ATTRIBUTE(release_capability(l))
#define LP_HOLDS(l)    LP_ATTRIBUTE(requires_capability(l))
#define LP_UNCHECKED   LP_ATTRIBUTE(no_thread_safety_analysis)

/* The whole order, in one place. A thread holds at most one lock per rank. */
typedef enum lp_rank {
    LP_RANK_POOL = 1,   /* what the api makes when first needed */
    LP_RANK_HOST,       /* the list of executors of one host */
    LP_RANK_EXECUTOR,   /* slots, workers and shutdown of one executor */
    LP_RANK_WORKERS,    /* the threads of one executor */
    LP_RANK_NURSERY,    /* the zygote of one host, and who came from it */
    LP_RANK_SUPERVISOR, /* the start of one host's supervisor */
    LP_RANK_WAITERS,    /* who waits for which task, in one host */
    LP_RANK_LIBRARY,    /* the entries of one library */
    LP_RANK_LINK,       /* questions of a child to its host */
} lp_rank;

typedef struct LP_CAPABILITY lp_lock {
    pthread_mutex_t mutex;
    lp_rank rank;
} lp_lock;

void lp_lock_init(lp_lock *lock, lp_rank rank);
void lp_lock_clear(lp_lock *lock);
void lp_lock_enter(lp_lock *lock) LP_ACQUIRES(lock);
void lp_lock_leave(lp_lock *lock) LP_RELEASES(lock);

/*
 * Sleep while *word is expected, until a monotonic time in nanoseconds
 * (LP_NEVER: for ever). LP_OK if woken or the word differs, LP_TIMEOUT, or
 * LP_INTERRUPTED if a signal handler ran. May wake for no reason.
 */
int lp_park(_Atomic uint32_t *word, uint32_t expected, int64_t deadline);

/* Wake one thread, or all, that are parked on word. */
void lp_unpark_one(_Atomic uint32_t *word);
void lp_unpark_all(_Atomic uint32_t *word);

#endif
