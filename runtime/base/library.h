/*
 * library.h - bytes kept once for all workers: function prototypes, classes,
 * search paths.
 *
 * An entry is immutable once kept, and lives as long as the library; equal
 * bytes get equal numbers. Any thread may call any function. A number is
 * never 0 and never used twice.
 *
 * Processes that descend from one share a library: the host keeps, the others
 * read what it shared and ask it for the rest. To all of them a number means
 * the same.
 */
#ifndef LP_BASE_LIBRARY_H
#define LP_BASE_LIBRARY_H

#include "base/alloc.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lp_library lp_library;

/* NULL if memory is short. */
lp_library *lp_library_new(const lp_allocator *allocator);

/* NULL is allowed. */
void lp_library_free(lp_library *library);

/*
 * Keep a copy of bytes, or find the equal ones kept before; gives their
 * number. 0, LP_NOMEM, or LP_INVALID if the library is full (a million
 * entries, or a GiB). If the host has to be asked, also what comes of that.
 */
int lp_library_keep(lp_library *library, const void *bytes, size_t length,
                    uint32_t *number);

/* The bytes of an entry, borrowed for the library's life; NULL if unknown. */
const uint8_t *lp_library_find(lp_library *library, uint32_t number,
                               size_t *length);

/*
 * Let key, which is not 0, mean entry number from now on. 0 or LP_NOMEM; if
 * the host has to be asked, also what comes of that.
 */
int lp_library_name(lp_library *library, uint64_t key, uint32_t number);

/* The entry that key means now; 0 if none, or if the host cannot be asked. */
uint32_t lp_library_named(lp_library *library, uint64_t key);

/* A key that no other state of this library has, in whichever process. */
uint64_t lp_library_new_key(lp_library *library);

/*
 * Put what is kept, from now on and so far, where other processes can read
 * it; gives a descriptor for reading only, to be closed by the caller. Any
 * number of times. 0, LP_NOMEM or LP_SYSTEM.
 */
int lp_library_share(lp_library *library, int *fd);

typedef enum lp_library_verb {
    LP_LIBRARY_KEEP = 1, /* the bytes behind the question; gives their number */
    LP_LIBRARY_NAME,     /* let key mean number */
    LP_LIBRARY_NAMED,    /* gives the number that key means, or 0 */
} lp_library_verb;

/* As it is sent. What a verb does not need is 0. */
typedef struct lp_library_question {
    uint32_t verb;
    uint32_t number;
    uint64_t key;
} lp_library_question;

typedef struct lp_library_answer {
    int32_t status;
    uint32_t number; /* 0 unless status is */
} lp_library_answer;

/* How a library in another process reaches the host's. */
typedef struct lp_library_link {
    /*
     * Send a question and the bytes behind it, borrowed; gives the answer of
     * lp_library_reply. 0 or an error (LP_CLOSED: the host is gone). Called
     * outside of locks, by several threads at once.
     */
    int (*ask)(void *context, const lp_library_question *question,
               const void *bytes, size_t length, lp_library_answer *answer);
    void *context; /* borrowed for the library's life */
} lp_library_link;

/*
 * Let a library that was just made, and that no other thread has, read the
 * entries behind fd, which is taken whatever comes of it, and ask for the
 * rest. 0; or LP_NOMEM or LP_SYSTEM, and the library is as it was.
 */
int lp_library_attach(lp_library *library, int fd, const lp_library_link *link);

/*
 * Answer the question of another process, which may be out of its mind; what
 * makes no sense is LP_INVALID. An attached library passes the question on.
 */
void lp_library_reply(lp_library *library, const lp_library_question *question,
                      const void *bytes, size_t length,
                      lp_library_answer *answer);

#endif
