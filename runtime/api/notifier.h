/*
 * notifier.h - the thread that tells event loops of mail.
 *
 * Workers ring the host's bell, which nobody can poll. Once a state has asked
 * for a descriptor, a thread of the host listens to the bell, and raises the
 * descriptors of those states that have mail. A host whose states never ask
 * has no such thread.
 */
#ifndef LP_API_NOTIFIER_H
#define LP_API_NOTIFIER_H

#include "base/list.h"
#include "core/mailbox.h"

struct lpool;

/* The descriptor of one state; part of its lp_caller. */
typedef struct lp_notice {
    lp_list in_notifier; /* guarded by the lock of the lpool */
    lp_mailbox *mailbox;
    int fd; /* -1: nobody has asked for it */
    _Atomic uint32_t raised;
} lp_notice;

typedef struct lp_notifier lp_notifier;

void lp_notice_init(lp_notice *notice, lp_mailbox *mailbox);

/* Have a descriptor. 0, LP_NOMEM or LP_SYSTEM. */
int lp_notice_open(lp_notice *notice, struct lpool *pool);

/* The state goes. Nothing if nobody has asked. */
void lp_notice_close(lp_notice *notice, struct lpool *pool);

/* The state is about to take its mail: lower what was raised. */
static inline bool lp_notice_is_open(const lp_notice *notice)
{
    return notice->fd >= 0;
}
void lp_notice_lower(lp_notice *notice);

/* End the thread, before the host is cleared. NULL is allowed. */
void lp_notifier_free(lp_notifier *notifier);

#endif
