/*
 * plain.h - messages of a few numbers, booleans, nils and short strings.
 *
 * Most messages are no more than that, and need none of what a codec
 * remembers. The format is the same.
 */
#ifndef LP_CODEC_PLAIN_H
#define LP_CODEC_PLAIN_H

#include "codec/codec.h"

/*
 * Append the count values from first on, if they are plain and few. [-0, +0]
 * False: they are not, or memory is short; out is as it was.
 */
bool lp_plain_encode(lua_State *L, int first, int count, lp_buffer *out);

/*
 * Push the values of the next message if it is plain. [-0, +count, m] False:
 * it is not, or is corrupt; nothing has happened.
 */
bool lp_plain_decode(lua_State *L, lp_reader *reader, int *count);

#endif
