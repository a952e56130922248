/*
 * scalar.h - values that have nothing inside, both ways.
 */
#ifndef LP_CODEC_SCALAR_H
#define LP_CODEC_SCALAR_H

#include "codec/decoder.h"
#include "codec/encoder.h"

enum { LP_NO_SCALAR = 1 };

/*
 * Encode the value at index, wherever it is, of that type. LP_NO_SCALAR if
 * it needs lp_encode_value; then nothing was done.
 */
int lp_scalar_encode(lua_State *L, lp_encoder *E, int index, int type);

/* Encode the string at index, of any length. */
int lp_scalar_encode_string(lua_State *L, lp_encoder *E, int index);

/*
 * Push the integer, float or pointer that comes next, after its tag. Of the
 * other scalars decode.c takes care.
 */
int lp_scalar_decode(lua_State *L, lp_decoder *D, lp_tag tag);

#endif
