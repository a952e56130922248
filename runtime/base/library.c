/*
 * library.c - entries in an array, found by number or by a hash of bytes.
 *
 * One lock guards all. Readers come here only when a state meets a number
 * for the first time, so the lock is never hot. The bytes of an entry are a
 * block of their own: the array may move, the bytes do not.
 */
#include "base/library.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/status.h"

#include <stdbool.h>
#include <string.h>

#define MOST_ENTRIES ((size_t)1 << 20)
#define MOST_BYTES   ((size_t)1 << 30)

typedef struct entry {
    uint8_t *bytes;
    size_t length;
    uint64_t hash;
} entry;

typedef struct name {
    uint64_t key; /* 0: the place is free */
    uint32_t number;
} name;

struct lp_library {
    lp_lock lock; /* guards everything below */
    size_t total; /* bytes in all entries */
    uint64_t next_key;

    entry *entries; /* entry number n at n - 1 */
    size_t entry_count;
    size_t entry_capacity;
    uint32_t *index; /* hash -> number; 0: free. Twice entry_capacity long */

    name *names; /* open addressing, at most half full */
    size_t name_count;
    size_t name_capacity; /* a power of two, or 0 */
};

lp_library *lp_library_new(void)
{
    lp_library *library = lp_calloc(1, sizeof(*library));
    if (!library) return NULL;
    lp_lock_init(&library->lock, LP_RANK_LIBRARY);
    return library;
}

void lp_library_free(lp_library *library)
{
    if (!library) return;
    for (size_t i = 0; i < library->entry_count; i++)
        lp_free(library->entries[i].bytes);
    lp_free(library->entries);
    lp_free(library->index);
    lp_free(library->names);
    lp_lock_clear(&library->lock);
    lp_free(library);
}

/* Where hash goes in an index for capacity entries, or the number there. */
static uint32_t *place(const lp_library *library, uint32_t *index,
                       size_t capacity, uint64_t hash, const void *bytes,
                       size_t length)
{
    size_t mask = capacity * 2 - 1;
    size_t at = (size_t)hash & mask;

    for (;; at = (at + 1) & mask) {
        if (index[at] == 0) return &index[at];
        const entry *found = &library->entries[index[at] - 1];
        if (bytes && found->hash == hash && found->length == length &&
            memcmp(found->bytes, bytes, length) == 0)
            return &index[at];
    }
}

/* Make room for one more entry. */
static int grow_entries_locked(lp_library *library) LP_HOLDS(&library->lock)
{
    if (library->entry_count < library->entry_capacity) return LP_OK;

    size_t capacity =
        library->entry_capacity ? library->entry_capacity * 2 : 32;
    uint32_t *index = lp_calloc(capacity * 2, sizeof(*index));
    if (!index) return LP_NOMEM;
    entry *entries = lp_realloc(library->entries, capacity * sizeof(*entries));
    if (!entries) {
        lp_free(index);
        return LP_NOMEM;
    }
    library->entries = entries;
    for (size_t i = 0; i < library->entry_count; i++) {
        *place(library, index, capacity, entries[i].hash, NULL, 0) =
            (uint32_t)(i + 1);
    }
    lp_free(library->index);
    library->index = index;
    library->entry_capacity = capacity;
    return LP_OK;
}

static int keep_locked(lp_library *library, const void *bytes, size_t length,
                       uint32_t *number) LP_HOLDS(&library->lock)
{
    int status = grow_entries_locked(library);
    if (status != LP_OK) return status;

    uint64_t hash = lp_hash_bytes(bytes, length);
    uint32_t *found = place(library, library->index, library->entry_capacity,
                            hash, bytes, length);
    if (*found != 0) {
        *number = *found;
        return LP_OK;
    }
    if (library->entry_count >= MOST_ENTRIES ||
        length > MOST_BYTES - library->total)
        return LP_INVALID;

    uint8_t *copy = lp_alloc(length ? length : 1);
    if (!copy) return LP_NOMEM;
    if (length > 0) memcpy(copy, bytes, length);
    library->entries[library->entry_count++] = (entry){copy, length, hash};
    library->total += length;
    *found = *number = (uint32_t)library->entry_count;
    return LP_OK;
}

int lp_library_keep(lp_library *library, const void *bytes, size_t length,
                    uint32_t *number)
{
    lp_lock_enter(&library->lock);
    int status = keep_locked(library, bytes, length, number);
    lp_lock_leave(&library->lock);
    return status;
}

const uint8_t *lp_library_find(lp_library *library, uint32_t number,
                               size_t *length)
{
    const uint8_t *bytes = NULL;

    lp_lock_enter(&library->lock);
    if (number > 0 && number <= library->entry_count) {
        bytes = library->entries[number - 1].bytes;
        *length = library->entries[number - 1].length;
    }
    lp_lock_leave(&library->lock);
    return bytes;
}

/* The place of key in names, or the free one where it would go. */
static name *place_of_key(name *names, size_t capacity, uint64_t key)
{
    size_t at = (size_t)lp_hash_word(key) & (capacity - 1);

    while (names[at].key != 0 && names[at].key != key)
        at = (at + 1) & (capacity - 1);
    return &names[at];
}

static int grow_names_locked(lp_library *library) LP_HOLDS(&library->lock)
{
    if (library->name_count < library->name_capacity / 2) return LP_OK;

    size_t capacity = library->name_capacity ? library->name_capacity * 2 : 32;
    name *names = lp_calloc(capacity, sizeof(*names));
    if (!names) return LP_NOMEM;
    for (size_t i = 0; i < library->name_capacity; i++) {
        const name *old = &library->names[i];
        if (old->key != 0) *place_of_key(names, capacity, old->key) = *old;
    }
    lp_free(library->names);
    library->names = names;
    library->name_capacity = capacity;
    return LP_OK;
}

int lp_library_name(lp_library *library, uint64_t key, uint32_t number)
{
    lp_lock_enter(&library->lock);
    int status = grow_names_locked(library);
    if (status == LP_OK) {
        name *found = place_of_key(library->names, library->name_capacity, key);
        if (found->key == 0) library->name_count++;
        *found = (name){key, number};
    }
    lp_lock_leave(&library->lock);
    return status;
}

uint32_t lp_library_named(lp_library *library, uint64_t key)
{
    uint32_t number = 0;

    lp_lock_enter(&library->lock);
    if (library->name_capacity > 0 && key != 0) {
        number =
            place_of_key(library->names, library->name_capacity, key)->number;
    }
    lp_lock_leave(&library->lock);
    return number;
}

uint64_t lp_library_new_key(lp_library *library)
{
    lp_lock_enter(&library->lock);
    uint64_t key = ++library->next_key;
    lp_lock_leave(&library->lock);
    return key;
}
