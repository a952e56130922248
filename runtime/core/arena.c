/*
 * arena.c - segments of doubling size, cut into blocks of size classes.
 *
 * A place is a segment's number and an offset in it, both with the block's
 * header in front:
 *
 *      segment 1            segment 2 (twice as large)
 *     +----+------+---+----+------+----------------------+
 *     | hd | block | hd | block | ...  free, not yet cut  |
 *     +----+------+---+----+------+----------------------+
 *
 * Classes are four to a doubling, so at most a fifth of a block is wasted.
 * A freed block waits in its class for the next of its size. A block too
 * large for a segment gets one for itself; of those, a few are kept, since
 * fresh pages cost more than copying, and the rest goes back to the system.
 */
#include "core/arena.h"

#include "base/alloc.h"
#include "base/status.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_SEGMENT ((size_t)64 << 10)
#define LAST_SEGMENT  ((size_t)4 << 20)
#define OWN_SEGMENT                                                            \
    ((size_t)1 << 20)                 /* larger blocks have one of their own   \
                                       */
#define HUGE_PAGES ((size_t)4 << 20)  /* ask for huge pages from here on */
#define KEPT_LARGE ((size_t)96 << 20) /* bytes of free large blocks kept */

#define GROUP_BITS  6
#define GROUP_SIZE  (1u << GROUP_BITS)
#define GROUPS      256u
#define OFFSET_BITS LP_PLACE_OFFSET_BITS
#define CLASSES     160u

/* In front of each block; a block's place is that of the byte after it. */
typedef struct header {
    uint32_t class;
    uint32_t segment;
    _Atomic uint64_t next; /* in a list of free blocks: a place */
} header;

static_assert(sizeof(header) == 16, "blocks stay aligned to 16");

typedef struct segment {
    _Atomic(uint8_t *) memory;
    size_t size;
} segment;

/* What an arena has from its first block on: most workers' never have one. */
typedef struct parts {
    _Atomic(segment *) groups[GROUPS]; /* grow only; read by anyone */

    /* The writer's. */
    uint32_t segments; /* numbers given out; 1 is the first */
    uint32_t current;  /* the segment that small blocks are cut from */
    size_t cut;        /* bytes of it in use */
    size_t next_size;  /* of the next shared segment */
    size_t kept_large; /* bytes in free blocks with own segments */
    lp_place spare;    /* numbers of unmapped segments, as places */
    lp_place free[CLASSES];
} parts;

struct lp_arena {
    _Atomic(parts *) parts;    /* NULL before the first block */
    _Atomic uint64_t returned; /* list of blocks that came home */
};

/* The least class whose blocks hold size bytes, header included. */
static uint32_t class_of(size_t size)
{
    if (size <= 64) return (uint32_t)((size + 15) / 16); /* 1 to 4 */
    unsigned top =
        63u - (unsigned)__builtin_clzll((unsigned long long)size - 1);
    uint32_t quarter = (uint32_t)(((size - 1) >> (top - 2)) & 3);
    return 5 + (top - 6) * 4 + quarter;
}

static size_t class_size(uint32_t class)
{
    if (class <= 4) return (size_t) class * 16;
    unsigned top = 6 + (class - 5) / 4;
    return ((size_t)1 << top) +
           ((size_t)(class - 5) % 4 + 1) * ((size_t)1 << (top - 2));
}

lp_arena *lp_arena_new(void)
{
    return lp_calloc(1, sizeof(lp_arena));
}

static parts *parts_of(const lp_arena *arena)
{
    /* Acquire; pairs with the release in make_parts. */
    return atomic_load_explicit(&arena->parts, memory_order_acquire);
}

static int make_parts(lp_arena *arena)
{
    parts *made = lp_calloc(1, sizeof(*made));
    if (!made) return LP_NOMEM;
    made->next_size = FIRST_SEGMENT;
    atomic_store_explicit(&arena->parts, made, memory_order_release);
    return LP_OK;
}

static segment *segment_of(const lp_arena *arena, uint32_t number)
{
    /* Acquire; pairs with the release in new_segment. */
    segment *group = atomic_load_explicit(
        &parts_of(arena)->groups[number >> GROUP_BITS], memory_order_acquire);
    return &group[number & (GROUP_SIZE - 1)];
}

void lp_arena_free(lp_arena *arena)
{
    if (!arena) return;
    parts *own = parts_of(arena);
    for (uint32_t i = 0; own && i < GROUPS; i++) {
        segment *group = atomic_load(&own->groups[i]);
        for (uint32_t j = 0; group && j < GROUP_SIZE; j++) {
            if (atomic_load(&group[j].memory))
                munmap(atomic_load(&group[j].memory), group[j].size);
        }
        lp_free(group);
    }
    lp_free(own);
    lp_free(arena);
}

void *lp_arena_at(const lp_arena *arena, lp_place place)
{
    const segment *where = segment_of(arena, (uint32_t)(place >> OFFSET_BITS));
    uint8_t *memory =
        atomic_load_explicit(&where->memory, memory_order_relaxed);
    return memory + (place & (((lp_place)1 << OFFSET_BITS) - 1));
}

static header *header_of(const lp_arena *arena, lp_place place)
{
    return (header *)lp_arena_at(arena, place) - 1;
}

static lp_place make_place(uint32_t number, size_t offset)
{
    return ((lp_place)number << OFFSET_BITS) | offset;
}

/* Map size bytes as a segment; gives its number. */
static int new_segment(lp_arena *arena, size_t size, uint32_t *number)
{
    parts *own = parts_of(arena);
    uint32_t chosen = (uint32_t)(own->spare >> OFFSET_BITS);
    if (chosen == 0) chosen = own->segments + 1;
    if (chosen >= GROUPS * GROUP_SIZE) return LP_NOMEM;

    uint32_t index = chosen >> GROUP_BITS;
    if (!atomic_load(&own->groups[index])) {
        segment *group = lp_calloc(GROUP_SIZE, sizeof(*group));
        if (!group) return LP_NOMEM;
        atomic_store_explicit(&own->groups[index], group, memory_order_release);
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return LP_NOMEM;
    if (size >= HUGE_PAGES) (void)madvise(memory, size, MADV_HUGEPAGE);

    segment *where = segment_of(arena, chosen);
    if (own->spare) {
        own->spare = (lp_place)where->size; /* the next spare number */
    } else {
        own->segments = chosen;
    }
    where->size = size;
    atomic_store(&where->memory, memory);
    *number = chosen;
    return LP_OK;
}

/* Unmap the segment of a large block and remember that its number is free. */
static void end_segment(lp_arena *arena, uint32_t number)
{
    parts *own = parts_of(arena);
    segment *where = segment_of(arena, number);
    munmap(atomic_load(&where->memory), where->size);
    atomic_store(&where->memory, NULL);
    where->size = (size_t)own->spare;
    own->spare = make_place(number, 0);
}

/* A block with a segment of its own. */
static int alloc_large(lp_arena *arena, uint32_t class, lp_place *place)
{
    uint32_t number;
    int status = new_segment(arena, class_size(class), &number);
    if (status != LP_OK) return status;
    *place = make_place(number, sizeof(header));
    header *head = header_of(arena, *place);
    head->class = class;
    head->segment = number;
    return LP_OK;
}

/* Cut a block off the current segment, or off a new one. */
static int alloc_small(lp_arena *arena, uint32_t class, lp_place *place)
{
    parts *own = parts_of(arena);
    size_t size = class_size(class);
    bool fits = own->current != 0 &&
                segment_of(arena, own->current)->size - own->cut >= size;
    if (!fits) {
        while (own->next_size < 4 * size)
            own->next_size *= 2;
        uint32_t number;
        int status = new_segment(arena, own->next_size, &number);
        if (status != LP_OK) return status;
        own->current = number;
        own->cut = 0;
        if (own->next_size < LAST_SEGMENT) own->next_size *= 2;
    }
    *place = make_place(own->current, own->cut + sizeof(header));
    own->cut += size;
    header *head = header_of(arena, *place);
    head->class = class;
    head->segment = own->current;
    return LP_OK;
}

/* Put what came home since the last look into the classes. */
static void collect_returned(lp_arena *arena)
{
    if (atomic_load_explicit(&arena->returned, memory_order_relaxed) == 0)
        return;
    lp_place place = atomic_exchange(&arena->returned, 0);
    while (place) {
        lp_place next = atomic_load(&header_of(arena, place)->next);
        lp_arena_drop(arena, place);
        place = next;
    }
}

int lp_arena_alloc(lp_arena *arena, size_t size, lp_place *place)
{
    if (size > (size_t)1 << 35) return LP_NOMEM;
    if (!parts_of(arena) && make_parts(arena) != LP_OK) return LP_NOMEM;
    parts *own = parts_of(arena);
    uint32_t class = class_of(size + sizeof(header));
    assert(class < CLASSES);

    if (!own->free[class]) collect_returned(arena);
    lp_place found = own->free[class];
    if (found) {
        header *head = header_of(arena, found);
        own->free[class] =
            atomic_load_explicit(&head->next, memory_order_relaxed);
        if (class_size(class) >= OWN_SEGMENT)
            own->kept_large -= class_size(class);
        *place = found;
        return LP_OK;
    }
    if (class_size(class) >= OWN_SEGMENT)
        return alloc_large(arena, class, place);
    return alloc_small(arena, class, place);
}

void lp_arena_drop(lp_arena *arena, lp_place place)
{
    if (!place) return;
    parts *own = parts_of(arena);
    header *head = header_of(arena, place);
    size_t size = class_size(head->class);
    if (size >= OWN_SEGMENT) {
        if (own->kept_large + size > KEPT_LARGE) {
            end_segment(arena, head->segment);
            return;
        }
        own->kept_large += size;
    }
    atomic_store_explicit(&head->next, own->free[head->class],
                          memory_order_relaxed);
    own->free[head->class] = place;
}

void lp_arena_return(lp_arena *arena, lp_place place)
{
    if (!place) return;
    header *head = header_of(arena, place);
    lp_place first = atomic_load(&arena->returned);
    do {
        atomic_store(&head->next, first);
    } while (!atomic_compare_exchange_weak(&arena->returned, &first, place));
}

static int take(void *owner, size_t size, lp_place *place, void **bytes)
{
    int status = lp_arena_alloc(owner, size, place);
    if (status == LP_OK) *bytes = lp_arena_at(owner, *place);
    return status;
}

static void drop(void *owner, lp_place place)
{
    lp_arena_drop(owner, place);
}

lp_memory lp_arena_memory(lp_arena *arena)
{
    return (lp_memory){take, drop, arena};
}
