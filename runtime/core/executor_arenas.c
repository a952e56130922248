/*
 * executor_arenas.c - the arenas of outcomes, which outlive their writers.
 *
 * A worker that ends in good order leaves its arena to the next of its
 * number. The arena of one that died is not used any more, since nobody
 * knows what state it is in; it goes when what lies in it has been read.
 */
#include "base/status.h"
#include "core/executor_private.h"

#include <string.h>

#define PAGE ((size_t)4096)

/* More numbers than an address has room for are never given out. */
#define MOST_ARENAS LP_WORKERS

lp_outcomes *lp_executor_outcomes(lp_executor *executor, uint32_t arena)
{
    if (arena == LP_HOST_ARENA || arena > executor->outcomes.count) return NULL;
    lp_outcomes *found = lp_table_at(&executor->outcomes, arena - 1);
    return found->arena ? found : NULL;
}

static int make_arena(lp_executor *executor, lp_outcomes *outcomes)
{
    lp_shm_init(&outcomes->file);
    if (!executor->is_shared) {
        outcomes->arena = lp_arena_new(executor->host->allocator);
        return outcomes->arena ? LP_OK : LP_NOMEM;
    }
    int status =
        lp_shm_create(&outcomes->file, "lpool outcomes", LP_ARENA_HEAD + PAGE);
    if (status != LP_OK) return status;
    outcomes->file.end = LP_ARENA_HEAD;
    outcomes->arena =
        lp_arena_open(&outcomes->file, 0, false, executor->host->allocator);
    if (!outcomes->arena) {
        lp_shm_clear(&outcomes->file);
        return LP_NOMEM;
    }
    return LP_OK;
}

int lp_executor_put(lp_executor *executor, const void *bytes, size_t length,
                    lp_place *place)
{
    lp_arena *parcels = executor->control.parcels;
    lp_lock_enter(&executor->lock);
    int status = lp_arena_alloc(parcels, length, place);
    lp_lock_leave(&executor->lock);
    if (status == LP_OK) memcpy(lp_arena_at(parcels, *place), bytes, length);
    return status;
}

void lp_executor_drop(lp_executor *executor, lp_place place)
{
    lp_lock_enter(&executor->lock);
    lp_arena_drop(executor->control.parcels, place);
    lp_lock_leave(&executor->lock);
}

int lp_executor_use_arena_locked(lp_executor *executor, uint32_t worker)
{
    if (executor->arena_of[worker] != 0) return LP_OK;
    uint32_t number = executor->free_outcomes;
    if (number == 0) {
        if (executor->outcomes.count >= MOST_ARENAS ||
            lp_table_add(&executor->outcomes, &number) != LP_OK)
            return LP_NOMEM;
        number++;
        executor->free_outcomes = number;
    }
    lp_outcomes *outcomes = lp_table_at(&executor->outcomes, number - 1);
    uint32_t next = outcomes->next;
    *outcomes = (lp_outcomes){.next = next};
    int status = make_arena(executor, outcomes);
    if (status != LP_OK) return status;
    executor->free_outcomes = next;
    executor->arena_of[worker] = number;
    return LP_OK;
}

uint32_t lp_executor_worker_arena(lp_executor *executor, uint32_t worker)
{
    return executor->arena_of[worker];
}

lp_arena *lp_executor_arena(lp_executor *executor, uint32_t number)
{
    lp_outcomes *outcomes = lp_executor_outcomes(executor, number);
    return outcomes ? outcomes->arena : NULL;
}

const lp_shm *lp_executor_arena_file(lp_executor *executor, uint32_t number)
{
    return &lp_executor_outcomes(executor, number)->file;
}

static void free_arena(lp_executor *executor, lp_outcomes *outcomes,
                       uint32_t number)
{
    lp_arena_free(outcomes->arena);
    lp_shm_clear(&outcomes->file);
    outcomes->arena = NULL;
    outcomes->next = executor->free_outcomes;
    executor->free_outcomes = number;
}

/* Outcomes of tasks that lie in an arena. */
static uint32_t count_tasks_locked(lp_executor *executor, uint32_t arena)
    LP_HOLDS(&executor->lock)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < executor->tasks.count; i++) {
        const lp_cell *cell = lp_table_at(&executor->control.cells, i);
        uint32_t phase = atomic_load(&cell->state) & LP_PHASE;
        if (phase >= LP_FINISHED && phase != LP_CANCELLED &&
            cell->length > LP_CELL_INLINE && cell->arena == arena)
            count++;
    }
    return count;
}

void lp_executor_retire_arena_locked(lp_executor *executor, uint32_t worker)
{
    uint32_t number = executor->arena_of[worker];
    lp_outcomes *outcomes = lp_executor_outcomes(executor, number);
    executor->arena_of[worker] = 0;
    if (!outcomes) return;
    outcomes->retired = true;
    outcomes->blocks = outcomes->pieces + count_tasks_locked(executor, number) +
                       lp_executor_count_pieces_locked(executor, number);
    /* A thread that is stuck will still write, when it comes back. */
    if (!executor->is_shared) outcomes->blocks++;
    if (outcomes->blocks == 0) free_arena(executor, outcomes, number);
}

/*
 * One block less is to be read in an arena. Cells that workers have written
 * may say so too often; but what a map has is counted by the host.
 */
static void count_down(lp_executor *executor, lp_outcomes *outcomes,
                       uint32_t arena)
{
    if (!outcomes->retired) return;
    if (outcomes->blocks > 0) outcomes->blocks--;
    if (outcomes->blocks == 0 && outcomes->pieces == 0)
        free_arena(executor, outcomes, arena);
}

void lp_executor_unhold_arena_locked(lp_executor *executor, uint32_t arena)
{
    lp_outcomes *outcomes = lp_executor_outcomes(executor, arena);
    if (outcomes) count_down(executor, outcomes, arena);
}

void lp_executor_drop_outcome_locked(lp_executor *executor, uint32_t arena,
                                     lp_place place)
{
    lp_outcomes *outcomes = lp_executor_outcomes(executor, arena);
    if (!outcomes || !lp_arena_check(outcomes->arena, place, 0)) return;
    lp_arena_return(outcomes->arena, place);
    count_down(executor, outcomes, arena);
}

void lp_executor_close_files_locked(lp_executor *executor)
{
    for (uint32_t i = 0; i < executor->outcomes.count; i++) {
        lp_outcomes *outcomes = lp_table_at(&executor->outcomes, i);
        if (!outcomes->arena || outcomes->file.fd < 0) continue;
        lp_arena_map_all(outcomes->arena);
        lp_shm_close(&outcomes->file);
    }
    lp_shm_close(&executor->files.host);
    lp_shm_close(&executor->files.words);
}

void lp_executor_clear_arenas(lp_executor *executor)
{
    for (uint32_t i = 0; i < executor->outcomes.count; i++) {
        lp_outcomes *outcomes = lp_table_at(&executor->outcomes, i);
        if (outcomes->arena) free_arena(executor, outcomes, i + 1);
    }
    lp_table_clear(&executor->outcomes);
}
