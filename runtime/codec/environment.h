/*
 * environment.h - the globals that a function uses travel with it.
 *
 * Each name travels once per message, with the value it had then. Standard
 * globals do not travel, nor does nil; unless the name has meant something
 * else before, here, and a worker may still think so.
 */
#ifndef LP_CODEC_ENVIRONMENT_H
#define LP_CODEC_ENVIRONMENT_H

#include "codec/decoder.h"
#include "codec/encoder.h"
#include "codec/prototype.h"

/*
 * Encode the globals of the Lua function at index f that have to travel: a
 * row without an end, maybe empty. The prototype is at f + 2, the top.
 * [-0, +0, m]
 */
int lp_environment_encode(lua_State *L, lp_encoder *E, int f,
                          const lp_prototype *prototype, int depth);

/* Set the globals that come next, up to the end of the row. [-0, +0, e] */
int lp_environment_decode(lua_State *L, lp_decoder *D, int depth);

#endif
