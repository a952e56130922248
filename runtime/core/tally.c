/* tally.c - adding up, and percentiles. */
#include "core/tally.h"

void lp_sum_add(lp_sum *sum, lp_times *times)
{
    int64_t longest = atomic_load(&times->longest);
    if (longest > sum->longest) sum->longest = longest;
    for (uint32_t i = 0; i < LP_TALLY_BUCKETS; i++) {
        uint32_t count =
            atomic_load_explicit(&times->buckets[i], memory_order_relaxed);
        sum->buckets[i] += count;
        sum->count += count;
    }
}

static void add_sum(lp_sum *sum, const lp_sum *more)
{
    if (more->longest > sum->longest) sum->longest = more->longest;
    sum->count += more->count;
    for (uint32_t i = 0; i < LP_TALLY_BUCKETS; i++)
        sum->buckets[i] += more->buckets[i];
}

void lp_counts_add(lp_counts *counts, const lp_counts *more)
{
    counts->submitted += more->submitted;
    counts->pending += more->pending;
    counts->running += more->running;
    counts->completed += more->completed;
    counts->failed += more->failed;
    counts->cancelled += more->cancelled;
    counts->lost += more->lost;
    add_sum(&counts->runs, &more->runs);
    add_sum(&counts->waits, &more->waits);
}

/* The longest time that a bucket counts. */
static int64_t bucket_end(uint32_t bucket)
{
    if (bucket == 0) return ((int64_t)1 << LP_TALLY_FIRST) - 1;
    uint32_t top = LP_TALLY_FIRST + (bucket - 1) / 4;
    int64_t quarters = 4 + (bucket - 1) % 4;
    return ((quarters + 1) << (top - 2)) - 1;
}

int64_t lp_sum_percentile(const lp_sum *sum, unsigned percent)
{
    uint64_t below = 0;
    if (sum->count == 0) return 0;
    /* The rank is rounded up, so that 99 of 10 is the last of them. */
    uint64_t rank = (sum->count * percent + 99) / 100;
    for (uint32_t i = 0; i < LP_TALLY_BUCKETS; i++) {
        below += sum->buckets[i];
        if (below < rank) continue;
        int64_t end = bucket_end(i);
        return end < sum->longest ? end : sum->longest;
    }
    return sum->longest;
}
