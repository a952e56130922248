/*
 * mailbox.h - completions for one thread.
 *
 * A thread that waits for several tasks, or that has callbacks to run when
 * tasks end, expects them in a mailbox. Tasks that ended stand in it in the
 * order in which that was noticed. A mailbox belongs to one thread; tasks
 * are put into it by any.
 */
#ifndef LP_CORE_MAILBOX_H
#define LP_CORE_MAILBOX_H

#include "core/executor.h"
#include "core/host.h"

/* One expectation; made and freed by the mailbox. */
typedef struct lp_mail {
    lp_list in_task;
    lp_list in_mailbox;
    struct lp_mailbox *mailbox;
    lp_task *task; /* retained */
    size_t tag;    /* of whoever expects it */
} lp_mail;

typedef struct lp_mailbox {
    lp_host *host;
    lp_list expected; /* both guarded by the host's waiters lock */
    lp_list arrived;
    _Atomic uint32_t arrivals; /* how many mails have arrived */
    uint32_t count;            /* expected and arrived; owner thread only */
} lp_mailbox;

void lp_mailbox_init(lp_mailbox *mailbox, lp_host *host);

/* Forget all expectations. */
void lp_mailbox_clear(lp_mailbox *mailbox);

/*
 * Expect the end of task (at once if it has ended). 0 or LP_NOMEM.
 */
int lp_mailbox_expect(lp_mailbox *mailbox, lp_task *task, size_t tag);

/*
 * The next task that has ended, its reference given; NULL if none is here.
 * tag may be NULL.
 */
lp_task *lp_mailbox_take(lp_mailbox *mailbox, size_t *tag);

/* An lp_outlook, for whoever waits until something has arrived. */
bool lp_mailbox_outlook(void *mailbox, lp_visit *visit, void *walk);

/* Whether take would find something; any thread. */
static inline bool lp_mailbox_has_mail(lp_mailbox *mailbox)
{
    return atomic_load(&mailbox->arrivals) != 0;
}

/* The task ended: its mails arrive. Called under the waiters lock. */
void lp_mailbox_deliver_locked(lp_task *task);

/*
 * Put a task with its last reference into a list, by the node of its mails:
 * it has none. False if others refer to it, or it is still to be collected.
 * And take the first out again, with the reference; NULL: there is none.
 */
bool lp_task_set_aside(lp_task *task, lp_list *list);
lp_task *lp_task_take_aside(lp_host *host, lp_list *list);

#endif
