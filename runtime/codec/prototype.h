/*
 * prototype.h - what is known of a Lua function's code.
 *
 * Worked out once per function, remembered per state, and shared by all
 * closures of the same code.
 */
#ifndef LP_CODEC_PROTOTYPE_H
#define LP_CODEC_PROTOTYPE_H

#include "base/alloc.h"
#include "codec/encoder.h"

/* Past this, there is no factory: registers would not do. */
#define LP_FACTORY_UPVALUES 250

/* A global that a function uses; its name is in the list that goes along. */
typedef struct lp_global {
    const void *standard; /* its value in a new state, by address, or NULL */
    bool read;
    bool assigned;
} lp_global;

/* A userdata; its user value is the list of names of globals. */
typedef struct lp_prototype {
    uint32_t number; /* in the library */
    unsigned upvalues;
    unsigned environment;   /* the first upvalue that is an _ENV, or 0 */
    bool captures;          /* some other upvalues */
    bool assigns;           /* ... and assigns to them */
    bool environments[256]; /* by upvalue, from 1: whether it is an _ENV */
    size_t dump_length;
    const uint8_t *dump;
    uint32_t global_count;
    lp_global globals[];
} lp_prototype;

/*
 * Push two values, of which the second is the prototype of the Lua function
 * at the top. [-0, +2, m]
 */
int lp_prototype_push(lua_State *L, lp_encoder *E, const lp_prototype **found);

/*
 * Raise an error if functions do not look as we think in this Lua. For
 * lp_codec_open. [-0, +0, e]
 */
void lp_prototype_check(lua_State *L, const lp_allocator *allocator);

#endif
