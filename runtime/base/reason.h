/*
 * reason.h - why a task ended that neither returned nor raised.
 *
 * Such an outcome is an lp_reason and a text behind it. The workers write
 * it; whoever holds the future makes the error object from it.
 */
#ifndef LP_BASE_REASON_H
#define LP_BASE_REASON_H

#include <stdint.h>

typedef enum lp_cause {
    LP_CAUSE_BROKEN = 1,     /* the executor broke before the task ran */
    LP_CAUSE_EXIT = 2,       /* it called os.exit; number is the code */
    LP_CAUSE_UNSENDABLE = 3, /* its results or its error cannot cross */
    LP_CAUSE_UNREADABLE = 4, /* it could not be decoded in the worker */
    LP_CAUSE_MEMORY = 5,     /* no memory for the outcome */
    LP_CAUSE_LOST = 6,       /* its worker died; number is as waitpid says it */
    LP_CAUSE_TIMEOUT = 7,    /* it ran longer than it may */
    LP_CAUSE_INTERRUPT = 8,  /* somebody wanted it stopped; it is cancelled */
    LP_CAUSE_LIMIT = 9,      /* it passed the memory limit of its worker */
} lp_cause;

typedef struct lp_reason {
    uint32_t cause;
    int32_t number;
    int32_t pid; /* of the worker, if it was a process of its own; or 0 */
} lp_reason;

#endif
