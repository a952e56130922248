/* group.c - claims from the front of a group, and pieces of its results. */
#include "core/group.h"

#include <string.h>

/* What a claim should take, so that its overhead does not matter. */
#define CLAIM_NANOSECONDS 200000u

uint64_t lp_claim_pack(uint32_t group, uint32_t next, uint32_t end)
{
    return ((uint64_t)group << 48) | ((uint64_t)next << 24) | end;
}

uint32_t lp_claim_group(uint64_t items)
{
    return (uint32_t)(items >> 48) & (LP_GROUPS - 1);
}

uint32_t lp_claim_next(uint64_t items)
{
    return (uint32_t)(items >> 24) & LP_GROUP_ITEMS;
}

uint32_t lp_claim_end(uint64_t items)
{
    return (uint32_t)items & LP_GROUP_ITEMS;
}

static uint32_t wanted(const lp_group *group, const lp_load *load,
                       uint32_t left, uint32_t workers)
{
    uint32_t chunk = atomic_load_explicit(&load->chunk, memory_order_relaxed);
    if (chunk) return chunk;
    uint32_t cost = atomic_load_explicit(&group->cost, memory_order_relaxed);
    if (cost == 0) return 1;
    uint32_t share = left / (2 * workers) + 1;
    uint32_t want = CLAIM_NANOSECONDS / cost + 1;
    if (want > share) want = share;
    return want < LP_CLAIM_LIMIT ? want : LP_CLAIM_LIMIT;
}

uint32_t lp_group_claim(lp_group *group, const lp_load *load,
                        const lp_claim *claim, uint32_t *first, bool *exhausted)
{
    uint32_t claimed = atomic_load(&group->claimed);
    /* The group may just be made anew for another map; claimed is set last. */
    for (;;) {
        uint32_t count =
            atomic_load_explicit(&load->count, memory_order_relaxed);
        if (claimed >= count) break;
        uint32_t left = count - claimed;
        uint32_t want = wanted(group, load, left, claim->workers);
        if (want > left) want = left;
        if (want > claim->limit) want = (uint32_t)claim->limit;
        atomic_store_explicit(
            claim->wanted,
            lp_claim_pack(claim->number, claimed, claimed + want),
            memory_order_relaxed);
        if (atomic_compare_exchange_weak(&group->claimed, &claimed,
                                         claimed + want)) {
            *first = claimed;
            *exhausted = claimed + want == count;
            return want;
        }
    }
    *exhausted = true;
    return 0;
}

void lp_group_items(const lp_load *load, lp_arena *parcels, lp_items *items)
{
    const uint8_t *block = lp_arena_at(parcels, load->block);
    uint32_t count = atomic_load_explicit(&load->count, memory_order_relaxed);
    uint64_t index = lp_group_index_count(load->form, count);
    *items = (lp_items){
        .serial = load->serial,
        .form = load->form,
        .count = count,
        .assigns = load->assigns != 0,
        .retries = load->retries,
        .handles = load->handles,
        .index = (const uint64_t *)(const void *)block,
        .items = block + index * sizeof(uint64_t),
        .items_length = load->items_length,
        .head = block + index * sizeof(uint64_t) + load->items_length,
        .head_length = load->head_length,
        .first = load->first,
        .step = load->step,
    };
}

void lp_group_announce(lp_group *group, lp_bell *bell)
{
    uint32_t before = atomic_fetch_add(&group->state, LP_POKE);
    if (before & LP_WAITED) {
        atomic_fetch_and(&group->state, ~LP_WAITED);
        lp_unpark_all(&group->state);
    }
    if (before & LP_NOTIFY) lp_bell_ring(bell);
}

void lp_group_unqueue(lp_group *group, lp_bell *bell)
{
    uint32_t before = atomic_fetch_and(&group->state, ~LP_QUEUED);
    if (before & LP_NOTIFY) lp_bell_ring(bell);
}

void lp_group_post(lp_group *group, lp_piece *piece, lp_address address,
                   lp_bell *bell)
{
    lp_address newest = atomic_load(&group->pieces);
    do {
        piece->next = newest;
    } while (!atomic_compare_exchange_weak(&group->pieces, &newest, address));
    /* The consumer may free the piece from here on. */
    lp_group_announce(group, bell);
}

uint32_t lp_group_cancel(lp_group *group, uint32_t count, uint32_t *first)
{
    atomic_store(&group->cancelled, 1);
    *first = atomic_exchange(&group->claimed, count);
    return *first < count ? count - *first : 0;
}

__attribute__((no_sanitize("thread"))) bool
lp_group_measure(const uint8_t *bytes, uint64_t room, uint32_t form,
                 uint32_t count, uint64_t *length)
{
    *length = 0;
    if (form == LP_FORM_INTEGERS) {
        *length = (uint64_t)count * sizeof(int64_t);
        return *length <= room;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t header;
        if (room - *length < sizeof(header)) return false;
        memcpy(&header, bytes + *length, sizeof(header));
        *length += sizeof(header);
        if (header / 4 > room - *length) return false;
        *length += header / 4;
    }
    return form == LP_FORM_MESSAGES;
}
