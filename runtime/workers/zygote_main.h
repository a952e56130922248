/*
 * zygote_main.h - the helper process that forks children, from its inside.
 *
 * A program that can be a zygote is started by lp_zygote_start and calls
 * lp_zygote_main from its main function, early: with one thread, and with
 * nothing in memory that children need not have.
 */
#ifndef LP_WORKERS_ZYGOTE_MAIN_H
#define LP_WORKERS_ZYGOTE_MAIN_H

#include "base/alloc.h"

#include <stddef.h>

typedef struct lp_zygote_hooks {
    const lp_allocator *allocator; /* NULL: malloc */
    /*
     * In a zygote that was split off: get ready what its children will
     * share. 0, or an error and a text of at most size bytes, zero included.
     */
    int (*preload)(void *context, const void *bytes, size_t length, char *text,
                   size_t size);
    /*
     * In a fresh child: run it to its end, which is its exit code. Takes the
     * descriptors, which are close-on-exec. SIGINT does nothing, all other
     * signals are as in the zygote, and none is blocked.
     */
    int (*child)(void *context, const void *bytes, size_t length,
                 const int *fds, size_t fd_count);
    void *context;
} lp_zygote_hooks;

/*
 * Serve until the host closes the socket, which is 3 or more; all children
 * have ended then. The exit code of the process. Closes every descriptor but
 * the socket and the standard ones, and reads nothing from standard input.
 */
int lp_zygote_main(int socket, const lp_zygote_hooks *hooks);

#endif
