/* thread_worker.c - a thread, a state, and the loop. */
#include "workers/thread_worker.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/status.h"
#include "base/thread.h"

struct lp_thread_workers {
    lp_setup setup;
    lp_executor *executor;
    lp_lock lock;    /* guards the list */
    lp_list threads; /* started and not yet joined */
};

/* One worker's life; a replaced worker is another one. */
typedef struct thread_worker {
    lp_list in_workers;
    lp_thread_workers *workers;
    lp_thread thread;
    lp_stop stop;
    lp_identity identity;
    lp_worker loop;
    lp_state *state;    /* its thread only */
    _Atomic bool ended; /* nothing is left to do but to join it */
    bool abandoned;     /* guarded by the list's lock: it is stuck */
} thread_worker;

lp_thread_workers *lp_thread_workers_new(const lp_setup *setup)
{
    lp_thread_workers *workers =
        lp_calloc(setup->state.allocator, 1, sizeof(*workers));
    if (!workers) return NULL;
    workers->setup = *setup;
    lp_lock_init(&workers->lock, LP_RANK_WORKERS);
    lp_list_init(&workers->threads);
    return workers;
}

void lp_thread_workers_attach(lp_thread_workers *workers, lp_executor *executor)
{
    workers->executor = executor;
}

/* ---- states with a limit ---- */

/*
 * The kind of workers whose state may come to be so full that they must be
 * replaced. Those without a limit are spared the detour.
 */

static void retire_if_full(thread_worker *worker)
{
    if (lp_state_is_full(worker->state)) worker->loop.left = 0;
}

static void execute(void *self, const lp_job *job, lp_outcome *outcome)
{
    thread_worker *worker = self;
    lp_state_worker_kind.execute(worker->state, job, outcome);
    retire_if_full(worker);
}

static void begin_items(void *self, const lp_items *items, uint32_t first,
                        lp_progress *progress)
{
    thread_worker *worker = self;
    lp_state_worker_kind.begin_items(worker->state, items, first, progress);
}

static void run_items(void *self, uint32_t count)
{
    thread_worker *worker = self;
    lp_state_worker_kind.run_items(worker->state, count);
    retire_if_full(worker);
}

static void end_items(void *self, lp_items_outcome *outcome)
{
    thread_worker *worker = self;
    lp_state_worker_kind.end_items(worker->state, outcome);
}

static void recover(void *self)
{
    thread_worker *worker = self;
    lp_state_worker_kind.recover(worker->state);
}

static const lp_worker_kind limited_kind = {
    .recover = recover,
    .execute = execute,
    .begin_items = begin_items,
    .run_items = run_items,
    .end_items = end_items,
};

/* ---- threads ---- */

/* Whether workers may end before the executor does. */
static bool are_replaced(const lp_setup *setup)
{
    return setup->max_tasks > 0 || setup->memory_limit > 0;
}

/* What the loop runs tasks with, in a state that is ready. */
static void set_kind(thread_worker *worker, bool limited)
{
    worker->loop.kind = limited ? &limited_kind : &lp_state_worker_kind;
    worker->loop.self = limited ? (void *)worker : (void *)worker->state;
}

/* It was stuck, and another has its place. */
static bool is_given_up(thread_worker *worker)
{
    return atomic_load(&worker->stop.given_up);
}

/* The thread's main function. */
static void *run(void *argument)
{
    thread_worker *worker = argument;
    lp_setup *setup = &worker->workers->setup;
    lp_executor *executor = worker->workers->executor;
    lp_end end = LP_END_STOPPED;
    char text[LP_BREAK_TEXT + 128];

    lp_thread_set_name(worker->identity.name);
    atomic_store(&worker->loop.record->thread, lp_thread_number());
    lp_stop_adopt(&worker->stop);
    int status = lp_setup_begin(setup, &worker->identity, &worker->state, text,
                                sizeof(text));
    if (status == LP_OK) {
        set_kind(worker, setup->memory_limit > 0);
        end = is_given_up(worker) ? LP_END_ABANDONED
                                  : lp_worker_run(&worker->loop);
        lp_setup_end(setup, &worker->identity, worker->state,
                     end != LP_END_ABANDONED);
    } else if (!is_given_up(worker)) {
        lp_executor_break(executor, text);
    }
    if (is_given_up(worker)) end = LP_END_ABANDONED;
    lp_stop_adopt(NULL);
    lp_track_free(worker->loop.track);
    if (end == LP_END_ABANDONED) {
        lp_executor_abandoned_ended(executor, worker->loop.arena);
    } else {
        lp_executor_worker_ended(executor, worker->identity.number, end);
    }
    atomic_store(&worker->ended, true);
    return NULL;
}

/* Take a thread out of the list: the first, or the first that has ended. */
static thread_worker *take_thread(lp_thread_workers *workers, bool ended)
{
    thread_worker *found = NULL;
    lp_lock_enter(&workers->lock);
    for (lp_list *node = workers->threads.next;
         node != &workers->threads && !found; node = node->next) {
        thread_worker *worker = LP_LIST_ENTRY(node, thread_worker, in_workers);
        /* Whoever is stuck is not waited for. */
        if (atomic_load(&worker->ended) || (!ended && !worker->abandoned))
            found = worker;
    }
    if (found) lp_list_remove(&found->in_workers);
    lp_lock_leave(&workers->lock);
    return found;
}

static void join_threads(lp_thread_workers *workers, bool ended)
{
    thread_worker *worker;
    while ((worker = take_thread(workers, ended)) != NULL) {
        lp_thread_join(&worker->thread);
        lp_free(worker);
    }
}

/* Called under the executor's lock. */
static int start(void *self, uint32_t number)
{
    lp_thread_workers *workers = self;
    if (are_replaced(&workers->setup)) join_threads(workers, true);
    thread_worker *worker =
        lp_calloc(workers->setup.state.allocator, 1, sizeof(*worker));
    if (!worker) return LP_NOMEM;
    lp_executor *executor = workers->executor;
    worker->workers = workers;
    lp_list_init(&worker->in_workers);
    lp_setup_identify(&workers->setup, executor, number, &worker->identity);
    lp_worker_init(&worker->loop, lp_executor_control(executor), number);
    worker->loop.arena = lp_executor_worker_arena(executor, number);
    worker->loop.outcomes = lp_executor_arena(executor, worker->loop.arena);
    worker->loop.spare = number >= lp_executor_max_workers(executor);
    worker->identity.outcomes = lp_arena_memory(worker->loop.outcomes);
    worker->stop.words = &worker->loop.record->job;
    worker->stop.show = lp_worker_show;
    worker->stop.shower = &worker->loop;
    worker->identity.stop = &worker->stop;
    if (workers->setup.max_tasks > 0)
        worker->loop.left = workers->setup.max_tasks;
    int status =
        lp_setup_trace(&workers->setup, &worker->identity, &worker->loop);
    if (status != LP_OK) {
        lp_free(worker);
        return status;
    }

    lp_lock_enter(&workers->lock);
    status = lp_thread_start(&worker->thread, run, worker);
    if (status == LP_OK) lp_list_append(&workers->threads, &worker->in_workers);
    lp_lock_leave(&workers->lock);
    if (status != LP_OK) {
        lp_track_free(worker->loop.track);
        lp_free(worker);
    }
    return status;
}

/* Take the thread of worker number, which is at work; the list is locked. */
static thread_worker *find_locked(lp_thread_workers *workers, uint32_t number)
    LP_HOLDS(&workers->lock)
{
    for (lp_list *node = workers->threads.next; node != &workers->threads;
         node = node->next) {
        thread_worker *worker = LP_LIST_ENTRY(node, thread_worker, in_workers);
        if (worker->identity.number == number && !worker->abandoned &&
            !atomic_load(&worker->ended))
            return worker;
    }
    return NULL;
}

static void stop(void *self, uint32_t number)
{
    lp_thread_workers *workers = self;
    lp_stop_install();
    lp_lock_enter(&workers->lock);
    thread_worker *worker = find_locked(workers, number);
    /* It is in the list, so it was not joined, and the signal finds it. */
    if (worker) lp_thread_signal(&worker->thread, lp_stop_signal());
    lp_lock_leave(&workers->lock);
}

static void abandon(void *self, uint32_t number)
{
    lp_thread_workers *workers = self;
    lp_lock_enter(&workers->lock);
    thread_worker *worker = find_locked(workers, number);
    if (worker) {
        /* Its record is another's by now, which cannot tell it to end. */
        worker->abandoned = true;
        atomic_store(&worker->stop.given_up, true);
        lp_thread_signal(&worker->thread, lp_stop_signal());
    }
    lp_lock_leave(&workers->lock);
}

static void join(void *self)
{
    join_threads(self, false);
}

static void free_workers(void *self)
{
    lp_thread_workers *workers = self;
    /* One that was stuck has said that it ends, and may be about to. */
    lp_lock_enter(&workers->lock);
    for (lp_list *node = workers->threads.next; node != &workers->threads;
         node = node->next)
        LP_LIST_ENTRY(node, thread_worker, in_workers)->abandoned = false;
    lp_lock_leave(&workers->lock);
    join_threads(workers, false);
    lp_setup_clear(&workers->setup);
    lp_free(workers);
}

const lp_executor_kind lp_thread_kind = {
    .start = start,
    .join = join,
    .stop = stop,
    .abandon = abandon,
    .free = free_workers,
};
