/* spans.c - a sorted array; adding merges. */
#include "core/spans.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

void lp_spans_clear(lp_spans *spans)
{
    lp_free(spans->list);
    *spans = (lp_spans){0};
}

/* The first span that ends at or after number. */
static size_t find(const lp_spans *spans, uint32_t number)
{
    size_t low = 0, high = spans->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (spans->list[middle].end < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int lp_spans_add(lp_spans *spans, const lp_allocator *allocator, uint32_t first,
                 uint32_t end)
{
    if (first >= end) return LP_OK;
    if (spans->count == spans->room) {
        size_t room = 2 * spans->room + 4;
        lp_span *list =
            lp_realloc(allocator, spans->list, room * sizeof(*list));
        if (!list) return LP_NOMEM;
        spans->list = list;
        spans->room = room;
    }
    size_t at = find(spans, first), last = at;
    /* All that touch the new one become part of it. */
    while (last < spans->count && spans->list[last].first <= end) {
        if (spans->list[last].first < first) first = spans->list[last].first;
        if (spans->list[last].end > end) end = spans->list[last].end;
        last++;
    }
    memmove(&spans->list[at + 1], &spans->list[last],
            (spans->count - last) * sizeof(spans->list[0]));
    spans->list[at] = (lp_span){first, end};
    spans->count = spans->count + 1 - (last - at);
    return LP_OK;
}

bool lp_spans_have(const lp_spans *spans, uint32_t number)
{
    size_t at = find(spans, number + 1);
    return at < spans->count && spans->list[at].first <= number;
}
