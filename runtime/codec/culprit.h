/*
 * culprit.h - saying what cannot cross, and where it is.
 *
 * The path is built backwards: whoever finds the culprit blames it, and
 * while the encoder returns from level to level each adds how it got there.
 */
#ifndef LP_CODEC_CULPRIT_H
#define LP_CODEC_CULPRIT_H

#include "codec/encoder.h"

/* What cannot cross, such as "a coroutine". LP_UNSENDABLE or LP_NOMEM. */
int lp_culprit_blame(lp_encoder *E, const char *what, const char *detail);

/* Blame the value at index for being what it is. [-0, +0, m] */
int lp_culprit_blame_value(lua_State *L, lp_encoder *E, int index);

/*
 * Add a step, such as ("upvalue", "count") or ("metatable", NULL), unless
 * status is something else than LP_UNSENDABLE. Returns status or LP_NOMEM.
 */
int lp_culprit_add(lp_encoder *E, int status, const char *step,
                   const char *name);

/* Add a step by position: "argument 2". */
int lp_culprit_add_position(lp_encoder *E, int status, lp_role role, int i);

/* Add the step over the key at index, which is not changed. [-0, +0, m] */
int lp_culprit_add_key(lua_State *L, lp_encoder *E, int status, int key);

/* Push the whole sentence. [-0, +1, m] */
void lp_culprit_push(lua_State *L, const lp_encoder *E);

#endif
