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
    for (size_t i = 0; i < setup->preload_count; i++)
        lp_free(setup->preload[i]);
    lp_free(setup->preload);
    setup->preload = NULL;
    setup->preload_count = 0;
}

void lp_setup_identify(const lp_setup *setup, lp_executor *executor,
                       uint32_t number, lp_identity *identity)
{
    lp_host *host = lp_executor_host(executor);
    identity->host = host;
    identity->executor = executor;
    identity->seed =
        setup->state.seed +
        0x9E3779B97F4A7C15u * (1 + atomic_fetch_add(&host->seed, 1));
    identity->kind = setup->kind;
    identity->number = number;
    snprintf(identity->name, sizeof(identity->name), "%.100s_%u", setup->prefix,
             number);
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

/* Tell people of a failure. */
static void log_failure(const lp_setup *setup, const char *what,
                        const lp_identity *identity, const char *why)
{
    char line[LP_BREAK_TEXT + 3 * LP_NAME_SIZE];
    snprintf(line, sizeof(line), "exception in %s of %s: %s", what,
             identity->name, why);
    setup->log(line);
}

/* Open the state and preload; what names the step that failed. */
static int open_state(const lp_setup *setup, const lp_state_config *config,
                      lp_state **state, char *what, char *why, size_t size)
{
    snprintf(what, LP_NAME_SIZE, "start");
    int status = lp_state_open(config, state, why, size);
    if (status == LP_NOMEM) snprintf(why, size, "not enough memory");
    for (size_t i = 0; i < setup->preload_count && status == LP_OK; i++) {
        snprintf(what, LP_NAME_SIZE, "preload of '%.90s'", setup->preload[i]);
        status = lp_state_require(*state, setup->preload[i], why, size);
    }
    return status;
}

int lp_setup_begin(const lp_setup *setup, lp_identity *identity, lp_state **out,
                   char *text, size_t size)
{
    lp_state *state = NULL;
    lp_state_config config = setup->state;
    config.context = identity;
    config.outcomes = &identity->outcomes;
    config.seed = identity->seed;
    char what[LP_NAME_SIZE], why[LP_BREAK_TEXT];
    int status = open_state(setup, &config, &state, what, why, sizeof(why));
    if (status == LP_OK && setup->initializer.length > 0 &&
        !run_parcel(state, &setup->initializer, &identity->outcomes)) {
        snprintf(what, sizeof(what), "initializer");
        snprintf(why, sizeof(why), "%s", lp_call_text(state));
        status = LP_FAILED;
    }
    if (status != LP_OK) {
        log_failure(setup, what, identity, why);
        snprintf(text, size,
                 "a worker's %s failed, the pool is not usable any more: %s",
                 what, why);
        lp_state_close(state);
        return status;
    }
    *out = state;
    return LP_OK;
}

void lp_setup_end(const lp_setup *setup, const lp_identity *identity,
                  lp_state *state, bool orderly)
{
    if (orderly && setup->finalizer.length > 0 &&
        !run_parcel(state, &setup->finalizer, &identity->outcomes))
        log_failure(setup, "finalizer", identity, lp_call_text(state));
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
    uint32_t form;
    lp_items_end(self, &form, &outcome->bytes, &outcome->length,
                 &outcome->place);
    outcome->form = (lp_form)form;
}

const lp_worker_kind lp_state_worker_kind = {
    .execute = execute,
    .begin_items = begin_items,
    .run_items = run_items,
    .end_items = end_items,
};
