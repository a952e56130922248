/*
 * library_file.h - the entries of a library in a memory file.
 *
 * One process makes the file and puts entries, others open it and find
 * them. Entries are borrowed for the life of the lp_library_file. The caller
 * has the lock that guards it. A number travels to other processes through
 * memory or a socket that orders it after its entry.
 */
#ifndef LP_BASE_LIBRARY_FILE_H
#define LP_BASE_LIBRARY_FILE_H

#include "base/shm.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LP_LIBRARY_MOST_ENTRIES ((size_t)1 << 20)
#define LP_LIBRARY_MOST_BYTES   ((size_t)1 << 30)
#define LP_LIBRARY_CHUNKS       16

typedef struct lp_library_file {
    lp_shm shm;
    uint8_t *chunks[LP_LIBRARY_CHUNKS]; /* NULL: not mapped yet */
    uint64_t used; /* the maker's: where the last entry ends */
} lp_library_file;

/* The file begins with one of these for each number, from 1 on. */
typedef struct lp_library_record {
    /* offset / 16 above 32 bits of length; 0: no such entry */
    _Atomic uint64_t place;
    uint64_t hash; /* lp_hash_bytes of the entry, for those who trust it */
} lp_library_record;

/* No file. */
void lp_library_file_init(lp_library_file *file);

/* Make an empty one. 0, LP_NOMEM or LP_SYSTEM. */
int lp_library_file_create(lp_library_file *file);

/* Read the one behind fd, which is taken, whatever comes of it. The same. */
int lp_library_file_open(lp_library_file *file, int fd);

/* Unmap all and close. */
void lp_library_file_clear(lp_library_file *file);

/*
 * Publish a copy of bytes as entry number; gives where it is. 0, LP_NOMEM, or
 * LP_INVALID if there is more than a library may hold. Maker only.
 */
int lp_library_file_put(lp_library_file *file, uint32_t number,
                        const void *bytes, size_t length, uint64_t hash,
                        uint8_t **entry);

/* The bytes of an entry and its hash; NULL if there is none, or no memory. */
const uint8_t *lp_library_file_find(lp_library_file *file, uint32_t number,
                                    size_t *length, uint64_t *hash);

#endif
