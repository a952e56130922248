/* setup.c - a state that is ready for tasks, and tasks run in it. */
#include "workers/setup.h"

#include "base/alloc.h"
#include "base/status.h"
#include "vm/call.h"
#include "vm/items.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void lp_setup_clear(lp_setup *setup)
{
    lp_buffer_clear(&setup->initializer);
    lp_buffer_clear(&setup->finalizer);
    lp_buffer_clear(&setup->preload);
}

static int copy_buffer(lp_buffer *buffer, const lp_buffer *from)
{
    lp_buffer_init(buffer, from->allocator);
    int status = LP_OK;
    if (from->length > 0)
        status = lp_buffer_append(buffer, from->bytes, from->length);
    for (size_t i = 0; i < from->handle_count && status == LP_OK; i++)
        status = lp_buffer_add_handle(buffer, from->handles[i]);
    return status;
}

int lp_setup_stand_in(lp_setup *setup, const lp_setup *from,
                      const lp_executor *executor)
{
    *setup = *from;
    int status = copy_buffer(&setup->initializer, &from->initializer);
    int finalizer = copy_buffer(&setup->finalizer, &from->finalizer);
    int preload = copy_buffer(&setup->preload, &from->preload);
    snprintf(setup->prefix, sizeof(setup->prefix), "%.100s_caller",
             from->prefix);
    snprintf(setup->kind, sizeof(setup->kind), "serial");
    setup->stands_in_for = executor;
    setup->max_tasks = 0;
    if (status == LP_OK) status = finalizer;
    return status == LP_OK ? preload : status;
}

void lp_setup_name(const lp_setup *setup, uint32_t number, char *name,
                   size_t size)
{
    snprintf(name, size, "%.100s_%u", setup->prefix, number);
}

void lp_setup_identify(const lp_setup *setup, lp_executor *executor,
                       uint32_t number, lp_identity *identity)
{
    lp_host *host = lp_executor_host(executor);
    identity->host = host;
    identity->stop = NULL;
    identity->executor = executor;
    identity->seed = setup->seed + 0x9E3779B97F4A7C15u *
                                       (1 + atomic_fetch_add(&host->seed, 1));
    identity->kind = setup->kind;
    identity->stands_in_for = setup->stands_in_for;
    identity->depth = setup->depth;
    identity->number = number;
    lp_setup_name(setup, number, identity->name, sizeof(identity->name));
}

int lp_setup_trace(const lp_setup *setup, const lp_identity *identity,
                   lp_worker *worker)
{
    const lp_executor *executor = identity->executor;
    if (!lp_executor_is_traced(executor)) return LP_OK;
    const lp_track_id id = lp_executor_track_id(executor, identity->number);
    worker->track =
        lp_track_new(identity->host->trace, id, identity->name, setup->prefix);
    return worker->track ? LP_OK : LP_NOMEM;
}

/* Run a parcel for its effect; false if it failed. */
static bool run_parcel(lp_state *state, const lp_buffer *parcel,
                       const lp_memory *outcomes)
{
    lp_call_outcome outcome;
    lp_call_run(state, parcel->bytes, parcel->length, parcel->handles,
                parcel->handle_count, &outcome);
    if (outcome.place) outcomes->drop(outcomes->owner, outcome.place);
    return outcome.ending == LP_RETURNED;
}

/* The workers of its executor are told to end, whatever they do. */
static bool is_over(const lp_identity *identity)
{
    if (!identity->executor) return false;
    const lp_control *control = lp_executor_control(identity->executor);
    return atomic_load(&control->layout->mode) == LP_MODE_STOP;
}

/*
 * The same as a job, which can be stopped, but has no limit. Nothing, if the
 * executor's workers are to end now: whoever tells them that later sees the
 * job. One that is stuck and was given up finds that its worker's record is
 * another's by now.
 */
static bool run_as_job(const lp_identity *identity, lp_state *state,
                       const lp_buffer *parcel)
{
    lp_job_words *words = identity->stop ? identity->stop->words : NULL;
    /* A state that is replaced is so within the job of a task. */
    if (!words || atomic_load(&words->job) != 0)
        return run_parcel(state, parcel, &identity->outcomes);
    atomic_store(&words->job, LP_JOB_SETUP);
    bool fine =
        is_over(identity) || run_parcel(state, parcel, &identity->outcomes);
    uint64_t found = LP_JOB_SETUP;
    if (atomic_compare_exchange_strong(&words->job, &found, 0)) return fine;
    if (found == (LP_JOB_SETUP | LP_JOB_STOPPED) &&
        atomic_compare_exchange_strong(&words->job, &found, 0))
        lp_state_recover(state);
    return fine;
}

/* Tell people of a failure. */
static void log_failure(const lp_setup *setup, const char *what,
                        const lp_identity *identity, const char *why)
{
    char line[LP_BREAK_TEXT + 3 * LP_NAME_SIZE];
    snprintf(line, sizeof(line), "exception in %s of %s: %s", what,
             identity->name, why[0] ? why : "it was stopped");
    setup->log(setup->log_context, line);
}

/* Say that a step failed: to people, and to the executor. */
static int report_failure(const lp_setup *setup, const lp_identity *identity,
                          const char *what, const char *why, char *text,
                          size_t size)
{
    log_failure(setup, what, identity, why);
    snprintf(text, size,
             "a worker's %s failed, the pool is not usable any more: %s", what,
             why);
    return LP_FAILED;
}

int lp_setup_open(const lp_setup *setup, lp_identity *identity,
                  lp_state **state, char *text, size_t size)
{
    lp_state_config config = setup->state;
    config.context = identity;
    config.outcomes = &identity->outcomes;
    config.stop = identity->stop;
    config.index = identity->number;
    int status = lp_state_open(&config, state, text, size);
    if (status == LP_NOMEM) snprintf(text, size, "not enough memory");
    return status;
}

int lp_setup_ready(const lp_setup *setup, lp_identity *identity,
                   lp_state *state, char *text, size_t size)
{
    char why[LP_BREAK_TEXT];
    lp_state_seed(state, identity->seed);
    if (setup->memory_limit > 0 &&
        lp_state_limit(state, setup->memory_limit, why, sizeof(why)) != LP_OK)
        return report_failure(setup, identity, "start", why, text, size);
    if (setup->initializer.length == 0 ||
        run_as_job(identity, state, &setup->initializer))
        return LP_OK;
    return report_failure(setup, identity, "initializer", lp_call_text(state),
                          text, size);
}

int lp_setup_begin(const lp_setup *setup, lp_identity *identity, lp_state **out,
                   char *text, size_t size)
{
    char why[LP_BREAK_TEXT], what[LP_NAME_SIZE], module[LP_NAME_SIZE / 2];
    lp_state *state = NULL;
    int status = lp_setup_open(setup, identity, &state, why, sizeof(why));
    if (status != LP_OK)
        return report_failure(setup, identity, "start", why, text, size);
    status =
        lp_state_preload(state, setup->preload.bytes, setup->preload.length,
                         module, sizeof(module), why, sizeof(why));
    if (status != LP_OK) {
        snprintf(what, sizeof(what), "preload of '%s'", module);
        status = report_failure(setup, identity, what, why, text, size);
    } else {
        status = lp_setup_ready(setup, identity, state, text, size);
    }
    if (status != LP_OK) {
        lp_state_close(state);
        return status;
    }
    *out = state;
    return LP_OK;
}

void lp_setup_end(const lp_setup *setup, const lp_identity *identity,
                  lp_state *state, bool orderly)
{
    lp_state_lift_limit(state);
    if (orderly && setup->finalizer.length > 0 &&
        !run_as_job(identity, state, &setup->finalizer))
        log_failure(setup, "finalizer", identity, lp_call_text(state));
    char why[LP_BREAK_TEXT];
    if (lp_state_close_engine(state, why, sizeof(why)) != LP_OK)
        log_failure(setup, "close", identity, why);
    lp_state_close(state);
}

/* ---- executing in a state ---- */

static void execute(void *self, const lp_job *job, lp_outcome *outcome)
{
    static const lp_phase phases[] = {
        [LP_RETURNED] = LP_FINISHED,
        [LP_THREW] = LP_RAISED,
        [LP_GAVE_UP] = LP_LOST,
    };
    lp_call_outcome result;
    lp_call_run(self, job->bytes, job->length,
                job->handles ? job->handles->items : NULL,
                job->handles ? job->handles->count : 0, &result);
    outcome->phase = phases[result.ending];
    outcome->bytes = result.bytes;
    outcome->length = result.length;
    outcome->place = result.place;
}

static_assert((int)LP_ITEMS_MESSAGES == (int)LP_FORM_MESSAGES &&
                  (int)LP_ITEMS_INTEGERS == (int)LP_FORM_INTEGERS &&
                  (int)LP_ITEMS_RANGE == (int)LP_FORM_RANGE,
              "vm and core mean the same forms");

static void begin_items(void *self, const lp_items *items, uint32_t first,
                        lp_progress *progress)
{
    lp_items_source source = {
        .serial = items->serial,
        .form = items->form,
        .assigns = items->assigns,
        .retries = items->retries,
        .head = items->head,
        .head_length = items->head_length,
        .items = items->items,
        .items_length = items->items_length,
        .index = items->index,
        .stride = LP_GROUP_STRIDE,
        .handles = items->handles ? items->handles->items : NULL,
        .handle_count = items->handles ? items->handles->count : 0,
        .first = items->first,
        .step = items->step,
        .progress = progress,
        .prefix = progress ? sizeof(lp_piece) : 0,
    };
    lp_items_begin(self, &source, first);
}

static void run_items(void *self, uint32_t count)
{
    lp_items_run(self, count);
}

static void end_items(void *self, lp_items_outcome *outcome)
{
    lp_items_made made;
    lp_items_end(self, &made);
    *outcome = (lp_items_outcome){.bytes = made.bytes,
                                  .length = made.length,
                                  .form = (lp_form)made.form,
                                  .place = made.place,
                                  .failed = made.failed,
                                  .cancelled = made.cancelled};
}

static void recover(void *self)
{
    lp_state_recover(self);
}

const lp_worker_kind lp_state_worker_kind = {
    .recover = recover,
    .execute = execute,
    .begin_items = begin_items,
    .run_items = run_items,
    .end_items = end_items,
};
