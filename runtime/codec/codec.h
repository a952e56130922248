/*
 * codec.h - Lua values to bytes and back: the door to the codec layer.
 *
 * Each Lua state that sends or receives has one codec, kept in its registry:
 * it remembers which functions and classes it has met, and owns the scratch
 * memory. Only the thread that owns the state may call these functions.
 *
 * A message is a row of values encoded together: shared parts and cycles
 * keep their identity within it. Functions whose first parameter is a
 * lua_State may raise memory errors; all else is a status, and so are errors
 * of user code in __serialize, __deserialize and required modules.
 */
#ifndef LP_CODEC_CODEC_H
#define LP_CODEC_CODEC_H

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/library.h"
#include "base/status.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the layers above lend to a codec. */
typedef struct lp_codec_config {
    const lp_allocator *allocator; /* of scratch memory; NULL: malloc */
    lp_library *library; /* shared by all states of the host; borrowed */

    /*
     * Whether this is a worker's state: globals that travel with functions
     * replace its own. Otherwise they only fill names that mean nothing.
     */
    bool worker;

    /*
     * Handles. check says whether the userdata at index is a shared object
     * and borrows it out; push makes a userdata for one [-0, +1, e]. Either
     * may be NULL: then no userdata can cross. explain says what a userdata
     * is that check refused, and why, or is NULL, or says NULL.
     */
    bool (*check_handle)(lua_State *L, int index, lp_handle *handle);
    const char *(*explain_handle)(lua_State *L, int index);
    void (*push_handle)(lua_State *L, const lp_handle *handle);

    /*
     * Whether a long string, which goes to a worker, is lent to it instead of
     * copied; then as check, and push pushes it. NULL: none is.
     */
    bool (*lend_string)(lua_State *L, const char *string, size_t length,
                        lp_handle *handle);

    /*
     * The same as push for an object that has a number; false if there is none
     * of that number here: [-0, +0, e].
     */
    bool (*push_shared)(lua_State *L, uint64_t number);
} lp_codec_config;

/*
 * Give L a codec. [-0, +0, e] Raises if memory is short, or if this Lua's
 * bytecode is not of the 5.4 format that the codec reads (the text says so).
 */
void lp_codec_open(lua_State *L, const lp_codec_config *config);

/* The codec of L, which lives as long as L; NULL if it has none. [-0, +0, -] */
typedef struct lp_codec lp_codec;
lp_codec *lp_codec_of(lua_State *L);

/* What encoding says about the functions in a message. */
typedef struct lp_message_info {
    bool assigns; /* some function in it assigns to its upvalues or to a
                     global that travels with it */
    bool tables;  /* some table in it travels by value */
} lp_message_info;

/* How the positions of a message are named when one cannot cross. */
typedef enum lp_role {
    LP_ROLE_CALL,      /* the first value is "the function", then arguments */
    LP_ROLE_ARGUMENTS, /* argument 1, 2, ... */
    LP_ROLE_RESULTS,   /* result 1, 2, ... */
    LP_ROLE_ERROR,     /* the one value is "the error" */
    LP_ROLE_VALUE,     /* the one value is "the value" */
} lp_role;

/*
 * Append the count values from stack index first (absolute) to out as one
 * message. [-0, +0, e] on success: 0. LP_UNSENDABLE: [-0, +1, e], a string
 * saying what could not cross and where, such as
 * "argument 2, field 'conn.co': a coroutine". LP_NOMEM: [-0, +0]. Whatever
 * goes wrong, raised or returned, out may hold a broken tail; length and
 * handle_count as they were before the call are still good.
 * codec is L's; NULL: it is looked up, which takes a while. info may be NULL.
 */
int lp_encode(lua_State *L, lp_codec *codec, int first, int count, lp_role role,
              lp_buffer *out, lp_message_info *info);

/* Bytes being read: a cursor over memory that outlives the call. */
typedef struct lp_reader {
    const uint8_t *at;
    const uint8_t *end;
    const lp_handle *handles; /* those of the buffer it was encoded into */
    size_t handle_count;
} lp_reader;

/*
 * Decode the next message and push its values. [-0, +count, e] on success:
 * 0, with the number of values in *count. [-0, +1, e] otherwise: LP_CORRUPT
 * or LP_FAILED (a module could not be required, __deserialize raised, ...)
 * and a string saying why. codec as for lp_encode.
 */
int lp_decode(lua_State *L, lp_codec *codec, lp_reader *reader, int *count);

/*
 * A name for the first value of the next message, without decoding it, as
 * type() would say; "nothing" if the message is empty. For display.
 */
const char *lp_decode_peek(const lp_reader *reader);

#endif
