/*
 * stopping.c - deadlines, and jobs that are told to end until they do.
 *
 * A worker writes the deadline of its job into its record. The supervisor
 * does not hear of that; but no job can pass its limit sooner than the
 * shortest limit after the last look, so it looks at least that often, as
 * long as there is work with a limit.
 */
#include "core/stopping.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "core/burial.h"
#include "core/executor_private.h"

/* Tell it again after so long: it may just have begun. */
#define AGAIN_NANOSECONDS 5000000
/* Whoever does not obey within this is stuck. */
#define GRACE_NANOSECONDS 300000000

static lp_record *record_of(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->control.records, number);
}

static void wake_supervisor(lp_executor *executor)
{
    (void)lp_supervisor_wake(&executor->host->supervisor);
}

void lp_executor_limit_locked(lp_executor *executor, int64_t timeout)
{
    if (timeout <= 0) return;
    bool shorter = executor->shortest == 0 || timeout < executor->shortest;
    if (shorter) executor->shortest = timeout;
    if (shorter || !executor->watched) wake_supervisor(executor);
    executor->watched = true;
}

/* Have room to note what is being stopped. */
static lp_stopping *stopping_of(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock)
{
    if (!executor->stopping)
        executor->stopping = lp_calloc(executor->host->allocator,
                                       executor->most, sizeof(lp_stopping));
    return executor->stopping ? &executor->stopping[number] : NULL;
}

/* Begin to stop a job. */
static void request_locked(lp_executor *executor, uint32_t number, uint64_t job,
                           lp_cause cause) LP_HOLDS(&executor->lock)
{
    lp_stopping *stopping = stopping_of(executor, number);
    lp_record *record = record_of(executor, number);
    if (!stopping || stopping->job == job) return;
    *stopping = (lp_stopping){.job = job,
                              .cause = cause,
                              .since = lp_clock_now(),
                              .again = lp_clock_after(AGAIN_NANOSECONDS)};
    atomic_store(&record->job.cause, cause);
    atomic_store(&record->job.wanted, job);
    executor->kind->stop(executor->self, number);
    executor->watched = true;
}

/* The job that was to be stopped has ended, one way or the other. */
static bool has_ended(lp_executor *executor, uint32_t number,
                      const lp_stopping *stopping)
{
    lp_record *record = record_of(executor, number);
    uint64_t job = atomic_load(&record->job.job) & ~LP_JOB_STOPPED;
    if (job == stopping->job) return false;
    if (stopping->job >= LP_JOB_ITEMS) return true;
    /* It may not have begun yet. */
    const lp_task *task = lp_executor_announced(executor, number);
    return !task || lp_task_serial(task) != stopping->job ||
           (lp_task_state(task) & LP_PHASE) != LP_RUNNING;
}

/* It is stuck. True: its thread's place is free, so it is to be buried. */
static bool give_up_locked(lp_executor *executor, uint32_t number,
                           lp_stopping *stopping) LP_HOLDS(&executor->lock)
{
    stopping->again = lp_clock_after(GRACE_NANOSECONDS);
    if (executor->is_shared || executor->kind->run_queued) {
        executor->kind->abandon(executor->self, number); /* kills it */
        return false;
    }
    _Atomic uint64_t *job = &record_of(executor, number)->job.job;
    uint64_t found = atomic_load(job);
    if ((found & ~LP_JOB_STOPPED) != stopping->job ||
        !atomic_compare_exchange_strong(job, &found, LP_JOB_GIVEN_UP))
        return false; /* it has just come back */
    executor->abandoned++;
    executor->kind->abandon(executor->self, number);
    return true;
}

/* See to one worker; gives when to look again, or true in *stuck. */
static int64_t look_at_locked(lp_executor *executor, uint32_t number,
                              int64_t now, bool *stuck)
    LP_HOLDS(&executor->lock)
{
    lp_record *record = record_of(executor, number);
    lp_stopping *stopping =
        executor->stopping ? &executor->stopping[number] : NULL;
    if (stopping && stopping->job && has_ended(executor, number, stopping)) {
        stopping->job = 0;
        atomic_store(&record->job.wanted, 0);
    }
    if (!stopping || !stopping->job) {
        uint64_t job = atomic_load(&record->job.job) & ~LP_JOB_STOPPED;
        int64_t deadline = atomic_load(&record->deadline);
        if (job == 0 || deadline == 0) return LP_NEVER;
        if (now < deadline) return deadline;
        request_locked(executor, number, job, LP_CAUSE_TIMEOUT);
        return now + AGAIN_NANOSECONDS;
    }
    if (now - stopping->since > GRACE_NANOSECONDS && now >= stopping->again) {
        *stuck = give_up_locked(executor, number, stopping);
    } else if (now >= stopping->again) {
        executor->kind->stop(executor->self, number);
        stopping->again = now + AGAIN_NANOSECONDS;
    }
    return stopping->again;
}

/* Look at all workers, up to the first that is stuck. */
static int64_t look_locked(lp_executor *executor, uint32_t *stuck)
    LP_HOLDS(&executor->lock)
{
    int64_t now = lp_clock_now(), next = LP_NEVER;
    *stuck = executor->most;
    for (uint32_t i = 0; i < executor->control.records.count; i++) {
        bool is_stuck = false;
        if (i >= executor->most || !executor->alive[i]) continue;
        int64_t again = look_at_locked(executor, i, now, &is_stuck);
        if (is_stuck) {
            *stuck = i;
            return now;
        }
        if (again != LP_NEVER && (next == LP_NEVER || again < next))
            next = again;
    }
    if (executor->shortest > 0 && lp_executor_is_busy_locked(executor)) {
        int64_t latest = now + executor->shortest;
        if (next == LP_NEVER || latest < next) next = latest;
    } else if (next == LP_NEVER) {
        executor->shortest = 0;
        executor->watched = false;
    }
    return next;
}

bool lp_executor_is_watched(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    bool watched = executor->watched;
    lp_lock_leave(&executor->lock);
    return watched;
}

int64_t lp_executor_look(lp_executor *executor)
{
    for (;;) {
        uint32_t stuck;
        lp_lock_enter(&executor->lock);
        if (!executor->watched) {
            lp_lock_leave(&executor->lock);
            return LP_NEVER;
        }
        int64_t next = look_locked(executor, &stuck);
        lp_lock_leave(&executor->lock);
        if (stuck >= executor->most) return next;
        const lp_death death = {.abandoned = true};
        lp_burial(executor, stuck, &death);
    }
}

bool lp_task_interrupt(lp_task *task)
{
    if (lp_phase_is_done(lp_task_state(task))) return false;
    if (lp_task_cancel(task)) return true;
    if (task->manual) return false;
    lp_executor *executor = task->executor;
    bool stops = false;
    lp_lock_enter(&executor->lock);
    uint32_t worker;
    int32_t pid;
    /* Its record says so before it runs. */
    if ((lp_task_state(task) & LP_PHASE) == LP_RUNNING &&
        lp_task_worker(task, &worker, &pid) && executor->kind->stop) {
        request_locked(executor, worker, lp_task_serial(task),
                       LP_CAUSE_INTERRUPT);
        stops = true;
    }
    lp_lock_leave(&executor->lock);
    if (stops) wake_supervisor(executor);
    return stops;
}

void lp_executor_interrupt(lp_executor *executor)
{
    if (!executor->kind->stop) return;
    lp_lock_enter(&executor->lock);
    for (uint32_t i = 0; i < executor->control.records.count; i++) {
        lp_record *record = record_of(executor, i);
        uint64_t job = atomic_load(&record->job.job) & ~LP_JOB_STOPPED;
        const lp_task *task = lp_executor_announced(executor, i);
        if (task) job = lp_task_serial(task);
        if (job != 0 && i < executor->most && executor->alive[i])
            request_locked(executor, i, job, LP_CAUSE_INTERRUPT);
    }
    lp_lock_leave(&executor->lock);
    wake_supervisor(executor);
}
