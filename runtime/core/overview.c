/* overview.c - counting, and asking workers where they are. */
#include "core/overview.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "core/executor_private.h"

#include <stdio.h>
#include <string.h>

/* Who has not shown its stack by then is busy with something else. */
#define PATIENCE_NANOSECONDS 100000000
/* Ask again after so long: the question may have come at a bad moment. */
#define AGAIN_NANOSECONDS 10000000

static lp_record *record_of(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->control.records, number);
}

/* The task that a worker runs; NULL if it runs none. */
static lp_task *running_task(lp_executor *executor, uint32_t number)
{
    lp_task *task = lp_executor_announced(executor, number);
    if (!task) return NULL;
    return (lp_task_state(task) & LP_PHASE) == LP_RUNNING ? task : NULL;
}

static lp_doing doing_of(lp_executor *executor, uint32_t number)
{
    const lp_record *record = record_of(executor, number);
    if (running_task(executor, number)) return LP_DOES_TASK;
    if (atomic_load(&record->piece_group) > 0) return LP_DOES_ITEMS;
    return atomic_load(&record->since) == 0 ? LP_DOES_STARTING
                                            : LP_DOES_NOTHING;
}

/* Numbers that have a record and a worker that lives. */
static bool lives_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock)
{
    return number < executor->most && executor->alive[number];
}

void lp_executor_overview(lp_executor *executor, lp_overview *out)
{
    memset(out, 0, sizeof(*out));
    lp_counts *counts = &out->counts;
    lp_lock_enter(&executor->lock);
    uint64_t left = lp_executor_outstanding_locked(executor);
    counts->failed = executor->failed;
    counts->cancelled = executor->cancelled;
    counts->lost = executor->lost;
    for (uint32_t i = 0; i < executor->control.records.count; i++) {
        lp_tally *tally = lp_table_at(&executor->control.tallies, i);
        counts->failed += atomic_load(&tally->failed);
        counts->cancelled += atomic_load(&tally->cancelled);
        lp_sum_add(&counts->runs, &tally->runs);
        lp_sum_add(&counts->waits, &tally->waits);
        if (!lives_locked(executor, i)) continue;
        lp_doing doing = doing_of(executor, i);
        if (doing == LP_DOES_NOTHING) out->idle++;
        if (doing == LP_DOES_TASK || doing == LP_DOES_ITEMS) counts->running++;
    }
    counts->submitted = executor->accepted;
    out->workers = executor->live;
    out->max_workers = executor->max_workers;
    lp_lock_leave(&executor->lock);
    if (counts->running > left) counts->running = left;
    counts->pending = left - counts->running;
    uint64_t others = left + counts->failed + counts->cancelled + counts->lost;
    counts->completed =
        counts->submitted > others ? counts->submitted - others : 0;
}

static void add_overview(lp_executor *executor, void *context)
{
    lp_overview *sum = context, one;
    lp_executor_overview(executor, &one);
    lp_counts_add(&sum->counts, &one.counts);
    sum->workers += one.workers;
    sum->idle += one.idle;
    sum->max_workers += one.max_workers;
}

void lp_host_overview(lp_host *host, lp_overview *out)
{
    memset(out, 0, sizeof(*out));
    lp_lock_enter(&host->lock);
    out->counts = host->freed;
    lp_lock_leave(&host->lock);
    lp_host_each(host, add_overview, out);
}

static void view_label(const char *label, lp_task_view *view)
{
    snprintf(view->label, sizeof(view->label), "%s", label ? label : "");
}

static void view_task(const lp_task *task, lp_task_view *view)
{
    view->serial = lp_task_serial(task);
    view->origin = task->origin;
    view_label(lp_task_label(task), view);
}

/* Which items the worker runs, if it runs some. It writes them meanwhile. */
static void view_items_locked(lp_executor *executor, const lp_record *record,
                              lp_worker_view *view) LP_HOLDS(&executor->lock)
{
    uint32_t group = atomic_load(&record->piece_group);
    uint32_t first = atomic_load(&record->piece_first);
    uint32_t end = atomic_load(&record->piece_end);
    const lp_account *account =
        group > 0 ? lp_executor_account_of(executor, group - 1) : NULL;
    if (view->doing != LP_DOES_ITEMS || !account) return;
    view->task.origin = account->about.origin;
    view_label(account->about.label, &view->task);
    view->first_item = account->about.base + first + 1;
    view->items = end > first ? end - first : 0;
}

/* What the worker waits for, if it does. */
static void view_wait_locked(lp_executor *executor, lp_worker_view *view)
    LP_HOLDS(&executor->lock)
{
    for (lp_list *node = executor->blocked.next; node != &executor->blocked;
         node = node->next) {
        const lp_blocked *one = LP_LIST_ENTRY(node, lp_blocked, in_executor);
        if (one->worker != view->number) continue;
        view->waits = true;
        view->waits_for = one->waits_for;
    }
}

/* Whatever the worker has shown, copied; NULL if it has shown nothing. */
static char *take_stack_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock)
{
    lp_place place = atomic_exchange(&record_of(executor, number)->shown, 0);
    uint32_t arena = executor->arena_of[number];
    lp_outcomes *outcomes = lp_executor_outcomes(executor, arena);
    if (!place || !outcomes) return NULL;
    const char *bytes = lp_arena_check(outcomes->arena, place, 1);
    if (!bytes) return NULL; /* it has lost its mind */
    size_t length = strnlen(bytes, lp_arena_room(outcomes->arena, place));
    char *copy = lp_alloc(executor->host->allocator, length + 1);
    if (copy) {
        memcpy(copy, bytes, length);
        copy[length] = '\0';
    }
    lp_executor_drop_outcome_locked(executor, arena, place);
    return copy;
}

/* Ask the worker for its stack; again, if it is still to answer. */
static void ask_locked(lp_executor *executor, lp_worker_view *view)
    LP_HOLDS(&executor->lock)
{
    lp_record *record = record_of(executor, view->number);
    uint64_t job = atomic_load(&record->job.job);
    if (job == 0 || (job & LP_JOB_STOPPED) || !executor->kind->stop) return;
    view->asked = true;
    atomic_store(&record->job.asked, job);
    executor->kind->stop(executor->self, view->number);
}

static void view_worker_locked(lp_executor *executor, lp_worker_view *view,
                               int64_t now) LP_HOLDS(&executor->lock)
{
    const lp_record *record = record_of(executor, view->number);
    view->pid = atomic_load(&record->pid);
    view->thread = atomic_load(&record->thread);
    view->doing = doing_of(executor, view->number);
    int64_t since = atomic_load(&record->since);
    if (since > 0 && now > since) view->age = now - since;
    const lp_task *task = running_task(executor, view->number);
    if (task) view_task(task, &view->task);
    view_items_locked(executor, record, view);
    view_wait_locked(executor, view);
}

/* Take what has been shown; true if some are still to answer. */
static bool take_stacks(lp_executor *executor, lp_worker_view *views,
                        uint32_t count, bool again)
{
    bool some = false;
    lp_lock_enter(&executor->lock);
    for (uint32_t i = 0; i < count; i++) {
        lp_worker_view *view = &views[i];
        if (!view->asked || view->stack) continue;
        if (!lives_locked(executor, view->number)) continue;
        view->stack = take_stack_locked(executor, view->number);
        if (view->stack) continue;
        if (again) ask_locked(executor, view);
        some = true;
    }
    lp_lock_leave(&executor->lock);
    return some;
}

/* The questions that nobody has answered are withdrawn. */
static void give_up(lp_executor *executor, const lp_worker_view *views,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (views[i].asked && !views[i].stack)
            atomic_store(&record_of(executor, views[i].number)->job.asked, 0);
}

static void gather_stacks(lp_executor *executor, lp_worker_view *views,
                          uint32_t count)
{
    lp_bell *bell = executor->host->bell;
    int64_t limit = lp_clock_after(PATIENCE_NANOSECONDS);
    int64_t again = lp_clock_after(AGAIN_NANOSECONDS);
    for (;;) {
        uint32_t heard = lp_bell_listen(bell);
        int64_t now = lp_clock_now();
        if (!take_stacks(executor, views, count, now >= again)) return;
        if (now >= limit) break;
        if (now >= again) again = now + AGAIN_NANOSECONDS;
        (void)lp_bell_sleep(bell, heard, again < limit ? again : limit);
    }
    give_up(executor, views, count);
}

int lp_executor_view(lp_executor *executor, uint32_t self, lp_worker_view **out,
                     uint32_t *count)
{
    int64_t now = lp_clock_now();
    *count = 0;
    lp_lock_enter(&executor->lock);
    lp_worker_view *views = lp_calloc(
        executor->host->allocator, (size_t)executor->live + 1, sizeof(*views));
    for (uint32_t i = 0; views && i < executor->control.records.count; i++) {
        if (!lives_locked(executor, i)) continue;
        lp_worker_view *view = &views[(*count)++];
        view->number = i;
        view_worker_locked(executor, view, now);
        lp_free(take_stack_locked(executor, i)); /* of an earlier question */
        if (i != self) ask_locked(executor, view);
    }
    lp_lock_leave(&executor->lock);
    *out = views;
    if (!views) return LP_NOMEM;
    gather_stacks(executor, views, *count);
    return LP_OK;
}

void lp_executor_free_views(lp_worker_view *views, uint32_t count)
{
    if (!views) return;
    for (uint32_t i = 0; i < count; i++)
        lp_free(views[i].stack);
    lp_free(views);
}

/* Put task among the views, which are in order, and the last out. */
static uint32_t insert_view(lp_task_view *views, uint32_t count, uint32_t room,
                            const lp_task *task)
{
    uint32_t at = count;
    while (at > 0 && views[at - 1].serial > lp_task_serial(task))
        at--;
    if (at == room) return count;
    if (count < room) count++;
    for (uint32_t i = count - 1; i > at; i--)
        views[i] = views[i - 1];
    view_task(task, &views[at]);
    return count;
}

uint32_t lp_executor_view_pending(lp_executor *executor, lp_task_view *views,
                                  uint32_t room)
{
    uint32_t count = 0;
    lp_lock_enter(&executor->lock);
    for (uint32_t i = 0; i < executor->tasks.count; i++) {
        const lp_task *task = lp_executor_task(executor, i);
        if (!task->live || task->manual ||
            (lp_task_state(task) & LP_PHASE) != LP_PENDING)
            continue;
        count = insert_view(views, count, room, task);
    }
    lp_lock_leave(&executor->lock);
    return count;
}
