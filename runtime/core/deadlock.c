/*
 * deadlock.c - workers that wait, and whether any of them will go on.
 *
 * A worker that waits says for what in a list of its executor, and a spare
 * worker takes its place if there is something to do. An executor is stalled
 * if all its workers are in that list, since whatever would start another one
 * has been tried, and if what each waits for are tasks, items or room of
 * executors that are stalled as well. Whoever finds his own one stalled must
 * not wait.
 *
 * No two executors are locked at the same time. Each counts the changes of
 * its list: when two walks have found all of them stalled, with the same
 * counts, then all of them were stalled at the end of the first.
 */
#include "base/status.h"
#include "core/executor_private.h"

/* Who waits for more executors than that is not looked after. */
#define MOST_EXECUTORS 16u

/* An executor that the walk has come to. */
typedef struct stop {
    lp_executor *executor; /* retained, but for the first */
    bool for_room;         /* somebody waits for room in it */
    uint64_t changes;
} stop;

typedef struct walk {
    stop stops[MOST_EXECUTORS];
    uint32_t count;
} walk;

/* Go there too. False if there are too many. */
static bool visit(walk *work, lp_executor *executor, bool for_room)
{
    for (uint32_t i = 0; i < work->count; i++) {
        if (work->stops[i].executor != executor) continue;
        if (for_room) work->stops[i].for_room = true;
        return true;
    }
    if (work->count == MOST_EXECUTORS) return false;
    lp_executor_retain(executor); /* whoever waits for it may go on now */
    work->stops[work->count++] = (stop){executor, for_room, 0};
    return true;
}

/* An lp_visit. */
static bool visit_source(void *work, lp_executor *executor)
{
    return visit(work, executor, false);
}

static bool is_stalled_locked(walk *work, lp_executor *executor)
    LP_HOLDS(&executor->lock)
{
    uint32_t count = 0;
    for (lp_list *node = executor->blocked.next; node != &executor->blocked;
         node = node->next) {
        const lp_blocked *one = LP_LIST_ENTRY(node, lp_blocked, in_executor);
        lp_executor *other = one->room;
        count++;
        if (one->outlook) {
            if (!one->outlook(one->what, visit_source, work)) return false;
            continue;
        }
        if (one->task) {
            if (lp_phase_is_done(lp_task_state(one->task))) return false;
            other = one->task->executor;
        }
        if (!other || !visit(work, other, one->room != NULL)) return false;
    }
    return count > 0 && count == executor->live;
}

/* Whether all that can be reached from the first stop are stalled. */
static bool all_stalled(walk *work)
{
    for (uint32_t i = 0; i < work->count; i++) {
        stop *at = &work->stops[i];
        lp_executor *executor = at->executor;
        lp_lock_enter(&executor->lock);
        at->changes = executor->block_changes;
        bool stalled = is_stalled_locked(work, executor);
        lp_lock_leave(&executor->lock);
        if (!stalled) return false;
    }
    /* Only now: it is known for all who waits for room in them. */
    for (uint32_t i = 0; i < work->count; i++)
        if (work->stops[i].for_room &&
            lp_executor_ask_for_room(work->stops[i].executor) != LP_FULL)
            return false; /* somebody is about to go on */
    return true;
}

static void end_walk(walk *work)
{
    while (work->count > 1)
        lp_executor_release(work->stops[--work->count].executor);
}

static bool is_same(const walk *work, const walk *before)
{
    if (work->count != before->count) return false;
    for (uint32_t i = 0; i < work->count; i++)
        if (work->stops[i].executor != before->stops[i].executor ||
            work->stops[i].changes != before->stops[i].changes)
            return false;
    return true;
}

static bool is_deadlocked(lp_executor *executor)
{
    walk before = {{{executor, false, 0}}, 1};
    bool stalled = all_stalled(&before), same = false;
    while (stalled && !same) {
        walk again = {{{executor, false, 0}}, 1};
        stalled = all_stalled(&again);
        same = is_same(&again, &before);
        end_walk(&before);
        before = again;
    }
    end_walk(&before);
    return stalled;
}

int lp_executor_block(lp_executor *executor, lp_blocked *blocked)
{
    lp_control *control = &executor->control;
    lp_lock_enter(&executor->lock);
    lp_list_append(&executor->blocked, &blocked->in_executor);
    executor->blocked_count++;
    executor->block_changes++;
    bool has_work = lp_levels_length(&control->levels) > 0 ||
                    atomic_load(&control->words->hoards) > 0;
    /* One that is started is not in the list: so this is not stalled. */
    if (has_work) (void)lp_executor_start_needed_locked(executor, true);
    bool all = executor->blocked_count >= executor->live;
    lp_lock_leave(&executor->lock);
    bool known = blocked->task || blocked->room || blocked->outlook;
    if (!all || !known || !is_deadlocked(executor)) return LP_OK;
    lp_executor_unblock(executor, blocked);
    return LP_DEADLOCK;
}

void lp_executor_unblock(lp_executor *executor, lp_blocked *blocked)
{
    lp_lock_enter(&executor->lock);
    lp_list_remove(&blocked->in_executor);
    executor->blocked_count--;
    executor->block_changes++;
    lp_lock_leave(&executor->lock);
}
