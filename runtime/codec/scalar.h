/*
 * scalar.h - encodes values that have nothing inside.
 */
#ifndef LP_CODEC_SCALAR_H
#define LP_CODEC_SCALAR_H

#include "codec/encoder.h"

enum { LP_NO_SCALAR = 1 };

/*
 * Encode the value at index, wherever it is. LP_NO_SCALAR if it needs
 * lp_encode_value; then nothing was done.
 */
int lp_scalar_encode(lua_State *L, lp_encoder *E, int index);

/* Encode the string at index, of any length. */
int lp_scalar_encode_string(lua_State *L, lp_encoder *E, int index);

#endif
