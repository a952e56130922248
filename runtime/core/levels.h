/*
 * levels.h - the run queue in levels: higher priorities first, each level a
 * ring of its own (queue.h), first in first out.
 *
 * The host puts, one thread at a time (the caller holds the executor's
 * lock); takers need no lock. Priority 0 is the level that is always there.
 * Others are made when they are first needed, and an empty one may become
 * that of another priority; so no more than LP_LEVELS priorities can wait at
 * a time. Takers that look while levels change may take a little out of
 * order what is put at that moment, and never miss it.
 */
#ifndef LP_CORE_LEVELS_H
#define LP_CORE_LEVELS_H

#include "base/alloc.h"
#include "core/queue.h"
#include "core/table.h"

#define LP_LEVELS 64u

/* What all processes see and only the host writes; all zeroes at first. */
typedef struct lp_levels_layout {
    /*
     * How often the levels were changed. 0: there is only one; else the
     * order that holds is that of the parity.
     */
    _Atomic uint32_t changes;
    _Atomic uint32_t count; /* of levels besides the first; never falls */
    struct {
        _Atomic uint8_t count;
        _Atomic uint8_t level[LP_LEVELS]; /* highest priority first; 0: the
                                             first */
    } order[2];
    lp_chunk_places rings;         /* of the first level */
    lp_chunk_places words, places; /* tables for the others */
} lp_levels_layout;

/* A level besides the first, as one process sees it. */
typedef struct lp_level {
    lp_queue queue;
    int64_t priority; /* the host's own */
} lp_level;

typedef struct lp_levels {
    const lp_allocator *allocator;
    lp_queue first;
    lp_levels_layout *layout;
    lp_shm *file; /* that the rings are in; NULL: private memory */
    lp_table words;
    lp_table places;
    _Atomic(lp_level *) more[LP_LEVELS]; /* level n is at n; 0 is unused */
} lp_levels;

/*
 * Where levels lie: in private memory, or in the host's file and the one
 * that all write. Then make them, or attach to those another process made.
 */
void lp_levels_place(lp_levels *levels, lp_levels_layout *layout, lp_shm *host,
                     lp_shm *words, const lp_allocator *allocator);
int lp_levels_init(lp_levels *levels, lp_queue_words *words);
void lp_levels_attach(lp_levels *levels, lp_queue_words *words);
void lp_levels_clear(lp_levels *levels);

/*
 * Append an entry to the level of a priority. 0, LP_NOMEM, LP_CORRUPT; or
 * LP_CROWDED: so many priorities wait that this would be one too many.
 */
static inline int lp_levels_put(lp_levels *levels, int64_t priority,
                                uint32_t entry);

/* The same for a priority other than 0. */
int lp_levels_put_among(lp_levels *levels, int64_t priority, uint32_t entry);

/* For the putter: visit what is queued, highest first. */
void lp_levels_each(lp_levels *levels,
                    void (*visit)(void *context, uint32_t entry),
                    void *context);

/* A level by its number, from 0, for the putter; NULL past the last. */
lp_queue *lp_levels_at(lp_levels *levels, uint32_t number);

lp_queue *lp_levels_search(lp_levels *levels);
uint64_t lp_levels_count(lp_levels *levels);

static inline int lp_levels_put(lp_levels *levels, int64_t priority,
                                uint32_t entry)
{
    if (priority == 0) return lp_queue_put(&levels->first, entry);
    return lp_levels_put_among(levels, priority, entry);
}

/* The highest level that has an entry, to take from it; NULL if none has. */
static inline lp_queue *lp_levels_first(lp_levels *levels)
{
    if (atomic_load(&levels->layout->changes) != 0)
        return lp_levels_search(levels);
    return lp_queue_length(&levels->first) > 0 ? &levels->first : NULL;
}

/* How many entries there are on all levels; already past when it returns. */
static inline uint64_t lp_levels_length(lp_levels *levels)
{
    if (atomic_load(&levels->layout->changes) != 0)
        return lp_levels_count(levels);
    return lp_queue_length(&levels->first);
}

#endif
