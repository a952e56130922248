/*
 * serial_worker.h - a worker that runs in the caller.
 *
 * Each task runs at once in the thread that submits it, but in a state of
 * its own and with the same copying: for debugging, and for exact tests.
 */
#ifndef LP_WORKERS_SERIAL_WORKER_H
#define LP_WORKERS_SERIAL_WORKER_H

#include "workers/setup.h"

typedef struct lp_serial_worker lp_serial_worker;

/* Takes what setup owns. NULL if memory is short: nothing is taken. */
lp_serial_worker *lp_serial_worker_new(const lp_setup *setup);

/* Say which executor it serves; before its first task. */
void lp_serial_worker_attach(lp_serial_worker *worker, lp_executor *executor);

extern const lp_executor_kind lp_serial_kind;

#endif
