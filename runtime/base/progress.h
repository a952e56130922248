/*
 * progress.h - how far a worker is with the items of a piece.
 *
 * A worker that may die at any moment writes this down after each item, so
 * that whoever comes after it can save the results that were made. Results
 * lie in the worker's arena from the first byte then.
 */
#ifndef LP_BASE_PROGRESS_H
#define LP_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct lp_progress {
    _Atomic uint64_t results; /* their place, times 4, plus their form */
    _Atomic uint32_t done;    /* items whose results are there; set last */
} lp_progress;

#endif
