/*
 * factory.h - makes functions from what prototype.c put into the library.
 */
#ifndef LP_CODEC_FACTORY_H
#define LP_CODEC_FACTORY_H

#include "codec/decoder.h"

/* Push the function that captures nothing with that number. [-0, +1, m] */
int lp_factory_push_plain(lua_State *L, lp_decoder *D, uint32_t number);

/* Push a new closure of that number, its upvalues nil. [-0, +1, m] */
int lp_factory_push_closure(lua_State *L, lp_decoder *D, uint32_t number);

#endif
