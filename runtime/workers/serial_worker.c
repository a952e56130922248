/*
 * serial_worker.c - the loop without a thread.
 *
 * The state is opened by the first task and closed with the executor, or
 * when the executor closes; or when it is too full to go on, and the next task
 * gets another. Only one thread may use a serial executor.
 */
#include "workers/serial_worker.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/thread.h"

struct lp_serial_worker {
    lp_setup setup;
    lp_executor *executor;
    lp_identity identity;
    lp_worker loop;
    lp_state *state;  /* NULL before a task opens it, and at the end */
    bool running;     /* a task of it submits to it */
    lp_thread thread; /* that runs it, while it is running */
    lp_stop stop;
    bool started;
};

lp_serial_worker *lp_serial_worker_new(const lp_setup *setup)
{
    lp_serial_worker *worker =
        lp_calloc(setup->state.allocator, 1, sizeof(*worker));
    if (worker) worker->setup = *setup;
    return worker;
}

void lp_serial_worker_attach(lp_serial_worker *worker, lp_executor *executor)
{
    worker->executor = executor;
}

/* ---- executing ---- */

/* The worker that nothing can replace replaces its state, if it is full. */
static void renew_if_full(lp_serial_worker *worker)
{
    char text[LP_BREAK_TEXT + 128];
    lp_state *fresh = NULL;
    if (!lp_state_is_full(worker->state)) return;
    if (lp_setup_begin(&worker->setup, &worker->identity, &fresh, text,
                       sizeof(text)) != LP_OK) {
        lp_executor_break(worker->executor, text);
        return;
    }
    lp_setup_end(&worker->setup, &worker->identity, worker->state, true);
    worker->state = fresh;
}

static void execute(void *self, const lp_job *job, lp_outcome *outcome)
{
    lp_serial_worker *worker = self;
    renew_if_full(worker);
    lp_state_worker_kind.execute(worker->state, job, outcome);
}

static void begin_items(void *self, const lp_items *items, uint32_t first,
                        lp_progress *progress)
{
    lp_serial_worker *worker = self;
    renew_if_full(worker);
    lp_state_worker_kind.begin_items(worker->state, items, first, progress);
}

static void run_items(void *self, uint32_t count)
{
    lp_serial_worker *worker = self;
    lp_state_worker_kind.run_items(worker->state, count);
}

static void end_items(void *self, lp_items_outcome *outcome)
{
    lp_serial_worker *worker = self;
    lp_state_worker_kind.end_items(worker->state, outcome);
}

static void recover(void *self)
{
    lp_serial_worker *worker = self;
    lp_state_worker_kind.recover(worker->state);
}

static const lp_worker_kind kind = {
    .recover = recover,
    .execute = execute,
    .begin_items = begin_items,
    .run_items = run_items,
    .end_items = end_items,
};

/* ---- life ---- */

/* Called under the executor's lock, for the first task. */
static int start(void *self, uint32_t number)
{
    lp_serial_worker *worker = self;
    lp_setup_identify(&worker->setup, worker->executor, number,
                      &worker->identity);
    lp_worker_init(&worker->loop, lp_executor_control(worker->executor),
                   number);
    worker->loop.arena = lp_executor_worker_arena(worker->executor, number);
    worker->loop.outcomes =
        lp_executor_arena(worker->executor, worker->loop.arena);
    worker->identity.outcomes = lp_arena_memory(worker->loop.outcomes);
    worker->loop.kind = &kind;
    worker->loop.self = worker;
    worker->stop.words = &worker->loop.record->job;
    worker->stop.show = lp_worker_show;
    worker->stop.shower = &worker->loop;
    worker->identity.stop = &worker->stop;
    if (worker->setup.max_tasks > 0)
        worker->loop.left = worker->setup.max_tasks;
    int status =
        lp_setup_trace(&worker->setup, &worker->identity, &worker->loop);
    worker->started = status == LP_OK;
    return status;
}

static void run_queued(void *self)
{
    lp_serial_worker *worker = self;
    if (worker->running) return; /* the outer call runs it */
    worker->running = true;
    lp_thread_this(&worker->thread);
    lp_stop *before = lp_stop_adopt(&worker->stop);
    if (!worker->state) {
        char text[LP_BREAK_TEXT + 128];
        if (lp_setup_begin(&worker->setup, &worker->identity, &worker->state,
                           text, sizeof(text)) != LP_OK)
            lp_executor_break(worker->executor, text);
    }
    if (worker->state) lp_worker_run_queued(&worker->loop);
    (void)lp_stop_adopt(before);
    worker->running = false;
}

/* The executor closed: the state ends. */
static void join(void *self)
{
    lp_serial_worker *worker = self;
    if (!worker->started || worker->running) return;
    worker->started = false;
    if (worker->state)
        lp_setup_end(&worker->setup, &worker->identity, worker->state, true);
    worker->state = NULL;
    lp_track_free(worker->loop.track);
    worker->loop.track = NULL;
    lp_executor_worker_ended(worker->executor, worker->identity.number,
                             LP_END_STOPPED);
}

/* The record says that a task runs, so the thread is in run_queued. */
static void stop(void *self, uint32_t number)
{
    lp_serial_worker *worker = self;
    (void)number;
    lp_stop_install();
    lp_thread_signal(&worker->thread, lp_stop_signal());
}

/* Nobody can take the caller's place: it is signalled again. */
static void let_be(void *self, uint32_t number)
{
    stop(self, number);
}

static void free_worker(void *self)
{
    lp_serial_worker *worker = self;
    lp_setup_clear(&worker->setup);
    lp_free(worker);
}

const lp_executor_kind lp_serial_kind = {
    .start = start,
    .join = join,
    .run_queued = run_queued,
    .stop = stop,
    .abandon = let_be,
    .free = free_worker,
};
