/*
 * class.h - metatables, and tables made to be metatables: they travel once.
 *
 * A class has a key, which means it in every state. A message names classes
 * by key; what is in them lies in the library, as messages of their own.
 * That of a metatable is encoded once per state. A class that is met as a
 * plain value is encoded anew by every call, and states that know it bring
 * it up to date; but never the state it came from.
 */
#ifndef LP_CODEC_CLASS_H
#define LP_CODEC_CLASS_H

#include "codec/encoder.h"
#include "codec/message.h"

/* What a state knows of a class: a userdata in LP_SLOT_CLASSES. */
typedef struct lp_class {
    uint64_t key;
    uint32_t number;   /* its content in the library; 0 if not there yet */
    bool foreign;      /* it came from another state */
    bool needs_paths;  /* something in it must be required by file */
    uint64_t call;     /* the last call that met it */
    size_t use;        /* ... and which of its uses it was, if it encoded */
    uint32_t arriving; /* ... or its content to be, if it decoded */
} lp_class;

/*
 * Push the record of the class at index. [-0, +1, m] Makes one with the
 * given key if there is none; key 0 asks the library for a new one.
 */
lp_class *lp_class_push(lua_State *L, lp_codec *codec, int context, int index,
                        uint64_t key);

/* Whether the table at index has a record. [-0, +0, -] */
bool lp_class_is_known(lua_State *L, const lp_encoder *E, int index);

/* Whether the metatable at index has a __serialize. [-0, +0, m] */
bool lp_class_serializes(lua_State *L, const lp_encoder *E, int index);

/* Refer to the class at index, a plain value, with its new entry. */
int lp_class_refer(lua_State *L, lp_encoder *E, int index,
                   lp_identity_entry *entry);

/* Refer to the metatable at index. */
int lp_class_encode_metatable(lua_State *L, lp_encoder *E, int index);

/* Note that the class at index is the one that the message is about. */
int lp_class_note(lua_State *L, lp_encoder *E, int index);

/* Encode the object at top, whose metatable has a __serialize. */
int lp_class_encode_serialized(lua_State *L, lp_encoder *E, int top, int depth);

/*
 * Encode all classes of the call that have to be. row: the call, for the way
 * to a culprit. Messages other than the call's have been written then.
 */
int lp_class_finish(lua_State *L, lp_encoder *E, const lp_row *row);

#endif
