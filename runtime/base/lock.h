/*
 * lock.h - locks that know their rank, and parking on a word.
 *
 * Locks are taken in increasing rank. Debug builds check it on every entry;
 * clang checks at compile time that every path releases. A thread that has
 * to wait parks on an atomic word, and whoever changes the word wakes it. A
 * lock is such a word, so that to enter one that is free, and to leave one
 * that nobody waits for, is one instruction each.
 */
#ifndef LP_BASE_LOCK_H
#define LP_BASE_LOCK_H

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
    LP_RANK_TRACE,      /* which tracks one trace has */
    LP_RANK_TRACK,      /* what is in the buffer of one of them */
    LP_RANK_SINK,       /* the file that it all goes to, or the link */
    LP_RANK_LINK,       /* questions of a child to its host */
    LP_RANK_OBJECTS,    /* the shared objects of one host */
    LP_RANK_OBJECT,     /* what is in one of them */
} lp_rank;

/* What the word of a lock says. */
enum { LP_LOCK_FREE, LP_LOCK_HELD, LP_LOCK_AWAITED };

typedef struct LP_CAPABILITY lp_lock {
    _Atomic uint32_t word;
    lp_rank rank;
} lp_lock;

/* The parts of lp_lock_enter and lp_lock_leave for when others want it. */
void lp_lock_wait(lp_lock *lock);
void lp_lock_wake(lp_lock *lock);

#ifdef LP_DEBUG
void lp_lock_note_enter(const lp_lock *lock);
void lp_lock_note_leave(const lp_lock *lock);
#else
#    define lp_lock_note_enter(lock) ((void)(lock))
#    define lp_lock_note_leave(lock) ((void)(lock))
#endif

static inline void lp_lock_init(lp_lock *lock, lp_rank rank)
{
    atomic_init(&lock->word, LP_LOCK_FREE);
    lock->rank = rank;
}

static inline void lp_lock_enter(lp_lock *lock) LP_ACQUIRES(lock) LP_UNCHECKED
{
    uint32_t free = LP_LOCK_FREE;
    lp_lock_note_enter(lock);
    if (!atomic_compare_exchange_strong_explicit(
            &lock->word, &free, LP_LOCK_HELD, memory_order_acquire,
            memory_order_relaxed))
        lp_lock_wait(lock);
}

static inline void lp_lock_leave(lp_lock *lock) LP_RELEASES(lock) LP_UNCHECKED
{
    lp_lock_note_leave(lock); /* before it may be gone */
    uint32_t before = atomic_exchange_explicit(&lock->word, LP_LOCK_FREE,
                                               memory_order_release);
    if (before == LP_LOCK_AWAITED) lp_lock_wake(lock);
}

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
