/*
 * stopping.h - ending jobs: by their time limit, or because somebody wants it.
 *
 * A worker is first told to end its job (base/stop.h). If it does not obey
 * within a grace, because it is stuck in C, a process is killed; a thread
 * cannot be, so its place is taken by another, and it is left alone.
 */
#ifndef LP_CORE_STOPPING_H
#define LP_CORE_STOPPING_H

#include "core/executor.h"

/*
 * Cancel a task if it is pending, stop it if it runs: true unless it had
 * ended before. Returns at once; the task ends a little later. Any thread.
 */
bool lp_task_interrupt(lp_task *task);

/* Stop whatever the workers of an executor run. */
void lp_executor_interrupt(lp_executor *executor);

/* It has work with limits, or something is being stopped. */
bool lp_executor_is_watched(lp_executor *executor);

/*
 * For the supervisor: enforce limits, and see to what is being stopped. Gives
 * when to look again; LP_NEVER if there is nothing to watch.
 */
int64_t lp_executor_look(lp_executor *executor);

#endif
