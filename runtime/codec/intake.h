/*
 * intake.h - opens messages: header, trailer, and a place on the stack.
 */
#ifndef LP_CODEC_INTAKE_H
#define LP_CODEC_INTAKE_H

#include "codec/decoder.h"

/*
 * Start to read the message at bytes, which must not be longer than length.
 * Does not touch the stack. 0 or LP_CORRUPT.
 */
int lp_intake_open(lp_decoder *D, const uint8_t *bytes, size_t length);

/*
 * Set up the stack for an open message; the context is at the top.
 * [-1, +LP_INPUT_TOP, m]
 */
void lp_intake_prepare(lua_State *L, lp_decoder *D, lp_codec *codec);

#endif
