/*
 * executor_early.c - results that workers have made and not handed in yet.
 *
 * A worker hands in results piece by piece, each some work of tiny items. If
 * one of those takes long after all, what was made before it would wait with
 * it. Whoever waits reads it where the worker writes it: results only ever
 * grow there, how many are complete is set last, and if they move, their new
 * place is told before the old one is used again. So a copy is good if they
 * are still in the same place, for the same piece, once it is made.
 */
#include "base/alloc.h"
#include "base/status.h"
#include "core/executor_private.h"

#include <string.h>

/* A piece in the making. */
typedef struct making {
    const lp_record *record;
    uint32_t first;
    uint32_t done;
    uint64_t results; /* place and form, as lp_progress has them */
} making;

/* What a worker makes of the group; false: nothing, or nothing yet. */
static bool find_making(lp_executor *executor, uint32_t worker, uint32_t number,
                        making *found)
{
    const lp_record *record = lp_table_at(&executor->control.records, worker);
    if (!executor->alive[worker] ||
        atomic_load(&record->piece_group) != number + 1 ||
        atomic_load(&record->piece_generation) !=
            atomic_load(&lp_executor_load(executor, number)->generation))
        return false;
    *found = (making){
        .record = record,
        .first = atomic_load(&record->piece_first),
        .done = atomic_load(&record->progress.done),
        .results = atomic_load(&record->progress.results),
    };
    uint32_t count = atomic_load(&lp_executor_load(executor, number)->count);
    return found->done > 0 && found->results / 4 != 0 && found->first < count &&
           found->done <= count - found->first;
}

/* Whether it is still in the making, where it was: see post_piece. */
static bool is_same(const making *made, uint32_t number)
{
    return atomic_load(&made->record->completing) == 0 &&
           atomic_load(&made->record->progress.results) == made->results &&
           atomic_load(&made->record->piece_first) == made->first &&
           atomic_load(&made->record->piece_group) == number + 1;
}

/*
 * Bytes from where the worker writes. It may write there again meanwhile, if
 * they have moved: then the copy is thrown away.
 */
__attribute__((no_sanitize("thread"))) static void
copy_results(uint8_t *to, const uint8_t *from, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++)
        to[i] = from[i];
}

/* Copy what is complete past known items. LP_OK with no bytes: not now. */
static int copy_part(lp_executor *executor, uint32_t worker, uint32_t number,
                     uint32_t known, const making *made, lp_taken *part)
{
    lp_outcomes *outcomes =
        lp_executor_outcomes(executor, executor->arena_of[worker]);
    lp_place place = made->results / 4;
    uint32_t form = (uint32_t)(made->results & 3);
    const lp_piece *piece =
        outcomes ? lp_arena_check(outcomes->arena, place, sizeof(*piece))
                 : NULL;
    part->bytes = NULL;
    if (!piece) return LP_OK;
    const uint8_t *bytes = (const uint8_t *)(piece + 1);
    uint64_t room = lp_arena_room(outcomes->arena, place) - sizeof(*piece);
    uint64_t from, to;
    if (!lp_group_measure(bytes, room, form, known, &from) ||
        !lp_group_measure(bytes, room, form, made->done, &to) || to < from)
        return LP_OK;
    uint8_t *copy = lp_alloc(executor->host->allocator, to - from + 1);
    if (!copy) return LP_NOMEM;
    copy_results(copy, bytes + from, to - from);
    atomic_thread_fence(memory_order_acquire);
    if (!is_same(made, number)) {
        lp_free(copy);
        return LP_OK;
    }
    *part = (lp_taken){.first = made->first,
                       .count = made->done,
                       .form = (lp_form)form,
                       .bytes = copy,
                       .length = to - from};
    return LP_OK;
}

int lp_executor_take_early(lp_executor *executor, uint32_t number,
                           const lp_early *taker)
{
    int status = LP_OK;
    lp_lock_enter(&executor->lock);
    uint32_t workers = executor->control.records.count;
    for (uint32_t i = 0; i < workers && status == LP_OK; i++) {
        making made;
        lp_taken part;
        if (!find_making(executor, i, number, &made)) continue;
        uint32_t known = taker->known(taker->context, made.first);
        if (made.done <= known) continue;
        status = copy_part(executor, i, number, known, &made, &part);
        if (status != LP_OK || !part.bytes) continue;
        status = taker->give(taker->context, &part, known);
        if (status != LP_OK) lp_free((uint8_t *)part.bytes);
    }
    lp_lock_leave(&executor->lock);
    return status;
}

bool lp_executor_may_be_early(lp_executor *executor, uint32_t number)
{
    const lp_load *load = lp_executor_load(executor, number);
    const lp_group *group = lp_executor_group(executor, number);
    /* Items with a limit, and those that take long, come one by one. */
    if (lp_executor_is_serial(executor) || atomic_load(&load->timeout) > 0)
        return false;
    if (atomic_load(&group->cost) < LP_PIECE_NANOSECONDS) return true;
    uint32_t workers = atomic_load(&executor->control.layout->workers);
    for (uint32_t i = 0; i < workers; i++) {
        const lp_record *record = lp_table_at(&executor->control.records, i);
        if (atomic_load(&record->piece_group) == number + 1 &&
            atomic_load(&record->piece_end) !=
                atomic_load(&record->piece_first) + 1)
            return true;
    }
    return false;
}
