/*
 * library_remote.h - the library of another process, read and asked.
 *
 * What library.c makes of a library by lp_library_attach; the functions are
 * those of library.h. Any thread may call any function.
 */
#ifndef LP_BASE_LIBRARY_REMOTE_H
#define LP_BASE_LIBRARY_REMOTE_H

#include "base/alloc.h"
#include "base/library.h"

typedef struct lp_library_remote lp_library_remote;

/* Takes fd, whatever comes of it. 0, LP_NOMEM or LP_SYSTEM. */
int lp_library_remote_new(int fd, const lp_library_link *link,
                          const lp_allocator *allocator,
                          lp_library_remote **out);

/* NULL is allowed. */
void lp_library_remote_free(lp_library_remote *remote);

int lp_library_remote_share(const lp_library_remote *remote, int *fd);
int lp_library_remote_keep(lp_library_remote *remote, const void *bytes,
                           size_t length, uint32_t *number);
const uint8_t *lp_library_remote_find(lp_library_remote *remote,
                                      uint32_t number, size_t *length);
int lp_library_remote_name(lp_library_remote *remote, uint64_t key,
                           uint32_t number);
uint32_t lp_library_remote_named(lp_library_remote *remote, uint64_t key);
uint64_t lp_library_remote_new_key(lp_library_remote *remote);

#endif
