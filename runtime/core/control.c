/*
 * control.c - where the parts of an executor lie.
 *
 * For threads all is private memory. For processes there are two memory
 * files: the host's, which workers can only read,
 *
 *      layout | head of the arena | slots, loads, notes, parcels ...
 *
 * and one that all write, with atomics and nothing else,
 *
 *      words | rings, cells, groups, records, tallies ...
 */
#include "base/alloc.h"
#include "base/status.h"
#include "core/worker.h"

#include <assert.h>

#define PAGE ((size_t)4096)

/* Mapped at once, so that a small executor needs no further mappings. */
#define HOST_BASE  (PAGE + LP_ARENA_HEAD + 32 * PAGE)
#define WORDS_BASE (32 * PAGE)

static_assert(sizeof(lp_layout) <= PAGE && sizeof(lp_words) <= PAGE,
              "what comes first has a page");

int lp_memory_files_make(lp_memory_files *files)
{
    lp_shm_init(&files->host);
    lp_shm_init(&files->words);
    int status = lp_shm_create(&files->host, "lpool host", HOST_BASE);
    if (status == LP_OK)
        status = lp_shm_create(&files->words, "lpool words", WORDS_BASE);
    if (status != LP_OK) {
        lp_memory_files_clear(files);
        return status;
    }
    files->host.end = PAGE + LP_ARENA_HEAD;
    files->words.end = PAGE;
    return LP_OK;
}

int lp_memory_files_open(lp_memory_files *files, int host, int words)
{
    lp_shm_init(&files->words);
    int status = lp_shm_open(&files->host, host, HOST_BASE, false);
    int other = lp_shm_open(&files->words, words, WORDS_BASE, true);
    if (status == LP_OK) status = other;
    if (status != LP_OK) lp_memory_files_clear(files);
    return status;
}

void lp_memory_files_clear(lp_memory_files *files)
{
    lp_shm_clear(&files->host);
    lp_shm_clear(&files->words);
}

/* The tables and levels of the layout, in private memory or in the files. */
static void place_parts(lp_control *control, lp_memory_files *files)
{
    lp_layout *layout = control->layout;
    lp_levels_place(&control->levels, &layout->levels,
                    files ? &files->host : NULL, files ? &files->words : NULL,
                    control->allocator);
    if (!files) {
        lp_table_init(&control->slots, sizeof(lp_slot), control->allocator);
        lp_table_init(&control->loads, sizeof(lp_load), control->allocator);
        lp_table_init(&control->cells, sizeof(lp_cell), control->allocator);
        lp_table_init(&control->groups, sizeof(lp_group), control->allocator);
        lp_table_init(&control->records, sizeof(lp_record), control->allocator);
        lp_table_init(&control->tallies, sizeof(lp_tally), control->allocator);
        return;
    }
    lp_shm *host = &files->host, *words = &files->words;
    lp_table_share(&control->slots, sizeof(lp_slot), host, &layout->slots);
    lp_table_share(&control->loads, sizeof(lp_load), host, &layout->loads);
    lp_table_share(&control->cells, sizeof(lp_cell), words, &layout->cells);
    lp_table_share(&control->groups, sizeof(lp_group), words, &layout->groups);
    lp_table_share(&control->records, sizeof(lp_record), words,
                   &layout->records);
    lp_table_share(&control->tallies, sizeof(lp_tally), words,
                   &layout->tallies);
}

int lp_control_make(lp_control *control, lp_memory_files *files, lp_bell *bell,
                    const lp_allocator *allocator)
{
    control->allocator = allocator;
    control->bell = bell;
    if (files) {
        control->layout = (lp_layout *)(void *)files->host.base;
        control->words = (lp_words *)(void *)files->words.base;
        control->parcels = lp_arena_open(&files->host, PAGE, true, allocator);
    } else {
        control->layout = lp_calloc(allocator, 1, sizeof(lp_layout));
        control->words = lp_calloc(allocator, 1, sizeof(lp_words));
        control->parcels = lp_arena_new(allocator);
    }
    if (!control->layout || !control->words || !control->parcels)
        return LP_NOMEM;
    place_parts(control, files);
    return lp_levels_init(&control->levels, &control->words->queue);
}

int lp_control_attach(lp_control *control, lp_memory_files *files,
                      lp_bell *bell, const lp_allocator *allocator)
{
    control->allocator = allocator;
    control->bell = bell;
    control->layout = (lp_layout *)(void *)files->host.base;
    control->words = (lp_words *)(void *)files->words.base;
    control->parcels = lp_arena_open(&files->host, PAGE, true, allocator);
    place_parts(control, files);
    lp_levels_attach(&control->levels, &control->words->queue);
    return control->parcels ? LP_OK : LP_NOMEM;
}

int lp_control_trace(lp_control *control, lp_memory_files *files)
{
    const lp_allocator *allocator = control->allocator;
    lp_layout *layout = control->layout;
    lp_notes *notes = lp_calloc(allocator, 1, sizeof(*notes));
    if (!notes) return LP_NOMEM;
    if (files) {
        lp_table_share(&notes->tasks, sizeof(lp_note), &files->host,
                       &layout->task_notes);
        lp_table_share(&notes->groups, sizeof(lp_note), &files->host,
                       &layout->group_notes);
    } else {
        lp_table_init(&notes->tasks, sizeof(lp_note), allocator);
        lp_table_init(&notes->groups, sizeof(lp_note), allocator);
    }
    control->notes = notes;
    return LP_OK;
}

void lp_control_clear(lp_control *control, lp_memory_files *files)
{
    if (control->notes) {
        lp_table_clear(&control->notes->groups);
        lp_table_clear(&control->notes->tasks);
        lp_free(control->notes);
    }
    lp_table_clear(&control->tallies);
    lp_table_clear(&control->records);
    lp_table_clear(&control->groups);
    lp_table_clear(&control->cells);
    lp_table_clear(&control->loads);
    lp_table_clear(&control->slots);
    lp_levels_clear(&control->levels);
    lp_arena_free(control->parcels);
    if (!files) {
        lp_free(control->words);
        lp_free(control->layout);
    }
}
