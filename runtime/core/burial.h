/*
 * burial.h - what a worker leaves behind that died in the middle.
 *
 * The task or item that it was running is lost; what it had made and not
 * handed in is saved; what it had taken and not begun goes back.
 */
#ifndef LP_CORE_BURIAL_H
#define LP_CORE_BURIAL_H

#include "core/executor.h"

typedef struct lp_death {
    int32_t pid;
    int32_t status; /* as waitpid says it */
    bool abandoned; /* it is a thread that is stuck; it did not die */
} lp_death;

/*
 * Settle what worker number has left; it does not run any more, and was not
 * buried yet. Ends with lp_executor_worker_ended. Any thread of the host.
 */
void lp_burial(lp_executor *executor, uint32_t number, const lp_death *death);

#endif
