/*
 * map_private.h - the struct of a map, for its two halves: map_items.c puts
 * items in, map.c takes results out.
 */
#ifndef LP_API_MAP_PRIVATE_H
#define LP_API_MAP_PRIVATE_H

#include "api/api.h"

/* The header of a result that did not fit into memory. */
#define LP_ITEM_LOST 2u

/* A group of this map; items are counted from 0 over the whole map. */
typedef struct lp_map_group {
    uint32_t number;
    uint32_t count; /* items */
    uint32_t taken; /* results that the consumer has had */
    uint64_t base;  /* its first item */
} lp_map_group;

/* A piece that is here and not yet read; its first item in the whole map. */
typedef struct lp_waiting_piece {
    uint64_t first;
    lp_taken piece;
} lp_waiting_piece;

/* Results of a piece that were taken before it was handed in. */
typedef struct lp_early_mark {
    uint64_t first; /* its first item in the whole map */
    uint32_t count;
} lp_early_mark;

/* Used by one thread. */
struct lpool_map {
    const lp_allocator *allocator;
    lp_executor *executor; /* owned; NULL once closed */
    bool reading;          /* user code may run: the piece must stay */
    uint64_t serial;
    uint32_t chunk;
    int64_t timeout; /* of each item; 0: none */
    uint32_t retries;
    int64_t priority;
    const char *origin; /* where it was begun; lives as the host does */
    char *label;        /* owned; NULL if it has none */
    bool ordered;
    bool assigns;
    lp_buffer head; /* the function */

    /* Items that are gathered and not yet submitted. */
    lp_buffer items;
    lp_form form;
    uint64_t gathered;
    uint64_t *index;
    size_t index_room;

    /* Submitted, oldest first, from first_group. */
    lp_map_group *groups;
    size_t first_group;
    size_t group_count;
    size_t group_room;
    uint64_t submitted;
    uint64_t taken;
    uint64_t next; /* the next item, if ordered */

    lp_waiting_piece *waiting; /* a heap by first */
    size_t waiting_count;
    size_t waiting_room;
    bool starved; /* there are more, and no memory to note them */

    lp_early_mark *marks; /* of pieces that are in the making */
    size_t mark_count;
    size_t mark_room;
    int64_t patience; /* nanoseconds until it looks for such results again */

    /* The piece in reading. */
    bool reads;         /* there is one */
    lp_address current; /* 0: it is a copy, which is ours */
    const uint8_t *copy;
    lp_form current_form;
    uint64_t current_item;
    uint64_t current_end;
    const uint8_t *cursor;
    const uint8_t *limit;
};

/* The next item will not come. */
bool lp_map_is_stuck(lpool_map *map);

#endif
