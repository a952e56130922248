/*
 * context.h - what a state remembers between messages.
 *
 * The context is a full userdata in the registry; Lua values it remembers
 * are its user values, one table per slot. Everything here is for the owner
 * thread of the state.
 */
#ifndef LP_CODEC_CONTEXT_H
#define LP_CODEC_CONTEXT_H

#include "codec/codec.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum lp_slot {
    LP_SLOT_FUNCTIONS = 1, /* Lua function -> lp_prototype; weak keys */
    LP_SLOT_PROTOTYPES,    /* hash of a dump -> lp_prototype; weak values */
    LP_SLOT_PLAIN,         /* library number -> the function */
    LP_SLOT_FACTORIES,     /* library number -> maker of closures */
    LP_SLOT_NAMES,         /* C function or module -> path; false: neither */
    LP_SLOT_VALUES,        /* path -> C function */
    LP_SLOT_STANDARD,      /* name -> global that a new state has too */
    LP_SLOT_SENT,          /* name -> true: a global that has travelled */
    LP_SLOT_ARRIVED,       /* name -> global as it came */
    LP_SLOT_CLASSES,       /* metatable -> lp_class; weak keys */
    LP_SLOT_KEYS,          /* key of class -> metatable; weak values */
    LP_SLOT_PATHS,         /* the strings of the search paths last kept */
    LP_SLOT_SENT_PLAIN,    /* the function last_sent */
    LP_SLOT_ENCODER,       /* the spare encoder */
    LP_SLOT_COUNT = LP_SLOT_ENCODER,
} lp_slot;

struct lp_codec {
    lp_codec_config config;
    const void *globals;         /* the table of globals */
    struct lp_encoder *spare;    /* NULL while it is in use */
    struct lp_encoder *anchored; /* the one in LP_SLOT_ENCODER */
    bool closed;                 /* the state is being closed */
    bool has_sent_globals;       /* LP_SLOT_SENT is not empty */
    uint32_t kept_paths;         /* library number of what LP_SLOT_PATHS has */
    uint32_t set_paths;          /* library number of the paths last set */
    uint64_t calls;              /* of encode and decode, so far */

    /* See intake.c: memory that the collector has not accounted for. */
    size_t owed;
    size_t owed_from; /* the size of the heap when that was found */

    /*
     * A Bloom filter of the addresses of tables that do not simply travel
     * by value: modules, classes, the globals. A bit may be set in vain.
     */
    uint64_t marks[64];

    /*
     * The last functions that crossed and neither capture nor use anything:
     * most programs send the same one over and over. See plain.c.
     */
    const void *last_sent; /* anchored by LP_SLOT_SENT_PLAIN */
    uint32_t last_sent_number;
    uint32_t last_received; /* library number; 0: none */
    int last_received_at;   /* reference in the registry */
};

/* Push the context of L. [-0, +1, -] NULL, and nil pushed, if it has none. */
lp_codec *lp_context_push(lua_State *L);

/* Push the table in slot of the context at index. [-0, +1, -] */
static inline void lp_context_slot(lua_State *L, int index, lp_slot slot)
{
    (void)lua_getiuservalue(L, index, (int)slot); /* always a table */
}

static inline uint64_t lp_context_bit(const void *address, size_t *word)
{
    uint64_t hash = (uint64_t)(uintptr_t)address * 0x9e3779b97f4a7c15u;

    *word = (size_t)(hash >> 58);
    return (uint64_t)1 << ((hash >> 52) & 63);
}

static inline void lp_context_mark(lp_codec *codec, const void *address)
{
    size_t word;
    uint64_t bit = lp_context_bit(address, &word);

    codec->marks[word] |= bit;
}

/* False: address was never marked. */
static inline bool lp_context_marked(const lp_codec *codec, const void *address)
{
    size_t word;
    uint64_t bit = lp_context_bit(address, &word);

    return (codec->marks[word] & bit) != 0;
}

#endif
