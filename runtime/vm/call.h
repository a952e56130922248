/*
 * call.h - run one task in a state: decode, call, encode.
 */
#ifndef LP_VM_CALL_H
#define LP_VM_CALL_H

#include "base/reason.h"
#include "vm/state.h"

#include <stdbool.h>

typedef enum lp_ending {
    LP_RETURNED = 0, /* bytes are the results: a message */
    LP_THREW = 1,    /* bytes are the error and the traceback: two messages */
    LP_GAVE_UP = 2,  /* bytes are an lp_reason and a text */
} lp_ending;

typedef struct lp_call_outcome {
    lp_ending ending;
    const uint8_t *bytes; /* the state's, until its next call */
    size_t length;
    uint64_t place; /* of bytes in the state's memory, given; 0: elsewhere */
} lp_call_outcome;

/*
 * Run a parcel: a message of a function and its arguments. Never fails: what
 * goes wrong is the outcome.
 */
void lp_call_run(lp_state *state, const uint8_t *bytes, size_t length,
                 const lp_handle *handles, size_t handle_count,
                 lp_call_outcome *outcome);

/* Whether a task of this state has ever called os.exit. */
bool lp_call_exited(const lp_state *state);

/*
 * What went wrong in the last outcome, for people: the error's text. Valid
 * until the next call.
 */
const char *lp_call_text(lp_state *state);

#endif
