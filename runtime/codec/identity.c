/* identity.c - open addressing; an epoch tells old entries from new ones. */
#include "codec/identity.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

/* Past this, the memory is given back between messages. */
#define LARGE ((size_t)1 << 16)

#define SMALLEST_BITS 6

void lp_identity_clear(lp_identity *identity)
{
    lp_free(identity->entries);
    *identity = (lp_identity){.allocator = identity->allocator};
}

void lp_identity_reset(lp_identity *identity)
{
    if (identity->count == 0) return;
    identity->count = 0;
    if (identity->capacity > LARGE) {
        lp_identity_clear(identity);
        return;
    }
    if (++identity->epoch == 0) {
        memset(identity->entries, 0,
               identity->capacity * sizeof(*identity->entries));
        identity->epoch = 1;
    }
}

int lp_identity_grow(lp_identity *identity)
{
    unsigned shift =
        identity->capacity ? identity->shift - 1 : 64 - SMALLEST_BITS;
    lp_identity bigger = {.allocator = identity->allocator,
                          .capacity = (size_t)1 << (64 - shift),
                          .shift = shift,
                          .epoch = 1};

    bigger.entries =
        lp_calloc(bigger.allocator, bigger.capacity, sizeof(*bigger.entries));
    if (!bigger.entries) return LP_NOMEM;

    for (size_t i = 0; i < identity->capacity; i++) {
        const lp_identity_entry *old = &identity->entries[i];
        if (old->epoch != identity->epoch) continue;
        size_t at = lp_identity_start(&bigger, old->address);
        while (bigger.entries[at].epoch == bigger.epoch)
            at = (at + 1) & (bigger.capacity - 1);
        bigger.entries[at] = *old;
        bigger.entries[at].epoch = bigger.epoch;
        bigger.count++;
    }
    lp_free(identity->entries);
    *identity = bigger;
    return LP_OK;
}
