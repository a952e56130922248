/* notifier.c - listens to the bell, and raises descriptors. */
#include "api/notifier.h"

#include "api/api.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/status.h"
#include "base/thread.h"

struct lp_notifier {
    lpool *pool;
    lp_thread thread;
    lp_list notices;    /* guarded by the lock of the lpool */
    atomic_bool closed; /* the thread is to end */
};

static void raise_notices(lp_notifier *notifier)
{
    lp_lock_enter(&notifier->pool->lock);
    for (lp_list *node = notifier->notices.next; node != &notifier->notices;
         node = node->next) {
        lp_notice *notice = LP_LIST_ENTRY(node, lp_notice, in_notifier);
        if (lp_mailbox_has_mail(notice->mailbox) &&
            !atomic_exchange(&notice->raised, 1))
            lp_event_raise(notice->fd);
    }
    lp_lock_leave(&notifier->pool->lock);
}

static void *run(void *argument)
{
    lp_notifier *notifier = argument;
    lp_host *host = &notifier->pool->host;
    lp_thread_set_name("lpool notifier");
    for (;;) {
        uint32_t heard = lp_bell_listen(host->bell);
        if (atomic_load(&notifier->closed)) return NULL;
        lp_host_gather(host);
        raise_notices(notifier);
        (void)lp_bell_sleep(host->bell, heard, LP_NEVER);
    }
}

/* Have the thread; the caller holds the lock of the pool. */
static int start_locked(lpool *pool) LP_HOLDS(&pool->lock)
{
    if (pool->notifier) return LP_OK;
    lp_notifier *notifier =
        lp_calloc(pool->host.allocator, 1, sizeof(*notifier));
    if (!notifier) return LP_NOMEM;
    notifier->pool = pool;
    lp_list_init(&notifier->notices);
    atomic_init(&notifier->closed, false);
    if (lp_thread_start(&notifier->thread, run, notifier) != LP_OK) {
        lp_free(notifier);
        return LP_SYSTEM;
    }
    pool->notifier = notifier;
    return LP_OK;
}

void lp_notifier_free(lp_notifier *notifier)
{
    if (!notifier) return;
    atomic_store(&notifier->closed, true);
    lp_bell_ring(notifier->pool->host.bell);
    lp_thread_join(&notifier->thread);
    lp_free(notifier);
}

void lp_notice_init(lp_notice *notice, lp_mailbox *mailbox)
{
    lp_list_init(&notice->in_notifier);
    notice->mailbox = mailbox;
    notice->fd = -1;
    atomic_init(&notice->raised, 0);
}

int lp_notice_open(lp_notice *notice, lpool *pool)
{
    if (notice->fd >= 0) return LP_OK;
    int fd;
    int status = lp_event_open(&fd);
    if (status != LP_OK) return status;
    lp_lock_enter(&pool->lock);
    status = start_locked(pool);
    if (status == LP_OK) {
        notice->fd = fd;
        lp_list_append(&pool->notifier->notices, &notice->in_notifier);
    }
    lp_lock_leave(&pool->lock);
    if (status != LP_OK) {
        lp_event_close(fd);
        return status;
    }
    lp_bell_ring(pool->host.bell); /* there may be mail already */
    return LP_OK;
}

void lp_notice_close(lp_notice *notice, lpool *pool)
{
    if (notice->fd < 0) return;
    lp_lock_enter(&pool->lock);
    lp_list_remove(&notice->in_notifier);
    lp_lock_leave(&pool->lock);
    lp_event_close(notice->fd);
    notice->fd = -1;
}

void lp_notice_lower(lp_notice *notice)
{
    /*
     * In this order: what is raised between the two is mail that the caller
     * is about to take; the other way round, later mail might be missed.
     */
    lp_event_lower(notice->fd);
    atomic_store(&notice->raised, 0);
}
