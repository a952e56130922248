/*
 * tally.h - what one worker has done so far, and how long it took.
 *
 * The worker alone writes, with plain stores, so that counting costs nearly
 * nothing; the host reads at any time, and adds the tallies of all workers.
 * Times are counted in buckets, four for each doubling, so a percentile is
 * right to about a tenth.
 */
#ifndef LP_CORE_TALLY_H
#define LP_CORE_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

/* From 2^LP_TALLY_FIRST nanoseconds on; the last takes what is longer. */
#define LP_TALLY_FIRST   9u
#define LP_TALLY_BUCKETS 128u

typedef struct lp_times {
    _Atomic int64_t longest; /* nanoseconds */
    _Atomic uint32_t buckets[LP_TALLY_BUCKETS];
} lp_times;

typedef struct lp_tally {
    char apart[64];             /* from that of the worker before */
    _Atomic uint64_t failed;    /* of the tasks and items that it has ended */
    _Atomic uint64_t cancelled; /* the same */
    lp_times runs;
    lp_times waits; /* of tasks, from submit to start; see lp_cell */
} lp_tally;

/* Which bucket a time belongs to. */
static inline uint32_t lp_tally_bucket(int64_t nanoseconds)
{
    if (nanoseconds < (int64_t)1 << LP_TALLY_FIRST) return 0;
    uint32_t top = 63u - (uint32_t)__builtin_clzll((uint64_t)nanoseconds);
    uint32_t quarter = (uint32_t)(nanoseconds >> (top - 2)) & 3;
    uint32_t bucket = 1 + (top - LP_TALLY_FIRST) * 4 + quarter;
    return bucket < LP_TALLY_BUCKETS ? bucket : LP_TALLY_BUCKETS - 1;
}

/* The worker: count that many took so long each. */
static inline void lp_times_add(lp_times *times, int64_t nanoseconds,
                                uint32_t count)
{
    _Atomic uint32_t *bucket = &times->buckets[lp_tally_bucket(nanoseconds)];
    uint32_t before = atomic_load_explicit(bucket, memory_order_relaxed);
    atomic_store_explicit(bucket, before + count, memory_order_relaxed);
    if (nanoseconds >
        atomic_load_explicit(&times->longest, memory_order_relaxed))
        atomic_store_explicit(&times->longest, nanoseconds,
                              memory_order_relaxed);
}

/* The worker: some that it ended had no result. */
static inline void lp_tally_add(_Atomic uint64_t *counter, uint64_t count)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + count, memory_order_relaxed);
}

/* The times of many workers, added up; all zeroes at first. */
typedef struct lp_sum {
    int64_t longest;
    uint64_t count;
    uint64_t buckets[LP_TALLY_BUCKETS];
} lp_sum;

void lp_sum_add(lp_sum *sum, lp_times *times);

/* Tasks and items; those from pending to lost make up the first. */
typedef struct lp_counts {
    uint64_t submitted;
    uint64_t pending;
    uint64_t running;
    uint64_t completed; /* with results */
    uint64_t failed;    /* by an error, a limit, or since the pool broke */
    uint64_t cancelled;
    uint64_t lost; /* with their workers */
    lp_sum runs;   /* from start to end */
    lp_sum waits;  /* from submit to start; of many tasks a sample */
} lp_counts;

void lp_counts_add(lp_counts *counts, const lp_counts *more);

/* So many of a hundred took this long at most, in nanoseconds; 0 for none. */
int64_t lp_sum_percentile(const lp_sum *sum, unsigned percent);

#endif
