/*
 * format.h - what a message looks like.
 *
 *     header | values | what was put off | trailer
 *
 * A value is a tag and what the tag asks for. Numbers are in the machine's
 * own order and not aligned: messages do not leave the machine, and the
 * header's first word says so. Tables, closures, long strings and named
 * things are numbered from 1 as they begin; REFERENCE means one by number.
 *
 * Nesting is in place down to a fixed depth. A table or function below that
 * is only announced (LATER); its content follows after the values, in the
 * order of announcement, and so on until nothing is left. So neither side
 * needs a stack as deep as the data.
 */
#ifndef LP_CODEC_FORMAT_H
#define LP_CODEC_FORMAT_H

#include <stdint.h>
#include <string.h>

#define LP_FORMAT 0x1c54u

typedef enum lp_flag {
    LP_FLAG_REFERENCES = 1, /* some value is a REFERENCE or JOIN */
    LP_FLAG_TRAILER = 2,    /* there is a trailer */
} lp_flag;

typedef struct lp_header {
    uint16_t format; /* LP_FORMAT */
    uint16_t flags;
    uint32_t count;  /* of values */
    uint64_t length; /* of the whole message */
} lp_header;

/*
 * The end of a trailer. Before it come the classes: key (64 bits) and
 * library number (32 bits, 0 if not known to the encoder) of each.
 */
typedef struct lp_trailer {
    uint32_t objects; /* how many values were numbered */
    uint32_t paths;   /* library number of the search paths, or 0 */
    uint32_t classes; /* how many */
} lp_trailer;

#define LP_CLASS_BYTES (sizeof(uint64_t) + sizeof(uint32_t))

typedef enum lp_tag {
    LP_TAG_END, /* of a row of globals */
    LP_TAG_NIL,
    LP_TAG_FALSE,
    LP_TAG_TRUE,
    LP_TAG_INT8,
    LP_TAG_INT16,
    LP_TAG_INT32,
    LP_TAG_INT64,
    LP_TAG_FLOAT,
    LP_TAG_STRING32,  /* length (32), bytes; shorter ones: LP_TAG_SHORT */
    LP_TAG_STRING64,  /* length (64), bytes */
    LP_TAG_LIGHT,     /* light userdata: the pointer */
    LP_TAG_REFERENCE, /* number (32) */

    LP_TAG_EMPTY,       /* a table */
    LP_TAG_TABLE,       /* items (32), pairs (32), values, keys and values */
    LP_TAG_SHAPE,       /* count (8), keys as length (8) and bytes; then the
                           values: a record, of the next shape number */
    LP_TAG_RECORD,      /* shape (8), values */
    LP_TAG_LATER_TABLE, /* content put off */
    LP_TAG_OBJECT,      /* metatable, table (one of the four above) */
    LP_TAG_SERIALIZED,  /* metatable, what __serialize returned */
    LP_TAG_CLASS,       /* index (32) into the trailer, from 0 */
    LP_TAG_GLOBALS,     /* the table of globals */

    LP_TAG_PLAIN,         /* library number (32): it captures nothing */
    LP_TAG_PLAIN_GLOBALS, /* the same, globals */
    LP_TAG_PLAIN_LATER,   /* the same, globals put off */
    LP_TAG_CLOSURE,       /* library number (32), body */
    LP_TAG_CLOSURE_LATER, /* library number (32), body put off */
    LP_TAG_BODY,          /* count (8), upvalues, globals: what was put off */
    LP_TAG_JOIN,          /* closure (32), index (8): the same upvalue */
    LP_TAG_RESET,         /* in globals: back to what a new state has */

    LP_TAG_MODULE, /* length (16), name: a module */
    LP_TAG_NAMED,  /* length (16), path: a C function */
    LP_TAG_HANDLE, /* index (32) into the message's handles: an object of the
                      host's, or a string that is lent */
    LP_TAG_SHARED, /* number (64) of an object that all processes know */

    LP_TAG_SHORT = 0x40, /* up to 0x7f: a string of 0 to 63 bytes */
    LP_TAG_SMALL = 0x80, /* up to 0xff: an integer from 0 to 127 */
} lp_tag;

/* The first byte of a library entry says what it is. */
typedef enum lp_entry {
    LP_ENTRY_PLAIN = 1, /* bytecode of a function that captures nothing */
    LP_ENTRY_FACTORY,   /* bytecode of a maker of closures, see prototype.c */
    LP_ENTRY_DUMP,      /* bytecode of one with too many upvalues for that */
    LP_ENTRY_CLASS,     /* a message: the content of a metatable */
    LP_ENTRY_PATHS,     /* package.path, a zero, package.cpath */
} lp_entry;

/* How deep values nest in place, and how deep if __serialize is involved. */
#define LP_NEST_SOFT 100
#define LP_NEST_HARD 180
#define LP_NEST_MOST (LP_NEST_HARD + 4) /* what decode accepts */

#define LP_SHAPES        255  /* most shapes in a message */
#define LP_SHAPE_KEYS    16   /* most keys in a shape */
#define LP_SHAPE_NAME    40   /* longest key of a shape */
#define LP_SHARED_STRING 4096 /* strings from here on keep their identity */

static inline void lp_format_put32(uint8_t *at, uint32_t number)
{
    memcpy(at, &number, sizeof(number));
}

static inline uint32_t lp_format_get32(const uint8_t *at)
{
    uint32_t number;

    memcpy(&number, at, sizeof(number));
    return number;
}

#endif
