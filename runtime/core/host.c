/* host.c - collecting what the workers of all executors have completed. */
#include "core/host.h"

#include "base/clock.h"
#include "base/mark.h"
#include "base/status.h"
#include "core/executor_private.h"
#include "core/mailbox.h"
#include "core/overview.h"
#include "core/stopping.h"

#include <sched.h>

/* Wait no longer than this for a process to post what it has completed. */
#define POST_NANOSECONDS 1000000

static int make_bell(lp_host *host)
{
    int status = lp_shm_create(&host->bell_file, "lpool bell", sizeof(lp_bell));
    if (status == LP_OK) host->bell = (lp_bell *)(void *)host->bell_file.base;
    return status;
}

/* The next executor of this round that is to be looked at, retained. */
static lp_executor *next_watched(lp_host *host, uint32_t round)
{
    lp_executor *found = NULL;
    lp_lock_enter(&host->lock);
    for (lp_list *node = host->executors.next;
         node != &host->executors && !found; node = node->next) {
        lp_executor *executor = LP_LIST_ENTRY(node, lp_executor, in_host);
        if (executor->round == round) continue;
        executor->round = round;
        if (lp_executor_is_watched(executor)) found = executor;
    }
    if (found) lp_executor_retain(found);
    lp_lock_leave(&host->lock);
    return found;
}

/* For the supervisor: look at all that has limits. */
static int64_t look_at_limits(void *argument)
{
    lp_host *host = argument;
    lp_executor *executor;
    int64_t next = LP_NEVER;
    uint32_t round = ++host->round;
    while ((executor = next_watched(host, round)) != NULL) {
        int64_t until = lp_executor_look(executor);
        lp_executor_release(executor);
        if (until != LP_NEVER && (next == LP_NEVER || until < next))
            next = until;
    }
    return next;
}

int lp_host_renew(lp_host *host)
{
    host->bell_file.fd = -1; /* was closed when the process began */
    lp_shm_clear(&host->bell_file);
    return make_bell(host);
}

int lp_host_init(lp_host *host, const struct lp_allocator *allocator)
{
    host->allocator = allocator;
    lp_mark_open();
    int status = make_bell(host);
    if (status != LP_OK) return status;
    atomic_init(&host->collected, 0);
    atomic_init(&host->mails, 0);
    atomic_init(&host->serial, 0);
    atomic_init(&host->threads, 0);
    atomic_init(&host->processes, 0);
    atomic_init(&host->maps, 0);
    atomic_init(&host->seed, 0);
    lp_list_init(&host->executors);
    lp_list_init(&host->ended);
    host->library = lp_library_new(allocator);
    if (!host->library) {
        lp_shm_clear(&host->bell_file);
        return LP_NOMEM;
    }
    lp_supervisor_init(&host->supervisor, look_at_limits, host);
    lp_lock_init(&host->lock, LP_RANK_HOST);
    lp_lock_init(&host->waiters, LP_RANK_WAITERS);
    return LP_OK;
}

void lp_host_stop(lp_host *host)
{
    lp_supervisor_clear(&host->supervisor);
}

void lp_host_clear(lp_host *host)
{
    lp_library_free(host->library);
    lp_shm_clear(&host->bell_file);
}

/* A cell that was posted: whoever waits for the task hears of it. */
static void notice(lp_host *host, lp_task *task)
{
    if (!task->live) return; /* there is no such task */
    lp_lock_enter(&host->waiters);
    /*
     * A post proves nothing, for workers may be out of their mind: only dead
     * says that nobody has it. Read first: whoever finds posted cleared sees
     * to the end of the task.
     */
    bool dead = atomic_load(&task->dead);
    if (task->posted) {
        task->posted = 0;
        lp_mailbox_deliver_locked(task);
    }
    lp_lock_leave(&host->waiters);
    lp_bell_ring(host->bell);
    if (dead && !task->ending && lp_task_abandon(task)) {
        task->ending = 1;
        lp_list_append(&host->ended, &task->mails);
    }
}

/* Take the list of one executor and notice its tasks, oldest first. */
static void collect_executor(lp_host *host, lp_executor *executor)
{
    lp_control *control = &executor->control;
    _Atomic uint32_t *list = &control->words->completed;
    if (atomic_load_explicit(list, memory_order_relaxed) == 0) return;
    uint32_t entry = atomic_exchange(list, 0);
    uint32_t oldest_first = 0, count = 0;
    /* Workers wrote it: it may lead anywhere, and round in circles. */
    while (entry && lp_executor_task(executor, entry - 1) &&
           count++ < executor->tasks.count) {
        lp_cell *cell = lp_table_at(&control->cells, entry - 1);
        uint32_t next = atomic_load(&cell->next);
        atomic_store(&cell->next, oldest_first);
        oldest_first = entry;
        entry = next;
    }
    while (oldest_first && lp_executor_task(executor, oldest_first - 1) &&
           count-- > 0) {
        uint32_t number = oldest_first - 1;
        lp_cell *cell = lp_table_at(&control->cells, number);
        oldest_first = atomic_load(&cell->next);
        notice(host, lp_table_at(&executor->tasks, number));
    }
}

void lp_host_collect_from(lp_executor *executor)
{
    lp_host *host = executor->host;
    lp_lock_enter(&host->lock);
    collect_executor(host, executor);
    lp_lock_leave(&host->lock);
}

static lp_task *first_ended(lp_host *host)
{
    lp_task *task = NULL;
    lp_lock_enter(&host->lock);
    if (!lp_list_is_empty(&host->ended)) {
        task = LP_LIST_ENTRY(host->ended.next, lp_task, mails);
        lp_list_remove(&task->mails);
    }
    lp_lock_leave(&host->lock);
    return task;
}

void lp_host_gather(lp_host *host)
{
    lp_lock_enter(&host->lock);
    for (lp_list *node = host->executors.next; node != &host->executors;
         node = node->next)
        collect_executor(host, LP_LIST_ENTRY(node, lp_executor, in_host));
    lp_lock_leave(&host->lock);
}

void lp_host_collect_ended(lp_host *host, uint32_t heard,
                           void (*look)(void *context, lp_task *task),
                           void *context)
{
    lp_host_gather(host);
    atomic_store(&host->collected, heard);

    lp_task *task;
    while ((task = first_ended(host)) != NULL) {
        if (look && !task->seen && lp_task_ended_badly(task))
            look(context, task);
        lp_task_free(task);
    }
    lp_host_reap(host);
}

static void await_posts(lp_executor *executor, void *unused)
{
    (void)unused;
    lp_control *control = &executor->control;
    uint32_t workers = atomic_load(&control->layout->workers);
    for (uint32_t i = 0; i < workers; i++) {
        lp_record *record = lp_table_at(&control->records, i);
        if (!atomic_load(&record->completing)) continue;
        /* It blocks on nothing meanwhile; but it may die, or be stopped. */
        int64_t limit = lp_clock_now() + POST_NANOSECONDS;
        while (
            atomic_load_explicit(&record->completing, memory_order_acquire) &&
            (!executor->is_shared || lp_clock_now() < limit))
            (void)sched_yield();
    }
}

void lp_host_await_posts(lp_host *host)
{
    lp_host_each(host, await_posts, NULL);
}

/* The next executor that nothing refers to, or any, out of the list. */
static lp_executor *first_unused(lp_host *host, bool any)
{
    lp_executor *found = NULL;
    lp_lock_enter(&host->lock);
    for (lp_list *node = host->executors.next;
         node != &host->executors && !found; node = node->next) {
        lp_executor *executor = LP_LIST_ENTRY(node, lp_executor, in_host);
        if (any || lp_executor_is_unused(executor)) found = executor;
    }
    if (found) lp_list_remove(&found->in_host);
    lp_lock_leave(&host->lock);
    return found;
}

/* It is in no list any more; what it has done is remembered. */
static void free_executor(lp_host *host, lp_executor *executor)
{
    lp_overview overview;
    lp_executor_overview(executor, &overview);
    lp_lock_enter(&host->lock);
    lp_counts_add(&host->freed, &overview.counts);
    lp_lock_leave(&host->lock);
    lp_executor_free(executor);
}

/* Free the groups that nobody waits for and that are done. */
static void sweep_groups(lp_host *host)
{
    lp_handles *dropped = NULL;
    lp_lock_enter(&host->lock);
    for (lp_list *node = host->executors.next; node != &host->executors;
         node = node->next) {
        lp_handles *more =
            lp_executor_sweep(LP_LIST_ENTRY(node, lp_executor, in_host));
        while (more) {
            lp_handles *next = more->next;
            more->next = dropped;
            dropped = more;
            more = next;
        }
    }
    lp_lock_leave(&host->lock);
    lp_handles_drop(dropped);
}

void lp_host_reap(lp_host *host)
{
    lp_executor *executor;
    sweep_groups(host);
    while ((executor = first_unused(host, false)) != NULL)
        free_executor(host, executor);
}

void lp_host_each(lp_host *host,
                  void (*visit)(lp_executor *executor, void *context),
                  void *context)
{
    lp_lock_enter(&host->lock);
    for (lp_list *node = host->executors.next; node != &host->executors;
         node = node->next)
        visit(LP_LIST_ENTRY(node, lp_executor, in_host), context);
    lp_lock_leave(&host->lock);
}

void lp_host_free_executors(lp_host *host)
{
    lp_executor *executor;
    while ((executor = first_unused(host, true)) != NULL)
        free_executor(host, executor);
}
