/*
 * encoder.h - what the parts of the encoder share.
 *
 * An encoder is the memory of one lp_encode call: a full userdata, so that
 * nothing is lost when Lua raises. The context keeps one spare; user code
 * that encodes while an encoder is at work gets another.
 *
 * The functions of the parts return 0, LP_NOMEM, or LP_UNSENDABLE once
 * culprit.h was told why. On failure they leave the Lua stack as it is: the
 * top is cut off in the end. What they encode is at the top of the stack
 * unless they say otherwise.
 */
#ifndef LP_CODEC_ENCODER_H
#define LP_CODEC_ENCODER_H

#include "codec/context.h"
#include "codec/format.h"
#include "codec/identity.h"

/* Stack slots of one call, counted from its base. */
enum {
    LP_BASE_CONTEXT = 1,
    LP_BASE_ENCODER,
    LP_BASE_LATER,   /* list of what was put off, or nil */
    LP_BASE_KEPT,    /* list of what must stay alive, or nil */
    LP_BASE_CLASSES, /* list of classes met, or nil */
    LP_BASE_TOP = LP_BASE_CLASSES,
};

/* The keys of tables that look alike: strings, as lua_topointer has them. */
typedef struct lp_shape {
    const void *keys[LP_SHAPE_KEYS];
    unsigned count;
} lp_shape;

/* A class that this call has met; its table is in LP_BASE_CLASSES. */
typedef struct lp_class_use {
    struct lp_class *class;
    int64_t parent;  /* the use whose content led here, or -1 */
    bool wanted;     /* its content must be encoded */
    bool done;       /* ... and has been */
    bool nested;     /* some class refers to it by key alone */
    bool serializes; /* it has a __serialize */
} lp_class_use;

typedef struct lp_encoder {
    lp_codec *codec;
    int base; /* of the call, on the stack */

    /* Where the message goes: the caller's buffer, or content. */
    lp_buffer *out;

    /* The call as a whole. */
    uint64_t call; /* its number */
    bool assigns;  /* see lp_message_info, as the next */
    bool tables;
    bool takes_handles; /* the message goes to a worker, not back */
    bool needs_paths;   /* something must be required by file */
    const void *hunted; /* the class whose place we look for, or NULL */
    int64_t parent;     /* the class whose content is encoded, or -1 */
    lp_class_use *uses; /* by order of appearance */
    size_t use_count;
    size_t use_capacity;

    /* The message at hand. */
    lp_identity identity;
    uint32_t numbered;    /* objects so far */
    uint32_t later_count; /* put off so far */
    uint16_t flags;
    int limit;        /* what nests deeper is put off */
    uint32_t *locals; /* the uses this message names, by its own index */
    size_t local_count;
    size_t local_capacity;

    /* Shapes of the message, and how they are guessed. */
    lp_shape *shapes;
    unsigned shape_count;
    uint8_t by_first_key[64]; /* hash of the first key -> shape + 1 */
    uint8_t by_all_keys[256]; /* hash of all keys -> shape + 1 */

    lp_buffer dump;    /* bytecode */
    lp_buffer entry;   /* what goes into the library */
    lp_buffer globals; /* those of a function, prototype.c */
    lp_buffer content; /* messages of classes */
    lp_buffer reason;  /* culprit.c: what cannot cross */
    lp_buffer fields;  /* ... and the keys that lead there */
    lp_buffer trail;   /* ... and how one gets to those */
} lp_encoder;

/* Encode the value at index top, which is the top of the stack. */
int lp_encode_value(lua_State *L, lp_encoder *E, int top, int depth);

/*
 * Encode what is in the table at top, its metatable first. Whether it is a
 * class is not asked.
 */
int lp_encode_inside(lua_State *L, lp_encoder *E, int top, int depth);

/* Refer to an object that was noted already. */
int lp_encode_known(lp_encoder *E, const lp_identity_entry *entry);

/* Give the object of a new entry its number. */
int lp_encode_number(lp_encoder *E, lp_identity_entry *entry);

/* Let the body of the object at top follow later. */
int lp_encode_put_off(lua_State *L, lp_encoder *E);

/*
 * Encode all that was put off since there were first such things. [-0, +0]
 * Leaves the count at first.
 */
int lp_encode_rest(lua_State *L, lp_encoder *E, int depth, uint32_t first);

/* Where n bytes may be written at the end of the message; NULL: no memory. */
static inline uint8_t *lp_encoder_room(lp_encoder *E, size_t n)
{
    if (lp_buffer_reserve(E->out, n) != 0) return NULL;
    return E->out->bytes + E->out->length;
}

static inline int lp_encoder_put_tag(lp_encoder *E, lp_tag tag)
{
    uint8_t *at = lp_encoder_room(E, 1);

    if (!at) return LP_NOMEM;
    *at = (uint8_t)tag;
    E->out->length++;
    return LP_OK;
}

static inline int lp_encoder_put_tag32(lp_encoder *E, lp_tag tag,
                                       uint32_t number)
{
    uint8_t *at = lp_encoder_room(E, 1 + sizeof(number));

    if (!at) return LP_NOMEM;
    *at = (uint8_t)tag;
    lp_format_put32(at + 1, number);
    E->out->length += 1 + sizeof(number);
    return LP_OK;
}

/* Free what the encoder owns, and begin anew; doing it twice is fine. */
void lp_encoder_clear(lp_encoder *E);

#endif
