/*
 * slabs.c - blocks of 64 sizes, cut from slabs that grow.
 *
 * A free block holds the next of its size, and a mark that says that it is
 * free, and how large. So nobody counts what is free in a slab: when slabs
 * are to be given back, they are read from the first byte to the last, the
 * empty ones go, and the lists are made anew of what is free in the others.
 *
 * Ties are known by marks as well.
 */
#include "base/slabs.h"

#include "base/hints.h"
#include "base/mark.h"
#include "base/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STEP    ((size_t)16)
#define LARGEST ((size_t)1024) /* larger blocks are malloc's */
#define CLASSES (LARGEST / STEP)

/* What Lua 5.4 has before the bytes of a userdata without user values. */
#define USERDATA_HEADER ((size_t)32)
#define TIED_BLOCK      (USERDATA_HEADER + sizeof(lp_tie))

#define FIRST_SLAB ((size_t)64 << 10)
#define LAST_SLAB  ((size_t)4 << 20)
#define WORTH      ((size_t)8 << 20) /* smaller states give nothing back */

typedef struct block {
    struct block *next;
    uint64_t mark; /* of a free one */
} block;

typedef struct slab {
    uint8_t *begin;
    size_t size;
} slab;

struct lp_slabs {
    uint8_t *at; /* what is left of the newest slab */
    uint8_t *end;
    size_t used;           /* bytes in blocks */
    size_t give_below;     /* give back when fewer are used */
    size_t freed;          /* bytes, since slabs were given back */
    size_t left;           /* bytes that were free after that */
    block *free[CLASSES];  /* of (index + 1) * STEP bytes */
    size_t size;           /* of all slabs */
    const uint8_t *newest; /* the slab that blocks are cut from */
    slab *slabs;           /* without the first */
    size_t count, room;
    lp_list ties; /* the latest last */
    lp_let_go *let_go;
    void *context;
    const void *watched;
    lp_loan *loans;
};

static_assert(CLASSES <= 256, "a mark has a byte for the class");

/* The mark of a free block of a class. */
static uint64_t mark_of(const void *memory, size_t class)
{
    return lp_mark(memory, LP_MARK_FREE) + class;
}

/* Index of the list for blocks of size bytes, which are more than none. */
static size_t class_of(size_t size)
{
    return (size - 1) / STEP;
}

static size_t class_size(size_t class)
{
    return (class + 1) * STEP;
}

/* Bytes of the first slab that the struct takes. */
static size_t struct_size(void)
{
    return class_size(class_of(sizeof(lp_slabs)));
}

lp_slabs *lp_slabs_new(void)
{
    lp_mark_open();
    uint8_t *memory = lp_pages_take(FIRST_SLAB);
    if (!memory) return NULL;
    lp_slabs *slabs = (lp_slabs *)(void *)memory; /* zeroed */
    slabs->at = memory + struct_size();
    slabs->end = memory + FIRST_SLAB;
    slabs->newest = memory;
    slabs->size = FIRST_SLAB;
    lp_list_init(&slabs->ties);
    return slabs;
}

size_t lp_slabs_size(const lp_slabs *slabs)
{
    return slabs->size;
}

static void put(lp_slabs *slabs, void *memory, size_t class)
{
    block *freed = memory;
    freed->next = slabs->free[class];
    freed->mark = mark_of(memory, class);
    slabs->free[class] = freed;
}

/* What is used when it is time to give back. */
static size_t quarter_of(const lp_slabs *slabs)
{
    return slabs->size < WORTH ? 0 : slabs->size / 4;
}

void lp_slabs_keep(lp_slabs *slabs)
{
    slabs->give_below = 0;
    slabs->left = SIZE_MAX; /* add_slab does not change that */
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
    slabs->slabs[slabs->count++] = (slab){.begin = begin, .size = size};
    slabs->newest = slabs->at = begin;
    slabs->end = begin + size;
    slabs->size += size;
    /* Not before what was free then has been used and freed once more. */
    if (slabs->freed >= slabs->left) slabs->give_below = quarter_of(slabs);
    return true;
}

/* A block of memory that was in no list. */
static LP_APART void *cut(lp_slabs *slabs, size_t class)
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
    found->mark = 0;
    slabs->used += class_size(class);
    return found;
}

static inline void drop(lp_slabs *slabs, void *memory, size_t size)
{
    size_t class = class_of(size);
    put(slabs, memory, class);
    slabs->used -= class_size(class);
    slabs->freed += class_size(class);
    if (slabs->used < slabs->give_below) lp_slabs_give_back(slabs);
}

/* The free block that begins at a place, if one does: gives its class. */
static bool find_free(const uint8_t *at, size_t *class)
{
    uint64_t mark = ((const block *)(const void *)at)->mark;
    *class = (size_t)(mark - mark_of(at, 0));
    return *class < CLASSES;
}

/* Bytes that are free between begin and end; lists them, if asked to. */
static size_t read_slab(lp_slabs *slabs, uint8_t *begin, const uint8_t *end,
                        bool lists)
{
    size_t class, sum = 0;
    for (uint8_t *at = begin; at < end;) {
        if (!find_free(at, &class)) {
            at += STEP;
            continue;
        }
        if (lists) put(slabs, at, class);
        sum += class_size(class);
        at += class_size(class);
    }
    return sum;
}

void lp_slabs_give_back(lp_slabs *slabs)
{
    uint8_t *first = (uint8_t *)slabs;
    size_t kept = 0;
    memset(slabs->free, 0, sizeof(slabs->free));
    for (size_t i = 0; i < slabs->count; i++) {
        const slab one = slabs->slabs[i];
        bool newest = one.begin == slabs->newest;
        const uint8_t *end = newest ? slabs->at : one.begin + one.size;
        if (!newest && read_slab(slabs, one.begin, end, false) == one.size) {
            lp_pages_give(one.begin, one.size);
            slabs->size -= one.size;
            continue;
        }
        (void)read_slab(slabs, one.begin, end, true);
        slabs->slabs[kept++] = one;
    }
    (void)read_slab(slabs, first + struct_size(),
                    slabs->newest == first ? slabs->at : first + FIRST_SLAB,
                    true);
    slabs->count = kept;
    slabs->freed = 0;
    slabs->left = slabs->size - slabs->used;
    /* What was not empty now will not be so soon. */
    size_t few = slabs->used / 8, quarter = quarter_of(slabs);
    slabs->give_below = few < quarter ? few : quarter;
}

/* ---- ties ---- */

void lp_slabs_on_let_go(lp_slabs *slabs, lp_let_go *let_go, void *context)
{
    slabs->let_go = let_go;
    slabs->context = context;
}

bool lp_slabs_can_tie(void)
{
    return sizeof(void *) == 8;
}

void lp_slabs_tie(lp_slabs *slabs, lp_tie *tie, void *object)
{
    tie->object = object;
    tie->mark = lp_mark(tie, LP_MARK_TIED);
    lp_list_init(&tie->in_slabs);
    if (slabs) lp_list_append(&slabs->ties, &tie->in_slabs);
}

static void *end_tie(lp_tie *tie)
{
    void *object = tie->object;
    tie->object = NULL;
    tie->mark = 0;
    lp_list_remove(&tie->in_slabs);
    return object;
}

void *lp_slabs_untie(lp_slabs *slabs)
{
    if (lp_list_is_empty(&slabs->ties)) return NULL;
    return end_tie(LP_LIST_ENTRY(slabs->ties.previous, lp_tie, in_slabs));
}

/* Lua frees a block that may be a tied userdata's. */
static void free_tied(lp_slabs *slabs, void *memory)
{
    lp_tie *tie = (lp_tie *)(void *)((uint8_t *)memory + USERDATA_HEADER);
    if (tie->mark != lp_mark(tie, LP_MARK_TIED)) return;
    void *object = end_tie(tie);
    if (slabs->let_go) slabs->let_go(slabs->context, object);
}

/* ---- the block that is watched ---- */

/* Lua frees a block: whoever wants to know hears of it. */
static void tell_freed(lp_slabs *slabs, void *memory, size_t size)
{
    if (memory == slabs->watched) slabs->watched = NULL;
    if (size == TIED_BLOCK) free_tied(slabs, memory);
}

void lp_slabs_watch(lp_slabs *slabs, const void *address)
{
    slabs->watched = address;
}

const void *lp_slabs_watched(const lp_slabs *slabs)
{
    return slabs->watched;
}

/* ---- loans ---- */

lp_loan *lp_slabs_lend(lp_slabs *slabs, const char *bytes, size_t length)
{
    return lp_loan_make(&slabs->loans, bytes, length);
}

/* Free a block of malloc's, now or when nobody reads it any more. */
static void free_large(lp_slabs *slabs, void *memory, size_t size)
{
    if (slabs->loans && size > LP_LENT &&
        lp_loan_take_over(&slabs->loans, memory, size))
        return;
    free(memory);
}

/* ---- for Lua ---- */

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

/* Whether a block of this size is of one of the classes. */
static bool has_class(size_t size)
{
    return size - 1 < LARGEST;
}

/* All that is neither a new block of a class nor the end of one. */
static LP_APART void *change(lp_slabs *slabs, void *memory, size_t before,
                             size_t after)
{
    if (!memory) return after > 0 ? malloc(after) : NULL;
    if (after == 0) {
        tell_freed(slabs, memory, before);
        if (before > 0) free_large(slabs, memory, before);
        return NULL;
    }
    if (before > LARGEST && after > LARGEST) return realloc(memory, after);
    if (has_class(before) && has_class(after) &&
        class_of(before) == class_of(after))
        return memory;
    return move(slabs, memory, before, after);
}

void *lp_slabs_allocate(void *context, void *memory, size_t before,
                        size_t after)
{
    lp_slabs *slabs = context;
    if (!memory && has_class(after)) return take(slabs, after);
    if (memory && after == 0 && has_class(before)) {
        tell_freed(slabs, memory, before);
        drop(slabs, memory, before);
        return NULL;
    }
    return change(slabs, memory, before, after);
}

void *lp_slabs_allocate_apart(void *context, void *memory, size_t before,
                              size_t after)
{
    lp_slabs *slabs = context;
    if (after == 0) {
        if (memory) tell_freed(slabs, memory, before);
        free_large(slabs, memory, memory ? before : 0);
        return NULL;
    }
    if (after != TIED_BLOCK) return realloc(memory, after);
    /* Zeroed, so that nobody complains about who looks for a mark there. */
    void *moved = calloc(1, after);
    if (moved && memory) {
        memcpy(moved, memory, before < after ? before : after);
        free(memory);
    }
    return moved;
}

void lp_slabs_free(lp_slabs *slabs)
{
    if (!slabs) return;
    for (size_t i = 0; i < slabs->count; i++)
        lp_pages_give(slabs->slabs[i].begin, slabs->slabs[i].size);
    free(slabs->slabs);
    lp_pages_give(slabs, FIRST_SLAB); /* holds the struct */
}
