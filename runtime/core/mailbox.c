/* mailbox.c - lists of mails, under one lock for the whole host. */
#include "core/mailbox.h"

#include "base/alloc.h"
#include "base/status.h"

void lp_mailbox_init(lp_mailbox *mailbox, lp_host *host)
{
    mailbox->host = host;
    lp_list_init(&mailbox->expected);
    lp_list_init(&mailbox->arrived);
    atomic_init(&mailbox->arrivals, 0);
    mailbox->count = 0;
}

static lp_mail *first_mail(lp_list *list)
{
    if (lp_list_is_empty(list)) return NULL;
    return LP_LIST_ENTRY(list->next, lp_mail, in_mailbox);
}

/* Take one mail out of both its lists; NULL if there is none. */
static lp_mail *detach(lp_mailbox *mailbox, lp_list *list)
{
    lp_lock_enter(&mailbox->host->waiters);
    lp_mail *mail = first_mail(list);
    if (mail) {
        lp_list_remove(&mail->in_mailbox);
        lp_list_remove(&mail->in_task);
        atomic_fetch_sub(&mailbox->host->mails, 1);
        if (list == &mailbox->arrived) atomic_fetch_sub(&mailbox->arrivals, 1);
    }
    lp_lock_leave(&mailbox->host->waiters);
    return mail;
}

void lp_mailbox_clear(lp_mailbox *mailbox)
{
    lp_mail *mail;
    while ((mail = detach(mailbox, &mailbox->expected)) != NULL ||
           (mail = detach(mailbox, &mailbox->arrived)) != NULL) {
        lp_task_release(mail->task);
        lp_free(mail);
    }
    mailbox->count = 0;
}

static void arrive_locked(lp_mail *mail)
{
    lp_list_remove(&mail->in_mailbox);
    lp_list_append(&mail->mailbox->arrived, &mail->in_mailbox);
    atomic_fetch_add(&mail->mailbox->arrivals, 1);
}

int lp_mailbox_expect(lp_mailbox *mailbox, lp_task *task, size_t tag)
{
    lp_mail *mail = lp_alloc(mailbox->host->allocator, sizeof(*mail));
    if (!mail) return LP_NOMEM;
    lp_list_init(&mail->in_task);
    lp_list_init(&mail->in_mailbox);
    mail->mailbox = mailbox;
    mail->task = task;
    mail->tag = tag;
    lp_task_retain(task);
    mailbox->count++;
    atomic_fetch_add(&mailbox->host->mails, 1);

    lp_lock_enter(&mailbox->host->waiters);
    uint32_t before = lp_task_state(task);
    if (!lp_phase_is_done(before))
        before = atomic_fetch_or(&task->cell->state, LP_NOTIFY);
    if (lp_phase_is_done(before)) {
        arrive_locked(mail);
    } else {
        task->posted = 1;
        lp_list_append(&task->mails, &mail->in_task);
        lp_list_append(&mailbox->expected, &mail->in_mailbox);
    }
    lp_lock_leave(&mailbox->host->waiters);
    return LP_OK;
}

lp_task *lp_mailbox_take(lp_mailbox *mailbox, size_t *tag)
{
    if (!lp_mailbox_has_mail(mailbox)) return NULL;
    lp_mail *mail = detach(mailbox, &mailbox->arrived);
    if (!mail) return NULL;
    mailbox->count--;
    lp_task *task = mail->task;
    if (tag) *tag = mail->tag;
    lp_free(mail);
    return task;
}

bool lp_task_set_aside(lp_task *task, lp_list *list)
{
    lp_host *host = lp_executor_host(task->executor);
    lp_lock_enter(&host->waiters);
    bool ours = atomic_load(&task->references) == 1 &&
                (task->manual || !atomic_load(&task->posted));
    if (ours) {
        /* Without a reference it has no mails: so that node is free. */
        atomic_store(&task->references, 0);
        lp_list_append(list, &task->mails);
    }
    lp_lock_leave(&host->waiters);
    return ours;
}

lp_task *lp_task_take_aside(lp_host *host, lp_list *list)
{
    lp_task *task = NULL;
    lp_lock_enter(&host->waiters);
    if (!lp_list_is_empty(list)) {
        task = LP_LIST_ENTRY(list->next, lp_task, mails);
        lp_list_remove(&task->mails);
        atomic_store(&task->references, 1);
    }
    lp_lock_leave(&host->waiters);
    return task;
}

void lp_mailbox_deliver_locked(lp_task *task)
{
    if (atomic_load(&task->references) == 0) return; /* set aside, or dead */
    while (!lp_list_is_empty(&task->mails)) {
        lp_mail *mail = LP_LIST_ENTRY(task->mails.next, lp_mail, in_task);
        lp_list_remove(&mail->in_task);
        arrive_locked(mail);
    }
}

bool lp_mailbox_outlook(void *what, lp_visit *visit, void *walk)
{
    lp_mailbox *mailbox = what;
    bool all = !lp_mailbox_has_mail(mailbox);
    lp_lock_enter(&mailbox->host->waiters);
    const lp_list *expected = &mailbox->expected;
    for (const lp_list *node = expected->next; all && node != expected;
         node = node->next) {
        const lp_mail *mail = LP_LIST_ENTRY(node, lp_mail, in_mailbox);
        const lp_task *task = mail->task;
        all = !task->manual && !lp_phase_is_done(lp_task_state(task)) &&
              visit(walk, task->executor);
    }
    lp_lock_leave(&mailbox->host->waiters);
    return all;
}
