/*
 * decoder.h - what the parts of the decoder share.
 *
 * A decoder lives on the C stack and owns nothing; what must survive the
 * collector is on the Lua stack, from its base on. The functions of the
 * parts push one value each and return 0, or LP_CORRUPT with D->problem
 * set, or LP_FAILED with a text at the top of the stack. On failure the rest
 * of the stack is as it is: it is cut off in the end.
 */
#ifndef LP_CODEC_DECODER_H
#define LP_CODEC_DECODER_H

#include "codec/context.h"
#include "codec/format.h"

/* Stack slots of one message, counted from its base. */
enum {
    LP_INPUT_CONTEXT = 1,
    LP_INPUT_OBJECTS, /* number -> object; nil if nothing refers to any */
    LP_INPUT_KEYS,    /* the keys of all shapes, one after another, or nil */
    LP_INPUT_LATER,   /* list of what was put off, or nil */
    LP_INPUT_CLASSES, /* the classes by index + 1, or nil */
    LP_INPUT_TOP = LP_INPUT_CLASSES,
};

typedef struct lp_decoder {
    lp_codec *codec;
    int base;          /* on the stack */
    const uint8_t *at; /* what comes next */
    const uint8_t *end;
    const lp_handle *handles;
    size_t handle_count;
    size_t length;  /* of the whole message */
    uint32_t count; /* of values */
    uint16_t flags;
    lp_trailer trailer;
    const uint8_t *classes; /* the part of the trailer that names them */

    uint32_t numbered;    /* objects so far */
    uint32_t later_count; /* put off and not dealt with */
    size_t budget;        /* table fields that may be made in advance */
    unsigned shape_count;
    uint16_t shape_first[LP_SHAPES + 1]; /* index of its first key, from 0 */
    bool paused;                         /* we stopped the collector */
    const char *problem;
} lp_decoder;

/* Push the next value. */
int lp_decode_value(lua_State *L, lp_decoder *D, int depth);

/* Fill the table at the top with what comes next. [-0, +0, e] */
int lp_decode_inside(lua_State *L, lp_decoder *D, int depth);

/*
 * Fill what was put off since there were first such things, [-0, +0, e], and
 * leave the count at first.
 */
int lp_decode_rest(lua_State *L, lp_decoder *D, int depth, uint32_t first);

/* Let the object at the top be filled later. [-0, +0, m] */
void lp_decode_put_off(lua_State *L, lp_decoder *D);

/* Let number mean the object at the top from now on. [-0, +0, m] */
void lp_decode_number(lua_State *L, const lp_decoder *D, uint32_t number);

/*
 * Call user code: the function and its arguments are on the stack, as for
 * lua_pcall with one result. LP_FAILED: [-(1 + arguments), +1], a text that
 * starts with what. Raises memory errors.
 */
int lp_decode_call(lua_State *L, lp_decoder *D, int arguments,
                   const char *what);

static inline int lp_decode_corrupt(lp_decoder *D, const char *problem)
{
    D->problem = problem;
    return LP_CORRUPT;
}

static inline size_t lp_decode_left(const lp_decoder *D)
{
    return (size_t)(D->end - D->at);
}

/* Read size bytes. 0 or LP_CORRUPT. */
static inline int lp_decode_bytes(lp_decoder *D, void *bytes, size_t size)
{
    if (lp_decode_left(D) < size)
        return lp_decode_corrupt(D, "it ends too early");
    memcpy(bytes, D->at, size);
    D->at += size;
    return LP_OK;
}

static inline int lp_decode_byte(lp_decoder *D, uint8_t *byte)
{
    return lp_decode_bytes(D, byte, 1);
}

static inline int lp_decode_u32(lp_decoder *D, uint32_t *number)
{
    return lp_decode_bytes(D, number, sizeof(*number));
}

#endif
