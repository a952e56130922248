/*
 * executor_trace.c - what the host does for a trace: it writes notes of what
 * is submitted, and events of what ended without a worker.
 *
 * The latter go to the executor's own track, and so do tasks and items that
 * never began; those that were lost are shown on the track of the dead.
 */
#include "base/clock.h"
#include "base/signal_name.h"
#include "base/status.h"
#include "core/executor_private.h"

#include <stdio.h>
#include <unistd.h>

int lp_executor_trace(lp_executor *executor, const char *name)
{
    lp_trace *trace = executor->host->trace;
    if (!trace || !name) return LP_OK;
    int status = lp_control_trace(
        &executor->control, executor->is_shared ? &executor->files : NULL);
    if (status != LP_OK) return status;
    /* One number for the executor, and one for each worker that may be. */
    const lp_track_id id = {
        .pid = (int32_t)getpid(),
        .number = lp_trace_take_numbers(trace, 1 + executor->most)};
    executor->track = lp_track_new(trace, id, name, name);
    return executor->track ? LP_OK : LP_NOMEM;
}

lp_track_id lp_executor_track_id(const lp_executor *executor, uint32_t worker)
{
    lp_track_id id = lp_track_about_of(executor->track)->id;
    id.number += 1 + worker;
    return id;
}

/* ---- notes ---- */

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static void write_note(lp_note *note, const char *origin, const char *label)
{
    note->submitted_at = lp_clock_now();
    copy(note->origin, sizeof(note->origin), origin);
    copy(note->label, sizeof(note->label), label);
}

static lp_note *task_note(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->control.notes->tasks, number);
}

static lp_note *group_note(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->control.notes->groups, number);
}

void lp_executor_note_task(lp_executor *executor, const lp_task *task,
                           const lp_task_about *about)
{
    lp_note *note = task_note(executor, task->number);
    note->number = lp_task_serial(task);
    write_note(note, about->origin, about->label);
}

void lp_executor_note_group(lp_executor *executor, uint32_t number,
                            const lp_group_about *about)
{
    lp_note *note = group_note(executor, number);
    note->number = about->base;
    write_note(note, about->origin, about->label);
}

/* ---- what never began ---- */

static lp_run run_of_nothing(const lp_executor *executor, lp_phase phase)
{
    int64_t now = lp_clock_now();
    return (lp_run){.id = lp_track_about_of(executor->track)->id,
                    .began = now,
                    .ended = now,
                    .ending = lp_trace_ending(phase, NULL)};
}

void lp_executor_trace_unbegun_locked(lp_executor *executor, uint32_t task,
                                      lp_phase phase)
{
    if (!executor->track) return;
    const lp_run run = run_of_nothing(executor, phase);
    lp_trace_task(executor->track, task_note(executor, task), &run);
}

void lp_executor_trace_unbegun_items_locked(lp_executor *executor,
                                            uint32_t group, uint32_t first,
                                            uint32_t count)
{
    if (!executor->track) return;
    const lp_run_items items = {first, count, 0, count};
    const lp_run run = run_of_nothing(executor, LP_CANCELLED);
    lp_trace_items(executor->track, group_note(executor, group), &items, &run);
}

/* ---- what a dead worker has left ---- */

/* The track of a worker that is dead, or stuck. */
static lp_track_id track_of_dead(const lp_executor *executor, uint32_t worker,
                                 const lp_death *death)
{
    if (death->abandoned) return lp_executor_track_id(executor, worker);
    return (lp_track_id){death->pid, (uint32_t)death->pid};
}

/* What it ran when it died, since it last began something. */
static lp_run last_run(lp_executor *executor, uint32_t worker,
                       const lp_death *death)
{
    lp_record *record = lp_table_at(&executor->control.records, worker);
    int64_t now = lp_clock_now(), since = atomic_load(&record->since);
    bool makes_sense = since > 0 && since < now;
    return (lp_run){.id = track_of_dead(executor, worker, death),
                    .began = makes_sense ? since : now,
                    .ended = now};
}

void lp_executor_trace_lost_locked(lp_executor *executor, uint32_t worker,
                                   const lp_death *death, uint32_t task,
                                   const lp_reason *reason)
{
    if (!executor->track) return;
    lp_run run = last_run(executor, worker, death);
    run.ending = lp_trace_ending(LP_LOST, reason);
    lp_trace_task(executor->track, task_note(executor, task), &run);
}

void lp_executor_trace_left_items_locked(lp_executor *executor, uint32_t worker,
                                         const lp_death *death, uint32_t group,
                                         uint32_t first, uint32_t count,
                                         const lp_reason *reason)
{
    if (!executor->track) return;
    const lp_run_items items = {first, count, reason ? count : 0, 0};
    lp_run run = last_run(executor, worker, death);
    run.ending = lp_trace_ending(reason ? LP_LOST : LP_FINISHED, reason);
    lp_trace_items(executor->track, group_note(executor, group), &items, &run);
}

void lp_executor_trace_death(lp_executor *executor, const lp_death *death)
{
    if (!executor->track) return;
    if (!death->abandoned) {
        char how[48];
        const lp_track_id id = {death->pid, (uint32_t)death->pid};
        lp_signal_describe(death->status, how, sizeof(how));
        lp_trace_death(executor->track, id, how);
    }
    lp_track_flush(executor->track);
}
