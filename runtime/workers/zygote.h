/*
 * zygote.h - the helper process that forks children, as the host sees it.
 *
 * The host may have many threads, and so must not fork; it starts a helper
 * that has one, and asks that. Any thread may ask; one thread at a time reads
 * the answers. Nobody else uses a zygote that is being freed. Whoever reads
 * may ask, too: a zygote never waits until its answers are read. It hears no
 * requests while it preloads; asking can wait for it then.
 */
#ifndef LP_WORKERS_ZYGOTE_H
#define LP_WORKERS_ZYGOTE_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct lp_zygote lp_zygote;

/* Called by lp_zygote_read. */
typedef struct lp_zygote_events {
    /* There is a child; or pid is 0 and error the errno of why not. */
    void (*forked)(void *context, uint64_t ticket, pid_t pid, int error);
    /* A child has ended, with this status of waitpid. Comes after forked. */
    void (*died)(void *context, uint64_t ticket, pid_t pid, int status);
    /* Of one split off: NULL, or why its preload failed. */
    void (*ready)(void *context, const char *text);
} lp_zygote_events;

/*
 * Start the program, with arguments up to a NULL; each "%d" in them becomes
 * the number of its socket. 0, LP_NOMEM, or LP_SYSTEM with errno.
 */
int lp_zygote_start(const char *program, const char *const *argv,
                    const lp_allocator *allocator, lp_zygote **zygote);

/*
 * Let the zygote fork a second one that preloads bytes, and calls ready when
 * it has; it is asked, read and freed like the first, and before it, with
 * which it ends. The ticket is for lp_zygote_kill. At most LP_ZYGOTE_BYTES. 0,
 * LP_NOMEM, LP_CLOSED, LP_INVALID or LP_SYSTEM.
 */
int lp_zygote_split(lp_zygote *zygote, uint64_t ticket, const void *bytes,
                    size_t length, lp_zygote **out);

/* It has said that it is a zygote of our version. For who reads it. */
bool lp_zygote_has_greeted(const lp_zygote *zygote);

/* Readable when there is something to read, or the zygote is gone. */
int lp_zygote_fd(const lp_zygote *zygote);

/*
 * Ask for a child; its ticket is the caller's choice, and one of its own. At
 * most LP_ZYGOTE_BYTES and LP_ZYGOTE_FDS, which are borrowed. Any thread. 0,
 * LP_CLOSED, LP_INVALID, LP_NOMEM or LP_SYSTEM.
 */
int lp_zygote_fork(lp_zygote *zygote, uint64_t ticket, const void *bytes,
                   size_t length, const int *fds, size_t fd_count);

/* Send a child a signal; nothing if it has ended. Any thread. The same. */
int lp_zygote_kill(lp_zygote *zygote, uint64_t ticket, int signal);

/*
 * Read all that is there and call the events. 0; LP_CLOSED: the zygote is
 * gone, and so are its children, or soon; LP_CORRUPT: it is no zygote of our
 * version; LP_SYSTEM.
 */
int lp_zygote_read(lp_zygote *zygote, const lp_zygote_events *events,
                   void *context);

/* Let the zygote end, and its children; lp_zygote_read will say so. */
void lp_zygote_stop(lp_zygote *zygote);

/*
 * End the zygote and its children. Waits until a started one has ended, for
 * two seconds; then it is killed. NULL is allowed.
 */
void lp_zygote_free(lp_zygote *zygote);

#endif
