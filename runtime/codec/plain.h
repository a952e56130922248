/*
 * plain.h - messages of a few numbers, booleans, nils and short strings, and
 * of the function that was in the last message too.
 *
 * Most messages are no more than that, and need little of what a codec
 * remembers. The format is the same.
 */
#ifndef LP_CODEC_PLAIN_H
#define LP_CODEC_PLAIN_H

#include "codec/context.h"

/*
 * Append the count values from first on, if they are plain and few. [-0, +0]
 * False: they are not, or memory is short; out is as it was.
 */
bool lp_plain_encode(lua_State *L, const lp_codec *codec, int first, int count,
                     lp_buffer *out);

/*
 * Remember the function at index, which was sent as that number and neither
 * captures nor uses anything; context is on the stack. [-0, +0, -]
 */
void lp_plain_sent(lua_State *L, lp_codec *codec, int context, int index,
                   uint32_t number);

/* The same for the function on top, which was received. [-0, +0, m] */
void lp_plain_received(lua_State *L, lp_codec *codec, uint32_t number);

/*
 * Push the values of the next message if it is plain. [-0, +count, m] False:
 * it is not, or is corrupt; nothing has happened.
 */
bool lp_plain_decode(lua_State *L, const lp_codec *codec, lp_reader *reader,
                     int *count);

#endif
