/*
 * closure.h - functions: their code by number, and what they captured.
 */
#ifndef LP_CODEC_CLOSURE_H
#define LP_CODEC_CLOSURE_H

#include "codec/decoder.h"
#include "codec/encoder.h"

/* Encode the function at top. */
int lp_closure_encode(lua_State *L, lp_encoder *E, int top, int depth);

/* Encode the body, put off before, of the Lua function at top. */
int lp_closure_encode_body(lua_State *L, lp_encoder *E, int top, int depth);

/* Push the function that comes next, after its tag. [-0, +1, e] */
int lp_closure_decode(lua_State *L, lp_decoder *D, lp_tag tag, int depth);

/* Fill the function at the top with the body that comes next. [-0, +0, e] */
int lp_closure_fill(lua_State *L, lp_decoder *D, int depth);

#endif
