/*
 * arrival.h - the receiver's side of classes.
 */
#ifndef LP_CODEC_ARRIVAL_H
#define LP_CODEC_ARRIVAL_H

#include "codec/decoder.h"

/*
 * See that this state has all classes that the message names, and has them
 * as they are now: decode what is new or has changed, and list them in
 * LP_INPUT_CLASSES. [-0, +0, e]
 */
int lp_arrival_classes(lua_State *L, lp_decoder *D);

/* Push the class that comes next, after its tag. [-0, +1, -] */
int lp_arrival_decode_class(lua_State *L, lp_decoder *D);

/*
 * Push the object that comes next, which was made by __serialize; after its
 * tag. [-0, +1, e]
 */
int lp_arrival_decode_serialized(lua_State *L, lp_decoder *D, int depth);

#endif
