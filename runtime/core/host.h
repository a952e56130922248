/*
 * host.h - what all executors of one program part share: the bell, the list
 * of executors, and who waits for which task.
 *
 * Workers put tasks that somebody waits for on a list of their executor and
 * ring the bell. Any thread of the host that comes along collects those
 * lists and hands each task to the mailboxes that expect it.
 */
#ifndef LP_CORE_HOST_H
#define LP_CORE_HOST_H

#include "base/alloc.h"
#include "base/library.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/shm.h"
#include "core/bell.h"
#include "core/supervisor.h"
#include "core/tally.h"

struct lp_task;
struct lp_trace;
struct lp_objects;

typedef struct lp_host {
    const lp_allocator *allocator; /* of all that belongs to it */
    lp_bell *bell;    /* in a page that workers in other processes see too */
    lp_shm bell_file; /* of that page */
    lp_library *library;
    struct lp_objects *objects; /* that tasks share; set by whoever made them */
    _Atomic(struct lp_trace *) trace; /* the same; NULL: nothing is traced */
    lp_supervisor supervisor;
    uint32_t round; /* of its looks at limits; its own */

    lp_lock lock;    /* guards the next three */
    lp_counts freed; /* what executors had done that are gone */
    lp_list executors;
    lp_list ended; /* tasks without a future that want a last look */

    lp_lock waiters;            /* guards the mailboxes and who is in them */
    _Atomic uint32_t collected; /* the bell when the lists were last read */
    _Atomic uint32_t mails;     /* expected, or not taken yet */
    _Atomic uint32_t serial;    /* of tasks, for people */
    _Atomic uint32_t threads;   /* thread pools so far, for their names */
    _Atomic uint32_t processes; /* the same of process pools */
    _Atomic uint64_t maps;      /* maps so far */
    _Atomic uint64_t seed;      /* for the random numbers of workers */
} lp_host;

/* 0, LP_NOMEM or LP_SYSTEM. The allocator outlives it; NULL: malloc. */
int lp_host_init(lp_host *host, const lp_allocator *allocator);

/*
 * In a fresh process that was forked from the one with the host, which had
 * no executors: have a bell of its own. 0, LP_NOMEM or LP_SYSTEM.
 */
int lp_host_renew(lp_host *host);

/* No worker is left: the supervisor ends. */
void lp_host_stop(lp_host *host);

/* All executors are closed and nobody waits. */
void lp_host_clear(lp_host *host);

/*
 * Hand what the workers have completed to the mailboxes, and free tasks that
 * nobody refers to. look is called, without a lock, for each of these that
 * ended badly and was never looked at; it may be NULL.
 */
static inline void lp_host_collect(lp_host *host,
                                   void (*look)(void *context,
                                                struct lp_task *task),
                                   void *context);

/* The same after the bell has rung so often. */
void lp_host_collect_ended(lp_host *host, uint32_t heard,
                           void (*look)(void *context, struct lp_task *task),
                           void *context);

/*
 * Only hand them to the mailboxes: for a thread that must not free tasks.
 */
void lp_host_gather(lp_host *host);

/*
 * Wait, for a moment, until what is done by now has been posted too, so that
 * the next collect finds it.
 */
void lp_host_await_posts(lp_host *host);

/* Whether there may be anything to collect; how often the bell has rung. */
static inline bool lp_host_has_ended(lp_host *host, uint32_t *heard)
{
    *heard = atomic_load(&host->bell->word) & ~LP_BELL_SLEEPERS;
    return *heard != atomic_load(&host->collected);
}

static inline void lp_host_collect(lp_host *host,
                                   void (*look)(void *context,
                                                struct lp_task *task),
                                   void *context)
{
    uint32_t heard;
    if (lp_host_has_ended(host, &heard))
        lp_host_collect_ended(host, heard, look, context);
}

/* Whether there is anything to collect, or mail to come or to be taken. */
static inline bool lp_host_has_news(lp_host *host)
{
    uint32_t heard;
    return lp_host_has_ended(host, &heard) || atomic_load(&host->mails) != 0;
}

/* Visit every executor, under the host's lock. */
struct lp_executor;
void lp_host_each(lp_host *host,
                  void (*visit)(struct lp_executor *executor, void *context),
                  void *context);

/* Free all executors, whatever refers to them; no worker is at work. */
void lp_host_free_executors(lp_host *host);

/* Free the executors that are closed and that nothing refers to. */
void lp_host_reap(lp_host *host);

#endif
