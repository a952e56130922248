/*
 * spans.h - which of a row of numbered things are accounted for.
 *
 * A sorted list of spans that neither touch nor overlap. Since things come
 * nearly in order there are few of them. One thread at a time.
 */
#ifndef LP_CORE_SPANS_H
#define LP_CORE_SPANS_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lp_span {
    uint32_t first;
    uint32_t end;
} lp_span;

/* All zeroes is an empty list. */
typedef struct lp_spans {
    lp_span *list;
    size_t count;
    size_t room;
} lp_spans;

void lp_spans_clear(lp_spans *spans);

/* Add first to end, which is not in; parts may be there. 0 or LP_NOMEM. */
int lp_spans_add(lp_spans *spans, const lp_allocator *allocator, uint32_t first,
                 uint32_t end);

bool lp_spans_have(const lp_spans *spans, uint32_t number);

#endif
