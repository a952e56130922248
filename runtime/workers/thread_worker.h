/*
 * thread_worker.h - workers that are threads of the host.
 *
 * Each runs the loop in a thread of its own, in a Lua state of its own.
 */
#ifndef LP_WORKERS_THREAD_WORKER_H
#define LP_WORKERS_THREAD_WORKER_H

#include "workers/setup.h"

/* All thread workers of one executor: its kind's self. */
typedef struct lp_thread_workers lp_thread_workers;

/* Takes what setup owns. NULL if memory is short: nothing is taken. */
lp_thread_workers *lp_thread_workers_new(const lp_setup *setup);

/* Say which executor they serve; before its first task. */
void lp_thread_workers_attach(lp_thread_workers *workers,
                              lp_executor *executor);

extern const lp_executor_kind lp_thread_kind;

#endif
