/*
 * message.h - whole messages: the values of a call, or the inside of a class.
 */
#ifndef LP_CODEC_MESSAGE_H
#define LP_CODEC_MESSAGE_H

#include "codec/encoder.h"

/* The values of one lp_encode call. */
typedef struct lp_row {
    int first; /* stack index */
    int count;
    lp_role role;
} lp_row;

/*
 * Append a message without trailer to E->out: the values of row, or, if row
 * is NULL, the inside of the class at the top. [-0, +0, m] start: where it
 * begins.
 */
int lp_message_write(lua_State *L, lp_encoder *E, const lp_row *row,
                     size_t *start);

/*
 * Finish the message that begins at start, with a trailer if it needs one:
 * for that of the call, with the numbers of all classes met on the way; for
 * that of a class, with the keys alone. [-0, +0, m]
 */
int lp_message_finish(lua_State *L, lp_encoder *E, size_t start);

#endif
