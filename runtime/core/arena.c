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
 * large for a segment gets one for itself; when it is freed a few keep their
 * pages, since fresh pages cost more than copying, and the rest give them
 * back to the system.
 *
 * In a memory file the head says where each segment lies, so that another
 * process maps a segment when it is first given a place in it. A segment
 * stays where it is for ever, so no view of it is ever out of date.
 */
#include "core/arena.h"

#include "base/alloc.h"
#include "base/pages.h"
#include "base/status.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

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
#define KEPT        0x80000000u /* in header.segment: counted in kept_large */

static_assert(GROUPS * GROUP_SIZE == LP_ARENA_SEGMENTS, "as the head has room");

/* In front of each block; a block's place is that of the byte after it. */
typedef struct header {
    uint32_t class;
    uint32_t segment;
    _Atomic uint64_t next; /* in a list of free blocks: a place */
} header;

static_assert(sizeof(header) == 16, "blocks stay aligned to 16");

/* A segment as this process sees it. */
typedef struct segment {
    _Atomic(uint8_t *) memory; /* NULL: not there, or not mapped yet */
    _Atomic size_t size;
} segment;

/* The writer's books. */
typedef struct arena_books {
    uint32_t segments; /* numbers given out; 1 is the first */
    uint32_t current;  /* the segment that small blocks are cut from */
    size_t cut;        /* bytes of it in use */
    size_t next_size;  /* of the next shared segment */
    size_t kept_large; /* bytes in free large blocks that have their pages */
    uint64_t end;      /* of the file */
    lp_place free[CLASSES];
} arena_books;

/* What an arena has from its first block on: most workers' never have one. */
typedef struct parts {
    _Atomic(segment *) groups[GROUPS]; /* grow only; read by anyone */
    arena_books books;                 /* unless they are in the file */
} parts;

/* Where a segment is in its file. */
typedef struct arena_extent {
    _Atomic uint64_t offset;
    _Atomic uint64_t size;
} arena_extent;

/* The first bytes of an arena's file. */
typedef struct arena_head {
    _Atomic uint64_t returned;
    arena_books books;
} arena_head;

static_assert(sizeof(arena_head) <= 4096 && sizeof(arena_extent) == 16,
              "as it says");

struct lp_arena {
    _Atomic(parts *) parts;    /* NULL before the first block */
    _Atomic uint64_t returned; /* list of blocks that came home */
    const lp_allocator *allocator;
    lp_shm *file;          /* NULL: private memory */
    arena_head *head;      /* in the file; NULL: books are private */
    arena_extent *extents; /* in the file, by number */
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

lp_arena *lp_arena_new(const lp_allocator *allocator)
{
    lp_arena *arena = lp_calloc(allocator, 1, sizeof(*arena));
    if (arena) arena->allocator = allocator;
    return arena;
}

lp_arena *lp_arena_open(lp_shm *file, size_t begin, bool private_books,
                        const lp_allocator *allocator)
{
    lp_arena *arena = lp_arena_new(allocator);
    if (!arena) return NULL;
    arena->file = file;
    if (!private_books)
        arena->head = (arena_head *)(void *)(file->base + begin);
    arena->extents = (arena_extent *)(void *)(file->base + begin + 4096);
    return arena;
}

static parts *parts_of(const lp_arena *arena)
{
    /* Acquire; pairs with the release in make_parts. */
    return atomic_load_explicit(&arena->parts, memory_order_acquire);
}

/* Have parts. Two readers may come here at once. */
static int make_parts(lp_arena *arena)
{
    parts *none = NULL;
    parts *made = lp_calloc(arena->allocator, 1, sizeof(*made));
    if (!made) return LP_NOMEM;
    made->books.next_size = FIRST_SEGMENT;
    if (!atomic_compare_exchange_strong(&arena->parts, &none, made))
        lp_free(made);
    return LP_OK;
}

static arena_books *books_of(lp_arena *arena)
{
    return arena->head ? &arena->head->books : &parts_of(arena)->books;
}

static _Atomic uint64_t *returned_of(lp_arena *arena)
{
    return arena->head ? &arena->head->returned : &arena->returned;
}

/* The view of a segment, made if it is not there; NULL: no memory. */
static segment *segment_of(lp_arena *arena, uint32_t number)
{
    _Atomic(segment *) *group = &parts_of(arena)->groups[number >> GROUP_BITS];
    /* Acquire; pairs with the exchange below. */
    segment *found = atomic_load_explicit(group, memory_order_acquire);
    if (!found) {
        segment *made = lp_calloc(arena->allocator, GROUP_SIZE, sizeof(*made));
        if (!made) return NULL;
        if (atomic_compare_exchange_strong(group, &found, made)) {
            found = made;
        } else {
            lp_free(made);
        }
    }
    return &found[number & (GROUP_SIZE - 1)];
}

void lp_arena_free(lp_arena *arena)
{
    if (!arena) return;
    parts *own = parts_of(arena);
    for (uint32_t i = 0; own && i < GROUPS; i++) {
        segment *group = atomic_load(&own->groups[i]);
        for (uint32_t j = 0; group && j < GROUP_SIZE; j++) {
            uint8_t *memory = atomic_load(&group[j].memory);
            if (arena->file) {
                lp_shm_unmap(arena->file, memory, group[j].size);
            } else if (lp_allocator_is_own(arena->allocator)) {
                lp_free(memory);
            } else {
                lp_pages_give(memory, group[j].size);
            }
        }
        lp_free(group);
    }
    lp_free(own);
    lp_free(arena);
}

/* Map a segment that another process has made; false if there is none. */
static bool map_segment(lp_arena *arena, segment *where, uint32_t number)
{
    if (!arena->file) return false;
    arena_extent *extent = &arena->extents[number];
    uint64_t offset = atomic_load(&extent->offset);
    uint64_t size = atomic_load(&extent->size);
    if (offset == 0 || size == 0 || size > (uint64_t)1 << OFFSET_BITS)
        return false;
    uint8_t *mapped = lp_shm_map(arena->file, offset, (size_t)size);
    if (!mapped) return false;
    uint8_t *none = NULL;
    where->size = (size_t)size; /* the same for all who come here */
    if (!atomic_compare_exchange_strong(&where->memory, &none, mapped))
        lp_shm_unmap(arena->file, mapped, (size_t)size);
    return true;
}

void *lp_arena_check(lp_arena *arena, lp_place place, uint64_t length)
{
    uint64_t number = place >> OFFSET_BITS;
    uint64_t offset = place & (((lp_place)1 << OFFSET_BITS) - 1);
    if (number == 0 || number >= LP_ARENA_SEGMENTS || offset % 16 != 0 ||
        offset < sizeof(header))
        return NULL;
    if (!parts_of(arena) && make_parts(arena) != LP_OK) return NULL;
    segment *where = segment_of(arena, (uint32_t)number);
    if (!where) return NULL;
    uint8_t *memory =
        atomic_load_explicit(&where->memory, memory_order_acquire);
    if (!memory) {
        if (!map_segment(arena, where, (uint32_t)number)) return NULL;
        memory = atomic_load(&where->memory);
    }
    if (offset > where->size || length > where->size - offset) return NULL;
    return memory + offset;
}

uint64_t lp_arena_room(lp_arena *arena, lp_place place)
{
    const segment *where = segment_of(arena, (uint32_t)(place >> OFFSET_BITS));
    return where->size - (place & (((lp_place)1 << OFFSET_BITS) - 1));
}

void lp_arena_map_all(lp_arena *arena)
{
    if (!arena->head) return;
    uint32_t count = arena->head->books.segments;
    for (uint32_t i = 1; i <= count && i < LP_ARENA_SEGMENTS; i++)
        (void)lp_arena_check(arena, (lp_place)i << OFFSET_BITS | 16, 0);
}

void *lp_arena_at(lp_arena *arena, lp_place place)
{
    parts *own = parts_of(arena);
    segment *group =
        own ? atomic_load_explicit(
                  &own->groups[place >> (OFFSET_BITS + GROUP_BITS)],
                  memory_order_acquire)
            : NULL;
    if (group) {
        segment *where = &group[(place >> OFFSET_BITS) & (GROUP_SIZE - 1)];
        /* Acquire; pairs with map_segment. */
        uint8_t *memory =
            atomic_load_explicit(&where->memory, memory_order_acquire);
        if (memory)
            return memory + (place & (((lp_place)1 << OFFSET_BITS) - 1));
    }
    return lp_arena_check(arena, place, 0); /* maps it */
}

static header *header_of(lp_arena *arena, lp_place place)
{
    return (header *)lp_arena_at(arena, place) - 1;
}

static lp_place make_place(uint32_t number, size_t offset)
{
    return ((lp_place)number << OFFSET_BITS) | offset;
}

/* Fresh memory for a segment: at offset, if it is in a file. */
static uint8_t *take_memory(lp_arena *arena, size_t size, uint64_t *offset)
{
    if (!arena->file && lp_allocator_is_own(arena->allocator))
        return lp_alloc(arena->allocator, size);
    if (!arena->file) {
        void *pages = lp_pages_take(size);
        if (pages && size >= HUGE_PAGES) lp_pages_prefer_huge(pages, size);
        return pages;
    }
    arena_books *books = books_of(arena);
    if (arena->file->end < books->end) arena->file->end = books->end;
    if (lp_shm_extend(arena->file, size, offset) != LP_OK) return NULL;
    books->end = arena->file->end;
    return lp_shm_map(arena->file, *offset, size);
}

/* Have a segment of size bytes; gives its number. */
static int new_segment(lp_arena *arena, size_t size, uint32_t *number)
{
    arena_books *books = books_of(arena);
    uint32_t chosen = books->segments + 1;
    if (chosen >= LP_ARENA_SEGMENTS) return LP_NOMEM;
    segment *where = segment_of(arena, chosen);
    if (!where) return LP_NOMEM;
    uint64_t offset = 0;
    uint8_t *memory = take_memory(arena, size, &offset);
    if (!memory) return LP_NOMEM;
    books->segments = chosen;
    where->size = size;
    atomic_store(&where->memory, memory);
    if (arena->file) {
        atomic_store(&arena->extents[chosen].offset, offset);
        atomic_store(&arena->extents[chosen].size, size);
    }
    *number = chosen;
    return LP_OK;
}

/*
 * Give the pages of a large free block back to the system; the block stays
 * in the list of its class. Only its header's page keeps its content.
 */
static void empty_segment(lp_arena *arena, uint32_t number)
{
    segment *where = segment_of(arena, number);
    const size_t page = 4096;
    if (arena->file) {
        /* A refusal costs memory, and nothing else. */
        (void)lp_shm_punch(arena->file, arena->extents[number].offset + page,
                           where->size - page);
    } else if (!lp_allocator_is_own(arena->allocator)) {
        lp_pages_empty(atomic_load(&where->memory) + page, where->size - page);
    }
}

void lp_arena_wipe(lp_arena *arena, lp_place place, size_t size)
{
    const size_t page = 4096;
    uint8_t *begin = lp_arena_at(arena, place), *end = begin + size;
    uint8_t *first = begin + (page - (uintptr_t)begin % page) % page;
    uint8_t *last = end - (uintptr_t)end % page;
    if (!arena->file || first >= last) {
        memset(begin, 0, size);
        return;
    }
    const arena_extent *extent = &arena->extents[place >> OFFSET_BITS];
    uint64_t offset = place & (((lp_place)1 << OFFSET_BITS) - 1);
    offset += extent->offset + (uint64_t)(first - begin);
    if (!lp_shm_punch(arena->file, offset, (size_t)(last - first)))
        memset(first, 0, (size_t)(last - first));
    memset(begin, 0, (size_t)(first - begin));
    memset(last, 0, (size_t)(end - last));
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
    arena_books *own = books_of(arena);
    size_t size = class_size(class);
    bool fits = false;
    if (own->current != 0) {
        /* A new writer of an old arena has not seen the segment yet. */
        if (!lp_arena_check(arena, make_place(own->current, 16), 0))
            return LP_NOMEM;
        fits = segment_of(arena, own->current)->size - own->cut >= size;
    }
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
    _Atomic uint64_t *list = returned_of(arena);
    if (atomic_load_explicit(list, memory_order_relaxed) == 0) return;
    lp_place place = atomic_exchange(list, 0);
    while (place) {
        lp_place next = atomic_load(&header_of(arena, place)->next);
        lp_arena_drop(arena, place);
        place = next;
    }
}

/* A free large block is taken: its pages are not kept any more. */
static void uncount_kept(arena_books *own, header *head)
{
    if (!(head->segment & KEPT)) return;
    head->segment &= ~KEPT;
    own->kept_large -= class_size(head->class);
}

int lp_arena_alloc(lp_arena *arena, size_t size, lp_place *place)
{
    if (size > (size_t)1 << 35) return LP_NOMEM;
    if (!parts_of(arena) && make_parts(arena) != LP_OK) return LP_NOMEM;
    arena_books *own = books_of(arena);
    if (own->next_size == 0) own->next_size = FIRST_SEGMENT;
    uint32_t class = class_of(size + sizeof(header));
    assert(class < CLASSES);

    if (!own->free[class]) collect_returned(arena);
    lp_place found = own->free[class];
    if (found) {
        header *head = header_of(arena, found);
        own->free[class] =
            atomic_load_explicit(&head->next, memory_order_relaxed);
        if (class_size(class) >= OWN_SEGMENT) uncount_kept(own, head);
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
    arena_books *own = books_of(arena);
    header *head = header_of(arena, place);
    size_t size = class_size(head->class);
    if (size >= OWN_SEGMENT) {
        if (own->kept_large + size > KEPT_LARGE) {
            empty_segment(arena, head->segment);
        } else {
            own->kept_large += size;
            head->segment |= KEPT;
        }
    }
    atomic_store_explicit(&head->next, own->free[head->class],
                          memory_order_relaxed);
    own->free[head->class] = place;
}

void lp_arena_return(lp_arena *arena, lp_place place)
{
    if (!place) return;
    header *head = header_of(arena, place);
    _Atomic uint64_t *list = returned_of(arena);
    lp_place first = atomic_load(list);
    do {
        atomic_store(&head->next, first);
    } while (!atomic_compare_exchange_weak(list, &first, place));
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
    return (lp_memory){take, drop, arena, LP_BUFFER_LARGE};
}
