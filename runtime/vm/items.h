/*
 * items.h - run many items of a map with one function.
 *
 * Results are gathered in the state until they are taken. Forms are those of
 * core/group.h, told here by two numbers so that vm need not know core.
 *
 * In the form of messages, each item stands behind a header of eight bytes:
 * its length in bytes, times four, plus for results their lp_ending.
 */
#ifndef LP_VM_ITEMS_H
#define LP_VM_ITEMS_H

#include "base/progress.h"
#include "vm/call.h"

#include <stdbool.h>

#define LP_ITEMS_MESSAGES 0u
#define LP_ITEMS_INTEGERS 1u
#define LP_ITEMS_RANGE    2u

typedef struct lp_items_source {
    uint64_t serial; /* of the map: the function is kept for the next */
    uint32_t form;
    bool assigns;        /* decode the function for each item */
    uint32_t retries;    /* runs of an item after one that failed */
    const uint8_t *head; /* the function: a message */
    size_t head_length;
    const uint8_t *items;
    size_t items_length;
    const uint64_t *index; /* where each stride-th item begins */
    uint32_t stride;
    const lp_handle *handles;
    size_t handle_count;
    int64_t first; /* of a range */
    int64_t step;
    lp_progress *progress; /* kept up to date after each item; may be NULL */
    size_t prefix;         /* bytes to leave free in front of the results */
} lp_items_source;

/* Begin with item number first; results gathered before are dropped. */
void lp_items_begin(lp_state *state, const lp_items_source *source,
                    uint32_t first);

/* Run the next count items. */
void lp_items_run(lp_state *state, uint32_t count);

/* What came of the items since begin. */
typedef struct lp_items_made {
    uint32_t form;        /* of the results */
    uint32_t failed;      /* items without results */
    uint32_t cancelled;   /* the same, since somebody stopped them */
    const uint8_t *bytes; /* the state's until it goes on; unless given: */
    size_t length;
    uint64_t place; /* in the state's memory, behind the prefix */
} lp_items_made;

/* With progress, results are given; place is 0 if there was no memory. */
void lp_items_end(lp_state *state, lp_items_made *made);

#endif
