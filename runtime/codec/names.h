/*
 * names.h - C functions and modules travel by name.
 *
 * A path is the name of a module, then of a field, and maybe of a field of
 * that, with zero bytes between them. The base functions are fields of _G.
 */
#ifndef LP_CODEC_NAMES_H
#define LP_CODEC_NAMES_H

#include "codec/encoder.h"

/*
 * If the table at index is a module that other states can require, push its
 * name. [-0, +(0|1), m]
 */
bool lp_names_push_module(lua_State *L, lp_encoder *E, int index);

/*
 * See whether the value at index is a module, if it is a table, so that
 * lp_encode_value will know. For the places where modules mostly are: in
 * upvalues and globals. [-0, +0, m]
 */
void lp_names_notice(lua_State *L, lp_encoder *E, int index);

/* Push the path of the C function at index, if it has one. [-0, +(0|1), m] */
bool lp_names_push_path(lua_State *L, lp_encoder *E, int index);

/* Whether path, at the top, is that of the base function name. [-0, +0, -] */
bool lp_names_is_base(lua_State *L, const char *name, size_t length);

/* Encode the path at index with a tag. */
int lp_names_put(lua_State *L, lp_encoder *E, lp_tag tag, int path);

/* Keep the search paths; gives their library number. [-0, +0, m] */
int lp_names_keep_paths(lua_State *L, lp_encoder *E, uint32_t *number);

#endif
