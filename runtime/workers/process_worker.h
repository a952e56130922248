/*
 * process_worker.h - workers that are processes of their own.
 *
 * Each runs the loop in a child of the zygote. What a crash leaves behind is
 * mended, and the worker replaced.
 */
#ifndef LP_WORKERS_PROCESS_WORKER_H
#define LP_WORKERS_PROCESS_WORKER_H

#include "workers/nursery.h"
#include "workers/setup.h"

/* All process workers of one executor: its kind's self. */
typedef struct lp_process_workers lp_process_workers;

/*
 * Takes what setup owns; the nursery is borrowed. breaks: a death breaks the
 * executor. depth: of the workers' own executors. NULL if memory is short:
 * nothing is taken.
 */
lp_process_workers *lp_process_workers_new(const lp_setup *setup,
                                           lp_nursery *nursery, bool breaks,
                                           uint32_t depth);

/*
 * Say which executor they serve; before its first task. 0, LP_NOMEM or
 * LP_SYSTEM.
 */
int lp_process_workers_attach(lp_process_workers *workers,
                              lp_executor *executor);

extern const lp_executor_kind lp_process_kind;

#endif
