/*
 * library.h - bytes kept once for all workers: function prototypes, classes,
 * search paths.
 *
 * An entry is immutable once kept, and lives as long as the library; equal
 * bytes get equal numbers. Any thread may call any function. A number is
 * never 0 and never used twice.
 */
#ifndef LP_BASE_LIBRARY_H
#define LP_BASE_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

typedef struct lp_library lp_library;

/* NULL if memory is short. */
lp_library *lp_library_new(void);

/* NULL is allowed. */
void lp_library_free(lp_library *library);

/*
 * Keep a copy of bytes, or find the equal ones kept before; gives their
 * number. 0, LP_NOMEM, or LP_INVALID if the library is full (a million
 * entries, or a GiB).
 */
int lp_library_keep(lp_library *library, const void *bytes, size_t length,
                    uint32_t *number);

/* The bytes of an entry, borrowed for the library's life; NULL if unknown. */
const uint8_t *lp_library_find(lp_library *library, uint32_t number,
                               size_t *length);

/* Let key mean entry number from now on. 0 or LP_NOMEM. */
int lp_library_name(lp_library *library, uint64_t key, uint32_t number);

/* The entry that key means now; 0 if none. */
uint32_t lp_library_named(lp_library *library, uint64_t key);

/* A key that no other state of this library has. */
uint64_t lp_library_new_key(lp_library *library);

#endif
