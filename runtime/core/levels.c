/*
 * levels.c - rings by priority, and the order in which takers look at them.
 *
 * The order is a list of level numbers. It stands there twice: the host
 * writes a new one into the list that nobody reads, and then counts the
 * change, whose parity says which one holds. A taker that finds that more
 * was changed while it read reads again. Nothing but the choice of the next
 * level hangs on the order; whether there is anything to do is asked of all
 * levels by number, and those only become more.
 */
#include "core/levels.h"

#include "base/alloc.h"
#include "base/status.h"

/* ---- where they lie ---- */

void lp_levels_place(lp_levels *levels, lp_levels_layout *layout, lp_shm *host,
                     lp_shm *words, const lp_allocator *allocator)
{
    levels->allocator = allocator;
    levels->layout = layout;
    levels->file = words;
    if (!words) {
        lp_chunks_init(&levels->first.rings, allocator);
        lp_table_init(&levels->words, sizeof(lp_queue_words), allocator);
        lp_table_init(&levels->places, sizeof(lp_chunk_places), allocator);
        return;
    }
    lp_chunks_share(&levels->first.rings, words, &layout->rings);
    lp_table_share(&levels->words, sizeof(lp_queue_words), words,
                   &layout->words);
    lp_table_share(&levels->places, sizeof(lp_chunk_places), host,
                   &layout->places);
}

int lp_levels_init(lp_levels *levels, lp_queue_words *words)
{
    return lp_queue_init(&levels->first, words);
}

void lp_levels_attach(lp_levels *levels, lp_queue_words *words)
{
    lp_queue_attach(&levels->first, words);
}

void lp_levels_clear(lp_levels *levels)
{
    for (uint32_t i = 1; i < LP_LEVELS; i++) {
        lp_level *level = atomic_load(&levels->more[i]);
        if (!level) continue;
        lp_queue_clear(&level->queue);
        lp_free(level);
        atomic_store(&levels->more[i], NULL);
    }
    lp_queue_clear(&levels->first);
    lp_table_clear(&levels->places);
    lp_table_clear(&levels->words);
}

/* A view of level number, whose words and places exist. NULL: no memory. */
static lp_level *new_view(lp_levels *levels, uint32_t number)
{
    lp_level *level = lp_calloc(levels->allocator, 1, sizeof(*level));
    if (!level) return NULL;
    if (levels->file) {
        lp_chunks_share(&level->queue.rings, levels->file,
                        lp_table_at(&levels->places, number - 1));
    } else {
        lp_chunks_init(&level->queue.rings, levels->allocator);
    }
    return level;
}

/* The ring of a level that exists; NULL if there is no memory to see it. */
static lp_queue *queue_of(lp_levels *levels, uint32_t number)
{
    if (number == 0) return &levels->first;
    lp_level *level =
        atomic_load_explicit(&levels->more[number], memory_order_acquire);
    if (level) return &level->queue;
    /* Only in a worker's process, which has one thread. */
    level = new_view(levels, number);
    if (!level) return NULL;
    lp_queue_attach(&level->queue, lp_table_at(&levels->words, number - 1));
    atomic_store_explicit(&levels->more[number], level, memory_order_release);
    return &level->queue;
}

/* ---- putting ---- */

static int64_t priority_of(lp_levels *levels, uint32_t number)
{
    return number == 0 ? 0 : atomic_load(&levels->more[number])->priority;
}

/* A new level without a place in the order. */
static int make_level(lp_levels *levels, uint32_t *number)
{
    uint32_t next = atomic_load(&levels->layout->count) + 1, made;
    /* Both tables grow together; a leftover of one does no harm. */
    if (levels->words.count < next &&
        lp_table_add(&levels->words, &made) != LP_OK)
        return LP_NOMEM;
    if (levels->file && levels->places.count < next &&
        lp_table_add(&levels->places, &made) != LP_OK)
        return LP_NOMEM;
    lp_level *level = new_view(levels, next);
    if (!level) return LP_NOMEM;
    int status =
        lp_queue_init(&level->queue, lp_table_at(&levels->words, next - 1));
    if (status != LP_OK) {
        lp_queue_clear(&level->queue);
        lp_free(level);
        return status;
    }
    atomic_store(&levels->more[next], level);
    atomic_store(&levels->layout->count, next);
    *number = next;
    return LP_OK;
}

/* A level for a priority that has none: a new one, or one that is empty. */
static int find_level(lp_levels *levels, uint32_t *number)
{
    uint32_t count = atomic_load(&levels->layout->count);
    if (count + 1 < LP_LEVELS) return make_level(levels, number);
    for (uint32_t i = 1; i <= count; i++) {
        if (lp_queue_length(queue_of(levels, i)) > 0) continue;
        *number = i;
        return LP_OK;
    }
    return LP_CROWDED;
}

/* Have level number, and no other of that number, where its priority is. */
static void change_order(lp_levels *levels, uint32_t number)
{
    lp_levels_layout *layout = levels->layout;
    uint32_t changes = atomic_load(&layout->changes);
    int64_t priority = priority_of(levels, number);
    uint32_t old = changes & 1, new = old ^ 1, count = 0;
    /* Before the first change level 0 stands in the order of itself. */
    uint32_t old_count =
        changes == 0 ? 1 : atomic_load(&layout->order[old].count);
    bool placed = false;
    for (uint32_t i = 0; i < old_count; i++) {
        uint8_t other = atomic_load(&layout->order[old].level[i]);
        if (other == number) continue;
        if (!placed && priority > priority_of(levels, other)) {
            atomic_store(&layout->order[new].level[count++], (uint8_t)number);
            placed = true;
        }
        atomic_store(&layout->order[new].level[count++], other);
    }
    if (!placed)
        atomic_store(&layout->order[new].level[count++], (uint8_t)number);
    atomic_store(&layout->order[new].count, (uint8_t)count);
    atomic_store(&layout->changes, changes + 1 == 0 ? 2 : changes + 1);
}

/* Find the level of a priority: by halves, since it is in order. */
static bool look_up(lp_levels *levels, int64_t priority, uint32_t *number)
{
    lp_levels_layout *layout = levels->layout;
    uint32_t changes = atomic_load(&layout->changes);
    if (changes == 0) return false;
    uint32_t first = 0, end = atomic_load(&layout->order[changes & 1].count);
    while (first < end) {
        uint32_t middle = (first + end) / 2;
        *number = atomic_load(&layout->order[changes & 1].level[middle]);
        int64_t found = priority_of(levels, *number);
        if (found == priority) return true;
        if (found > priority) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return false;
}

int lp_levels_put_among(lp_levels *levels, int64_t priority, uint32_t entry)
{
    uint32_t number;
    if (!look_up(levels, priority, &number)) {
        int status = find_level(levels, &number);
        if (status != LP_OK) return status;
        atomic_load(&levels->more[number])->priority = priority;
        change_order(levels, number);
    }
    return lp_queue_put(queue_of(levels, number), entry);
}

void lp_levels_each(lp_levels *levels,
                    void (*visit)(void *context, uint32_t entry), void *context)
{
    lp_levels_layout *layout = levels->layout;
    uint32_t changes = atomic_load(&layout->changes);
    if (changes == 0) {
        lp_queue_each(&levels->first, visit, context);
        return;
    }
    uint32_t count = atomic_load(&layout->order[changes & 1].count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t level = atomic_load(&layout->order[changes & 1].level[i]);
        lp_queue_each(queue_of(levels, level), visit, context);
    }
}

lp_queue *lp_levels_at(lp_levels *levels, uint32_t number)
{
    if (number > atomic_load(&levels->layout->count)) return NULL;
    return queue_of(levels, number);
}

/* ---- taking ---- */

lp_queue *lp_levels_search(lp_levels *levels)
{
    lp_levels_layout *layout = levels->layout;
    for (;;) {
        uint32_t changes = atomic_load(&layout->changes);
        uint32_t now = changes & 1;
        uint32_t count = atomic_load(&layout->order[now].count);
        lp_queue *found = NULL;
        for (uint32_t i = 0; i < count && !found; i++) {
            uint32_t level = atomic_load(&layout->order[now].level[i]);
            lp_queue *queue = queue_of(levels, level);
            if (queue && lp_queue_length(queue) > 0) found = queue;
        }
        /* In total order with what was read above, and with the host. */
        if (atomic_load(&layout->changes) == changes) return found;
    }
}

uint64_t lp_levels_count(lp_levels *levels)
{
    uint64_t length = lp_queue_length(&levels->first);
    uint32_t count = atomic_load(&levels->layout->count);
    for (uint32_t i = 1; i <= count; i++) {
        lp_queue *queue = queue_of(levels, i);
        if (queue) length += lp_queue_length(queue);
    }
    return length;
}
