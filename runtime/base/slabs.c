/*
 * slabs.c - blocks of 64 sizes, cut from slabs that grow.
 *
 * A free block holds nothing but the next of its size. Nobody counts what is
 * free in a slab: when slabs are to be given back, the lists are walked, and
 * a slab whose blocks are all in them is empty. That is only done when the
 * state uses a quarter of what it had, so that it costs little for each
 * block that was freed before.
 */
#include "base/slabs.h"

#include "base/pages.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define STEP    ((size_t)16)
#define LARGEST ((size_t)1024) /* larger blocks are malloc's */
#define CLASSES (LARGEST / STEP)

#define FIRST_SLAB ((size_t)64 << 10)
#define LAST_SLAB  ((size_t)4 << 20)
#define WORTH      ((size_t)8 << 20) /* smaller states give nothing back */

typedef struct block {
    struct block *next;
} block;

typedef struct slab {
    uint8_t *begin;
    size_t size;
    size_t free; /* bytes in lists; while they are walked */
} slab;

struct lp_slabs {
    uint8_t *at; /* what is left of the newest slab */
    uint8_t *end;
    size_t used;           /* bytes in blocks */
    size_t give_below;     /* give back when fewer are used */
    block *free[CLASSES];  /* of (index + 1) * STEP bytes */
    size_t size;           /* of all slabs */
    const uint8_t *newest; /* the slab that blocks are cut from */
    slab *slabs;           /* by address; without the first */
    size_t count, room;
};

/* Index of the list for blocks of size bytes, which are more than none. */
static size_t class_of(size_t size)
{
    return (size - 1) / STEP;
}

static size_t class_size(size_t class)
{
    return (class + 1) * STEP;
}

lp_slabs *lp_slabs_new(void)
{
    uint8_t *memory = lp_pages_take(FIRST_SLAB);
    if (!memory) return NULL;
    lp_slabs *slabs = (lp_slabs *)(void *)memory; /* zeroed */
    slabs->at = memory + class_size(class_of(sizeof(*slabs)));
    slabs->end = memory + FIRST_SLAB;
    slabs->newest = memory;
    slabs->size = FIRST_SLAB;
    return slabs;
}

size_t lp_slabs_size(const lp_slabs *slabs)
{
    return slabs->size;
}

/* The number of slabs that begin at address or below. */
static size_t slabs_up_to(const lp_slabs *slabs, const void *address)
{
    size_t from = 0, to = slabs->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if ((const uint8_t *)address < slabs->slabs[middle].begin) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return from;
}

/* The slab of a block; NULL: the first one. */
static slab *slab_of(lp_slabs *slabs, const void *address)
{
    size_t number = slabs_up_to(slabs, address);
    if (number == 0) return NULL;
    slab *found = &slabs->slabs[number - 1];
    bool inside = (const uint8_t *)address < found->begin + found->size;
    return inside ? found : NULL;
}

static void put(lp_slabs *slabs, void *memory, size_t class)
{
    block *freed = memory;
    freed->next = slabs->free[class];
    slabs->free[class] = freed;
}

/* Give back next when a quarter is used, and no more than most. */
static void set_limit(lp_slabs *slabs, size_t most)
{
    size_t quarter = slabs->size < WORTH ? 0 : slabs->size / 4;
    slabs->give_below = quarter < most ? quarter : most;
}

void lp_slabs_keep(lp_slabs *slabs)
{
    slabs->give_below = 0;
}

static bool add_slab(lp_slabs *slabs)
{
    if (slabs->count == slabs->room) {
        size_t room = slabs->room ? 2 * slabs->room : 8;
        slab *moved = realloc(slabs->slabs, room * sizeof(*moved));
        if (!moved) return false;
        slabs->slabs = moved;
        slabs->room = room;
    }
    size_t size = slabs->size < LAST_SLAB ? slabs->size : LAST_SLAB;
    uint8_t *begin = lp_pages_take(size);
    if (!begin) return false;

    /* What is left of the last one is a block as well. */
    if (slabs->at < slabs->end)
        put(slabs, slabs->at, class_of((size_t)(slabs->end - slabs->at)));
    size_t number = slabs_up_to(slabs, begin);
    memmove(&slabs->slabs[number + 1], &slabs->slabs[number],
            (slabs->count - number) * sizeof(slab));
    slabs->slabs[number] = (slab){.begin = begin, .size = size};
    slabs->count++;
    slabs->newest = slabs->at = begin;
    slabs->end = begin + size;
    slabs->size += size;
    set_limit(slabs, SIZE_MAX);
    return true;
}

/* A block of memory that was in no list. */
static void *cut(lp_slabs *slabs, size_t class)
{
    size_t size = class_size(class);
    if ((size_t)(slabs->end - slabs->at) < size && !add_slab(slabs))
        return NULL;
    void *memory = slabs->at;
    slabs->at += size;
    slabs->used += size;
    return memory;
}

static inline void *take(lp_slabs *slabs, size_t size)
{
    size_t class = class_of(size);
    block *found = slabs->free[class];
    if (!found) return cut(slabs, class);
    slabs->free[class] = found->next;
    slabs->used += class_size(class);
    return found;
}

static inline void drop(lp_slabs *slabs, void *memory, size_t size)
{
    size_t class = class_of(size);
    put(slabs, memory, class);
    slabs->used -= class_size(class);
    if (slabs->used < slabs->give_below) lp_slabs_give_back(slabs);
}

static bool is_empty(const lp_slabs *slabs, const slab *one)
{
    return one->free == one->size && one->begin != slabs->newest;
}

void lp_slabs_give_back(lp_slabs *slabs)
{
    for (size_t i = 0; i < slabs->count; i++)
        slabs->slabs[i].free = 0;
    for (size_t class = 0; class < CLASSES; class ++) {
        for (const block *b = slabs->free[class]; b; b = b->next) {
            slab *of = slab_of(slabs, b);
            if (of) of->free += class_size(class);
        }
    }
    size_t empty = 0;
    for (size_t i = 0; i < slabs->count; i++)
        empty += is_empty(slabs, &slabs->slabs[i]);
    for (size_t class = 0; empty > 0 && class < CLASSES; class ++) {
        block **link = &slabs->free[class];
        while (*link) {
            const slab *of = slab_of(slabs, *link);
            if (of && is_empty(slabs, of)) {
                *link = (*link)->next;
            } else {
                link = &(*link)->next;
            }
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < slabs->count; i++) {
        const slab *one = &slabs->slabs[i];
        if (is_empty(slabs, one)) {
            lp_pages_give(one->begin, one->size);
            slabs->size -= one->size;
        } else {
            slabs->slabs[kept++] = *one;
        }
    }
    slabs->count = kept;
    /* What was not empty now will not be so soon. */
    set_limit(slabs, slabs->used / 8);
}

/* To another class, or to malloc, or back from there. */
static void *move(lp_slabs *slabs, void *memory, size_t before, size_t after)
{
    void *moved = after <= LARGEST ? take(slabs, after) : malloc(after);
    /* Lua relies on it that a block can become smaller. One of malloc's that
     * stays where it was is one of ours from now on, and never given back. */
    if (!moved) return after <= before ? memory : NULL;
    memcpy(moved, memory, before < after ? before : after);
    if (before <= LARGEST) {
        drop(slabs, memory, before);
    } else {
        free(memory);
    }
    return moved;
}

void *lp_slabs_allocate(void *context, void *memory, size_t before,
                        size_t after)
{
    lp_slabs *slabs = context;
    if (!memory) {
        if (after > LARGEST) return malloc(after);
        return after > 0 ? take(slabs, after) : NULL;
    }
    if (after == 0) {
        if (before > LARGEST) {
            free(memory);
        } else if (before > 0) {
            drop(slabs, memory, before);
        }
        return NULL;
    }
    if (before > LARGEST && after > LARGEST) return realloc(memory, after);
    if (before <= LARGEST && after <= LARGEST && before > 0 &&
        class_of(before) == class_of(after))
        return memory;
    return move(slabs, memory, before, after);
}

void lp_slabs_free(lp_slabs *slabs)
{
    if (!slabs) return;
    for (size_t i = 0; i < slabs->count; i++)
        lp_pages_give(slabs->slabs[i].begin, slabs->slabs[i].size);
    free(slabs->slabs);
    lp_pages_give(slabs, FIRST_SLAB); /* holds the struct */
}
