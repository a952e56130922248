/*
 * supervisor.h - the host's one watching thread.
 *
 * It starts when there is something to watch, sleeps until a descriptor has
 * news or it is time to look at limits, and calls whoever watches. It must not
 * be kept waiting: whatever it calls may take locks, and does not block.
 */
#ifndef LP_CORE_SUPERVISOR_H
#define LP_CORE_SUPERVISOR_H

#include "base/lock.h"
#include "base/thread.h"

/* A descriptor that is watched; the watcher's own, until it is removed. */
typedef struct lp_watch {
    int fd;
    /* There is something to read, or the other end is gone. */
    void (*ready)(void *context);
    void *context;
} lp_watch;

typedef struct lp_supervisor {
    lp_lock lock; /* guards started */
    bool started;
    bool stopped;
    int poll; /* an epoll; -1 before the start */
    int wake; /* an eventfd */
    lp_thread thread;
    _Atomic bool ends;
    /* Called before each sleep: when to wake at the latest. Immutable. */
    int64_t (*look)(void *context);
    void *context;
} lp_supervisor;

void lp_supervisor_init(lp_supervisor *supervisor,
                        int64_t (*look)(void *context), void *context);

/* Have it look soon; it starts if need be. Any thread. 0, or LP_SYSTEM. */
int lp_supervisor_wake(lp_supervisor *supervisor);

/* Stop the thread; nothing is watched any more, or will be. */
void lp_supervisor_clear(lp_supervisor *supervisor);

/* Watch a descriptor from now on. Any thread. 0, or LP_SYSTEM. */
int lp_supervisor_watch(lp_supervisor *supervisor, lp_watch *watch);

/* Watch it no longer. Only from what the supervisor calls. */
void lp_supervisor_forget(lp_supervisor *supervisor, lp_watch *watch);

#endif
