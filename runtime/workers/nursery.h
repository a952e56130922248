/*
 * nursery.h - the children of one host, and the zygotes they come from.
 *
 * There is one zygote for the host, started when the first child is wanted,
 * and one more for each pool that preloads modules. The nursery hears of
 * births and deaths in the supervisor's thread, and passes them on to whoever
 * asked for the child.
 */
#ifndef LP_WORKERS_NURSERY_H
#define LP_WORKERS_NURSERY_H

#include "base/list.h"
#include "core/host.h"
#include "workers/zygote.h"

typedef struct lp_nursery lp_nursery;

/* A zygote with preloaded modules, or the host's own. */
typedef struct lp_mother lp_mother;

/* A child as its owner knows it; embedded in something of the owner's. */
typedef struct lp_child {
    lp_list in_nursery;
    lp_mother *mother;
    uint64_t ticket;
    pid_t pid;     /* 0 before its birth */
    bool orphaned; /* it died because its zygote did */
    /*
     * Called by the supervisor. born: error is 0, or the errno of why there
     * is no child; then that was the last. died: status is as waitpid says
     * it, and that was the last.
     */
    void (*born)(struct lp_child *child, int error);
    void (*died)(struct lp_child *child, int status);
} lp_child;

/*
 * The program that is run as a zygote, and its arguments as lp_zygote_start
 * takes them; both are borrowed. NULL: no memory.
 */
lp_nursery *lp_nursery_new(lp_host *host, const char *program,
                           const char *const *argv);

/* The supervisor has been stopped, and no child is left. NULL is allowed. */
void lp_nursery_free(lp_nursery *nursery);

/*
 * Have a zygote with modules; ready is called by the supervisor with NULL; or
 * with the reason why they could not be loaded; or lost, if the process that
 * was to load them has ended. 0, LP_NOMEM or LP_SYSTEM.
 */
int lp_nursery_preload(lp_nursery *nursery, const void *bytes, size_t length,
                       void (*ready)(void *context, const char *text,
                                     bool lost),
                       void *context, lp_mother **mother);

/*
 * End the preloading, if any is going on whose ready was to be called with
 * context; ready is called then.
 */
void lp_nursery_abort(lp_nursery *nursery, const void *context);

/* No child of it is left or will be wanted. NULL is allowed. */
void lp_nursery_release(lp_nursery *nursery, lp_mother *mother);

/* Its process has ended; it will have no more children. */
bool lp_nursery_is_gone(lp_nursery *nursery, const lp_mother *mother);

/* Start the host's zygote if there is none, so that it is there in time. */
int lp_nursery_warm(lp_nursery *nursery);

/*
 * Ask for a child of mother, or of the host's zygote if that is NULL. The
 * owner has filled in born and died, which may be called before this returns.
 * 0, LP_NOMEM or LP_SYSTEM: nothing will be called.
 */
int lp_nursery_bear(lp_nursery *nursery, lp_mother *mother, lp_child *child,
                    const void *bytes, size_t length, const int *fds,
                    size_t fd_count);

/* Send a signal to each child for which chosen says so. */
void lp_nursery_signal(lp_nursery *nursery, int signal,
                       bool (*chosen)(const lp_child *child, void *context),
                       void *context);

#endif
