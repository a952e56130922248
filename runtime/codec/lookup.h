/*
 * lookup.h - what names mean in the state that receives them.
 */
#ifndef LP_CODEC_LOOKUP_H
#define LP_CODEC_LOOKUP_H

#include "codec/decoder.h"

/* Push the module or C function whose path comes next. [-0, +1, e] */
int lp_lookup_decode(lua_State *L, lp_decoder *D, lp_tag tag);

/* Let require search as it does in the sender. [-0, +0, m] */
int lp_lookup_set_paths(lua_State *L, lp_decoder *D, uint32_t number);

#endif
