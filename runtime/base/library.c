/*
 * library.c - entries in an array, found by number or by a hash of bytes.
 *
 * One lock guards all. Readers come here only when a state meets a number
 * for the first time, so the lock is never hot. The bytes of an entry are a
 * block of their own, or part of the shared file once there is one: the array
 * may move, the bytes do not.
 *
 * An attached library has none of this, but a remote that does the work.
 */
#include "base/library.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/library_file.h"
#include "base/library_remote.h"
#include "base/lock.h"
#include "base/status.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

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
    const lp_allocator *allocator;
    lp_library_remote *remote; /* NULL: not attached. Immutable after that */

    lp_lock lock; /* guards everything below */
    size_t total; /* bytes in all entries */
    uint64_t next_key;

    entry *entries; /* entry number n at n - 1 */
    size_t entry_count;
    size_t entry_capacity;
    uint32_t *index; /* hash -> number; 0: free. Twice entry_capacity long */

    bool shared;          /* there is a file, and all entries are in it */
    lp_library_file file; /* what is kept once there is one, is only there */
    size_t block_count;   /* the entries before: their bytes are blocks */

    name *names; /* open addressing, at most half full */
    size_t name_count;
    size_t name_capacity; /* a power of two, or 0 */
};

lp_library *lp_library_new(const lp_allocator *allocator)
{
    lp_library *library = lp_calloc(allocator, 1, sizeof(*library));
    if (!library) return NULL;
    library->allocator = allocator;
    lp_lock_init(&library->lock, LP_RANK_LIBRARY);
    lp_library_file_init(&library->file);
    return library;
}

void lp_library_free(lp_library *library)
{
    if (!library) return;
    lp_library_remote_free(library->remote);
    for (size_t i = 0; i < library->block_count; i++)
        lp_free(library->entries[i].bytes);
    lp_library_file_clear(&library->file);
    lp_free(library->entries);
    lp_free(library->index);
    lp_free(library->names);
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
    uint32_t *index =
        lp_calloc(library->allocator, capacity * 2, sizeof(*index));
    if (!index) return LP_NOMEM;
    entry *entries = lp_realloc(library->allocator, library->entries,
                                capacity * sizeof(*entries));
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

/* Copy bytes to where entry number has them. */
static int copy_locked(lp_library *library, uint32_t number, const void *bytes,
                       entry *copy) LP_HOLDS(&library->lock)
{
    if (library->shared) {
        return lp_library_file_put(&library->file, number, bytes, copy->length,
                                   copy->hash, &copy->bytes);
    }
    uint8_t *block =
        lp_alloc(library->allocator, copy->length ? copy->length : 1);
    if (!block) return LP_NOMEM;
    if (copy->length > 0) memcpy(block, bytes, copy->length);
    copy->bytes = block;
    library->block_count++;
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
    if (library->entry_count >= LP_LIBRARY_MOST_ENTRIES ||
        length > LP_LIBRARY_MOST_BYTES - library->total)
        return LP_INVALID;

    entry copy = {NULL, length, hash};
    uint32_t next = (uint32_t)library->entry_count + 1;
    status = copy_locked(library, next, bytes, &copy);
    if (status != LP_OK) return status;
    library->entries[library->entry_count++] = copy;
    library->total += length;
    *found = *number = next;
    return LP_OK;
}

int lp_library_keep(lp_library *library, const void *bytes, size_t length,
                    uint32_t *number)
{
    if (length > LP_LIBRARY_MOST_BYTES) return LP_INVALID;
    if (length == 0) bytes = "";
    if (library->remote)
        return lp_library_remote_keep(library->remote, bytes, length, number);
    lp_lock_enter(&library->lock);
    int status = keep_locked(library, bytes, length, number);
    lp_lock_leave(&library->lock);
    return status;
}

const uint8_t *lp_library_find(lp_library *library, uint32_t number,
                               size_t *length)
{
    const uint8_t *bytes = NULL;

    if (library->remote)
        return lp_library_remote_find(library->remote, number, length);
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
    name *names = lp_calloc(library->allocator, capacity, sizeof(*names));
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
    if (library->remote)
        return lp_library_remote_name(library->remote, key, number);
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

    if (library->remote) return lp_library_remote_named(library->remote, key);
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
    if (library->remote) return lp_library_remote_new_key(library->remote);
    lp_lock_enter(&library->lock);
    uint64_t key = ++library->next_key;
    lp_lock_leave(&library->lock);
    return key;
}

/* Make the file and put all entries into it. */
static int share_locked(lp_library *library) LP_HOLDS(&library->lock)
{
    int status = lp_library_file_create(&library->file);
    if (status != LP_OK) return status;

    for (size_t i = 0; i < library->entry_count; i++) {
        const entry *kept = &library->entries[i];
        uint8_t *ignored; /* the block may be borrowed, thus stays */
        status =
            lp_library_file_put(&library->file, (uint32_t)(i + 1), kept->bytes,
                                kept->length, kept->hash, &ignored);
        if (status != LP_OK) {
            lp_library_file_clear(&library->file);
            return status;
        }
    }
    library->shared = true;
    return LP_OK;
}

int lp_library_share(lp_library *library, int *fd)
{
    int status = LP_OK;

    if (library->remote) return lp_library_remote_share(library->remote, fd);
    lp_lock_enter(&library->lock);
    if (!library->shared) status = share_locked(library);
    if (status == LP_OK) {
        *fd = lp_shm_reader(&library->file.shm);
        if (*fd < 0) status = LP_SYSTEM;
    }
    lp_lock_leave(&library->lock);
    return status;
}

int lp_library_attach(lp_library *library, int fd, const lp_library_link *link)
{
    assert(!library->remote && !library->shared && library->entry_count == 0);
    return lp_library_remote_new(fd, link, library->allocator,
                                 &library->remote);
}

void lp_library_reply(lp_library *library, const lp_library_question *question,
                      const void *bytes, size_t length,
                      lp_library_answer *answer)
{
    uint32_t number = 0;
    size_t ignored;
    int status = LP_INVALID;

    switch (question->verb) {
    case LP_LIBRARY_KEEP:
        if (bytes || length == 0)
            status = lp_library_keep(library, bytes, length, &number);
        break;
    case LP_LIBRARY_NAME:
        if (length == 0 && question->key != 0 &&
            lp_library_find(library, question->number, &ignored))
            status = lp_library_name(library, question->key, question->number);
        break;
    case LP_LIBRARY_NAMED:
        if (length > 0 || question->key == 0) break;
        number = lp_library_named(library, question->key);
        status = LP_OK;
        break;
    default: /* any number can arrive */
        break;
    }
    *answer = (lp_library_answer){status, status == LP_OK ? number : 0};
}
