/*
 * identity.h - which objects of a message were met already.
 *
 * A hash from addresses to what the encoder noted about them. Forgetting all
 * is cheap, and free if nothing was noted. The objects must stay alive.
 */
#ifndef LP_CODEC_IDENTITY_H
#define LP_CODEC_IDENTITY_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum lp_identity_kind {
    LP_IDENTITY_OBJECT,  /* number: its number in the message */
    LP_IDENTITY_PENDING, /* the same, but __serialize is at it */
    LP_IDENTITY_CLASS,   /* number: index in the message's classes */
    LP_IDENTITY_GLOBALS, /* the table of globals */
    LP_IDENTITY_UPVALUE, /* number: a closure; index: which of its upvalues */
    LP_IDENTITY_NAME,    /* a global of that name has travelled */
} lp_identity_kind;

typedef struct lp_identity_entry {
    const void *address;
    uint32_t number;
    uint16_t epoch; /* that of the map, or the entry is free */
    uint8_t kind;
    uint8_t index;
} lp_identity_entry;

typedef struct lp_identity {
    const lp_allocator *allocator; /* NULL: malloc */
    lp_identity_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    unsigned shift; /* 64 - log2(capacity) */
    uint16_t epoch;
} lp_identity;

/* Empty, with its allocator. */
void lp_identity_clear(lp_identity *identity);

/* Forget all entries. */
void lp_identity_reset(lp_identity *identity);

/* Make room for one more entry. 0 or LP_NOMEM. */
int lp_identity_grow(lp_identity *identity);

/* Where the search for address starts. */
static inline size_t lp_identity_start(const lp_identity *identity,
                                       const void *address)
{
    uint64_t hash = (uint64_t)(uintptr_t)address * 0x9e3779b97f4a7c15u;

    return (size_t)(hash >> identity->shift);
}

/*
 * The entry of address, made if there is none; then *added is true and the
 * caller fills it in. Borrowed until the next call. NULL if memory is short.
 */
static inline lp_identity_entry *
lp_identity_note(lp_identity *identity, const void *address, bool *added)
{
    if (identity->count * 3 >= identity->capacity * 2 &&
        lp_identity_grow(identity) != 0)
        return NULL;

    size_t mask = identity->capacity - 1;
    size_t at = lp_identity_start(identity, address);

    for (;; at = (at + 1) & mask) {
        lp_identity_entry *entry = &identity->entries[at];
        if (entry->epoch != identity->epoch) {
            *added = true;
            identity->count++;
            entry->address = address;
            entry->epoch = identity->epoch;
            return entry;
        }
        if (entry->address == address) {
            *added = false;
            return entry;
        }
    }
}

/* The entry of address, or NULL. Borrowed until the next note. */
static inline const lp_identity_entry *
lp_identity_find(const lp_identity *identity, const void *address)
{
    if (identity->count == 0) return NULL;

    size_t mask = identity->capacity - 1;
    size_t at = lp_identity_start(identity, address);

    for (;; at = (at + 1) & mask) {
        const lp_identity_entry *entry = &identity->entries[at];
        if (entry->epoch != identity->epoch) return NULL;
        if (entry->address == address) return entry;
    }
}

#endif
