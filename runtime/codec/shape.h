/*
 * shape.h - tables that look alike: the same few string keys, in one order.
 *
 * The keys of such a table travel once in a message. The encoder guesses the
 * shape of a table from its first key, and surveys the table if that fails.
 * Keys are compared by address, which Lua makes unique for short strings.
 */
#ifndef LP_CODEC_SHAPE_H
#define LP_CODEC_SHAPE_H

#include "codec/encoder.h"

/* What a look at the first pairs of a table found. */
typedef struct lp_survey {
    lp_shape shape; /* the keys, as far as they are short strings */
    const char *names[LP_SHAPE_KEYS]; /* ... and their text */
    bool fits;                        /* it has these keys and no others */
    bool has_function;                /* among the values */
    bool has_event;                   /* some key names a metamethod */
} lp_survey;

/* Survey the table at top. [-0, +0, -] */
void lp_shape_survey(lua_State *L, int top, lp_survey *survey);

/* Whether the table at top has a raw __index. [-0, +0, -] */
bool lp_shape_has_index(lua_State *L, int top);

/* The last shape used that starts with key, or NULL. */
const lp_shape *lp_shape_guess(const lp_encoder *E, const void *key);

/* The shape with the same keys, or NULL. The next guess will be it. */
const lp_shape *lp_shape_find(lp_encoder *E, const lp_shape *shape);

/*
 * Put the shape found by a survey into the message and give the shape to
 * use; NULL if the message has too many already. 0 or LP_NOMEM.
 */
int lp_shape_define(lp_encoder *E, const lp_survey *survey,
                    const lp_shape **defined);

/* The number of a shape in the message. */
static inline uint8_t lp_shape_number(const lp_encoder *E,
                                      const lp_shape *shape)
{
    return (uint8_t)(shape - E->shapes);
}

/* Forget all shapes. */
void lp_shape_reset(lp_encoder *E);

#endif
