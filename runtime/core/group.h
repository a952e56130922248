/*
 * group.h - items of one map that travel together.
 *
 * A group stands in the queue as one entry, and workers take its items from
 * the front in claims, small ones while items are slow and large ones when
 * they turn out to be cheap. What a worker makes of consecutive items is a
 * piece: a block in its arena, linked into the group's list.
 *
 * A worker keeps the items that it has claimed but not begun in its own
 * record, as one word, so that an idle worker can take half of them.
 *
 * A group has two parts with one number: the group, which workers write, and
 * the load, which only the host writes. The host alone counts what is done.
 */
#ifndef LP_CORE_GROUP_H
#define LP_CORE_GROUP_H

#include "core/arena.h"
#include "core/bell.h"
#include "core/task.h"

/* A group holds at most this many items; there are at most this many. */
#define LP_GROUP_ITEMS ((1u << 24) - 1)
#define LP_GROUPS      (1u << 15)

/* A block of some worker: the worker's number above the place. */
typedef uint64_t lp_address;
#define LP_WORKERS ((1u << (64 - LP_PLACE_BITS)) - 2)

/* A piece is handed in after so long, so that the consumer has something. */
#define LP_PIECE_NANOSECONDS 400000

/* Form of the items, and of the results in a piece. */
typedef enum lp_form {
    LP_FORM_MESSAGES = 0, /* each a length and a message */
    LP_FORM_INTEGERS = 1, /* each an int64_t, in the machine's order */
    LP_FORM_RANGE = 2,    /* items only: first, first + step, ... */
    LP_FORM_NOTHING = 3,  /* pieces only: cancelled, so there is nothing */
} lp_form;

/* Results of consecutive items; the bytes follow. */
typedef struct lp_piece {
    lp_address next; /* in the group's list, newest first */
    uint32_t first;  /* number of its first item in the group */
    uint32_t count;
    uint32_t form;
    uint32_t unused;
    uint64_t length;
} lp_piece;

/* The part of a group that workers write. */
typedef struct lp_group {
    _Atomic uint32_t claimed;   /* items claimed from the front; set last */
    _Atomic uint32_t cancelled; /* what is not begun shall not begin */
    _Atomic uint32_t state;  /* LP_WAITED, LP_QUEUED; pieces, times LP_POKE */
    _Atomic uint32_t cost;   /* nanoseconds an item, measured; 0: unknown */
    _Atomic uint32_t gone;   /* items for whose piece there was no memory */
    _Atomic uint64_t pieces; /* lp_address of the newest */
} lp_group;

/*
 * The part that the host writes, before the group is queued. The atomic
 * fields may be read by a worker that has just lost its last items to a
 * thief, while the number is used again.
 */
typedef struct lp_load {
    _Atomic uint32_t count; /* items */
    _Atomic uint32_t
        chunk; /* items a claim as the caller wishes; 0: measured */
    _Atomic uint32_t generation; /* how often the number has been used */
    _Atomic int64_t timeout;     /* nanoseconds for each item; 0: none */
    uint64_t serial;     /* of the map, so that its function is decoded once */
    uint32_t form;       /* of the items */
    uint32_t assigns;    /* decode the function anew for each item */
    uint32_t retries;    /* of each item */
    int64_t queued_at;   /* clock, nanoseconds */
    lp_handles *handles; /* of head and items; owned; NULL if there are none */
    /*
     * In the host's arena, one block: where every LP_GROUP_STRIDE-th item
     * begins (uint64_t, from the first), the items, the head. The head is
     * the function: a message.
     */
    lp_place block;
    uint64_t items_length;
    uint64_t head_length;
    int64_t first; /* of a range */
    int64_t step;
} lp_load;

#define LP_GROUP_STRIDE 32u

/* The same for whoever runs the items, as bytes. */
typedef struct lp_items {
    uint64_t serial;
    uint32_t form;
    uint32_t count;
    bool assigns;
    uint32_t retries;
    const lp_handles *handles;
    const uint64_t *index;
    const uint8_t *items;
    uint64_t items_length;
    const uint8_t *head;
    uint64_t head_length;
    int64_t first;
    int64_t step;
} lp_items;

/* Entries of a group's index. */
static inline uint64_t lp_group_index_count(uint32_t form, uint32_t count)
{
    if (form != LP_FORM_MESSAGES) return 0;
    return (count + LP_GROUP_STRIDE - 1) / LP_GROUP_STRIDE;
}

/* What parcels, the host's arena, has for a group. */
void lp_group_items(const lp_load *load, lp_arena *parcels, lp_items *items);

/* The most items to claim at a time, whatever they cost. */
#define LP_CLAIM_LIMIT 65536u

/*
 * Claim at most limit items from the front, for one of so many workers;
 * gives the first of them. 0 when none are left. *exhausted says that the
 * group has to leave the queue. What is about to be claimed is announced in
 * wanted before.
 */
typedef struct lp_claim {
    uint32_t workers;
    uint64_t limit;
    uint32_t number; /* of the group */
    _Atomic uint64_t *wanted;
} lp_claim;
uint32_t lp_group_claim(lp_group *group, const lp_load *load,
                        const lp_claim *claim, uint32_t *first,
                        bool *exhausted);

/* They are one chunk, and not to be divided. */
#define LP_CLAIM_WHOLE ((uint64_t)1 << 63)

/* Items next to end of a group as one word. */
uint64_t lp_claim_pack(uint32_t group, uint32_t next, uint32_t end);
uint32_t lp_claim_group(uint64_t items);
uint32_t lp_claim_next(uint64_t items);
uint32_t lp_claim_end(uint64_t items);

/* Something has changed: wake whoever waits. */
void lp_group_announce(lp_group *group, lp_bell *bell);

/* The queue lets go of the group. */
void lp_group_unqueue(lp_group *group, lp_bell *bell);

/* Put a piece in the list, and announce it. */
void lp_group_post(lp_group *group, lp_piece *piece, lp_address address,
                   lp_bell *bell);

/* Cancel: gives how many items had not been claimed, and the first. */
uint32_t lp_group_cancel(lp_group *group, uint32_t count, uint32_t *first);

/*
 * How many bytes the first count results of a form take, of room that there
 * are; false if that makes no sense. A worker may write there meanwhile: see
 * executor_early.c.
 */
bool lp_group_measure(const uint8_t *bytes, uint64_t room, uint32_t form,
                      uint32_t count, uint64_t *length);

#endif
