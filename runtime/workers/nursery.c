/*
 * nursery.c - a list of children, found by their tickets.
 *
 * All reading of zygotes is done by the supervisor. A zygote that is gone has
 * taken its children along: each is told that it was killed, and the next
 * child that is wanted starts a new zygote. A program that is no zygote has
 * no children: each is told that it cannot be.
 */
#include "workers/nursery.h"

#include "base/alloc.h"
#include "base/status.h"

#include <errno.h>
#include <signal.h>

/* A zygote that ends so often before it has a child is of no use. */
#define MOST_LOSSES 3u

struct lp_mother {
    lp_list in_nursery;
    lp_nursery *nursery;
    lp_zygote *zygote; /* NULL: gone */
    uint64_t ticket;   /* by which the host's zygote knows it */
    lp_watch watch;
    bool released;   /* nobody wants its children any more */
    uint32_t losses; /* supervisor only: zygotes lost, in a row, childless */
    void (*ready)(void *context, const char *text, bool lost);
    void *context;
};

struct lp_nursery {
    lp_host *host;
    const char *program;
    const char *const *argv;
    lp_lock lock; /* guards all below */
    lp_mother own;
    lp_list mothers; /* the others */
    lp_list children;
    uint64_t tickets;
};

lp_nursery *lp_nursery_new(lp_host *host, const char *program,
                           const char *const *argv)
{
    lp_nursery *nursery = lp_calloc(host->allocator, 1, sizeof(*nursery));
    if (!nursery) return NULL;
    nursery->host = host;
    nursery->program = program;
    nursery->argv = argv;
    nursery->own.nursery = nursery;
    lp_lock_init(&nursery->lock, LP_RANK_NURSERY);
    lp_list_init(&nursery->own.in_nursery);
    lp_list_init(&nursery->mothers);
    lp_list_init(&nursery->children);
    return nursery;
}

void lp_nursery_free(lp_nursery *nursery)
{
    if (!nursery) return;
    while (!lp_list_is_empty(&nursery->mothers)) {
        lp_mother *mother =
            LP_LIST_ENTRY(nursery->mothers.next, lp_mother, in_nursery);
        lp_list_remove(&mother->in_nursery);
        lp_zygote_free(mother->zygote);
        lp_free(mother);
    }
    lp_zygote_free(nursery->own.zygote);
    lp_free(nursery);
}

/* Take the child of a ticket out of the list; or keep it in. */
static lp_child *find_child(lp_nursery *nursery, uint64_t ticket, bool take)
{
    lp_child *found = NULL;
    lp_lock_enter(&nursery->lock);
    for (lp_list *node = nursery->children.next;
         node != &nursery->children && !found; node = node->next) {
        lp_child *child = LP_LIST_ENTRY(node, lp_child, in_nursery);
        if (child->ticket == ticket) found = child;
    }
    if (found && take) lp_list_remove(&found->in_nursery);
    lp_lock_leave(&nursery->lock);
    return found;
}

static void on_forked(void *context, uint64_t ticket, pid_t pid, int error)
{
    lp_mother *mother = context;
    lp_child *child = find_child(mother->nursery, ticket, error != 0);
    if (!child) return;
    child->pid = pid;
    mother->losses = 0;
    child->born(child, error);
}

static void on_died(void *context, uint64_t ticket, pid_t pid, int status)
{
    lp_mother *mother = context;
    lp_child *child = find_child(mother->nursery, ticket, true);
    (void)pid;
    if (child) child->died(child, status);
}

static void on_ready(void *context, const char *text)
{
    lp_mother *mother = context;
    void (*ready)(void *, const char *, bool) = mother->ready;
    mother->ready = NULL;
    if (ready && !mother->released) ready(mother->context, text, false);
}

/* Move the children of a mother that is gone to a list of their own. */
static void take_orphans_locked(lp_nursery *nursery, const lp_mother *mother,
                                lp_list *orphans) LP_HOLDS(&nursery->lock)
{
    lp_list *next;
    for (lp_list *node = nursery->children.next; node != &nursery->children;
         node = next) {
        next = node->next;
        lp_child *child = LP_LIST_ENTRY(node, lp_child, in_nursery);
        if (child->mother != mother) continue;
        lp_list_remove(node);
        lp_list_append(orphans, node);
    }
}

/* Tell each of them; new children may be born meanwhile. */
static void tell_orphans(lp_list *orphans, bool greeted)
{
    while (!lp_list_is_empty(orphans)) {
        lp_child *child = LP_LIST_ENTRY(orphans->next, lp_child, in_nursery);
        lp_list_remove(&child->in_nursery);
        if (!greeted) {
            child->born(child, ENOEXEC);
            continue;
        }
        if (child->pid == 0) child->born(child, 0);
        child->orphaned = true;
        child->died(child, SIGKILL);
    }
}

/* The zygote has ended, and its children with it. */
static void lose_mother(lp_mother *mother)
{
    lp_nursery *nursery = mother->nursery;
    lp_supervisor_forget(&nursery->host->supervisor, &mother->watch);
    lp_lock_enter(&nursery->lock);
    lp_zygote *zygote = mother->zygote;
    bool greeted =
        lp_zygote_has_greeted(zygote) && ++mother->losses < MOST_LOSSES;
    mother->zygote = NULL;
    bool released = mother->released;
    lp_list orphans;
    lp_list_init(&orphans);
    take_orphans_locked(nursery, mother, &orphans);
    if (released) lp_list_remove(&mother->in_nursery);
    lp_lock_leave(&nursery->lock);
    lp_zygote_free(zygote);
    if (released) {
        lp_free(mother);
        return;
    }
    if (mother->ready) {
        void (*ready)(void *, const char *, bool) = mother->ready;
        mother->ready = NULL;
        ready(mother->context, NULL, true);
    }
    tell_orphans(&orphans, greeted);
}

/* Supervisor: a zygote says something. */
static void hear(void *context)
{
    static const lp_zygote_events events = {on_forked, on_died, on_ready};
    lp_mother *mother = context;
    if (lp_zygote_read(mother->zygote, &events, mother) != LP_OK)
        lose_mother(mother);
}

static int watch_mother(lp_mother *mother)
{
    mother->watch = (lp_watch){
        .fd = lp_zygote_fd(mother->zygote),
        .ready = hear,
        .context = mother,
    };
    return lp_supervisor_watch(&mother->nursery->host->supervisor,
                               &mother->watch);
}

static int warm_locked(lp_nursery *nursery) LP_HOLDS(&nursery->lock)
{
    lp_mother *own = &nursery->own;
    if (own->zygote) return LP_OK;
    int status = lp_zygote_start(nursery->program, nursery->argv,
                                 nursery->host->allocator, &own->zygote);
    if (status != LP_OK) {
        own->zygote = NULL;
        return status;
    }
    status = watch_mother(own);
    if (status != LP_OK) {
        lp_zygote_free(own->zygote);
        own->zygote = NULL;
    }
    return status;
}

int lp_nursery_warm(lp_nursery *nursery)
{
    lp_lock_enter(&nursery->lock);
    int status = warm_locked(nursery);
    lp_lock_leave(&nursery->lock);
    return status;
}

int lp_nursery_preload(lp_nursery *nursery, const void *bytes, size_t length,
                       void (*ready)(void *context, const char *text,
                                     bool lost),
                       void *context, lp_mother **out)
{
    lp_mother *mother = lp_calloc(nursery->host->allocator, 1, sizeof(*mother));
    if (!mother) return LP_NOMEM;
    mother->nursery = nursery;
    mother->ready = ready;
    mother->context = context;
    lp_lock_enter(&nursery->lock);
    int status = warm_locked(nursery);
    mother->ticket = ++nursery->tickets;
    if (status == LP_OK)
        status = lp_zygote_split(nursery->own.zygote, mother->ticket, bytes,
                                 length, &mother->zygote);
    if (status == LP_OK) {
        status = watch_mother(mother);
        if (status != LP_OK) lp_zygote_free(mother->zygote);
    }
    if (status == LP_OK) lp_list_append(&nursery->mothers, &mother->in_nursery);
    lp_lock_leave(&nursery->lock);
    if (status != LP_OK) {
        lp_free(mother);
        return status;
    }
    *out = mother;
    return LP_OK;
}

void lp_nursery_abort(lp_nursery *nursery, const void *context)
{
    lp_lock_enter(&nursery->lock);
    for (lp_list *node = nursery->mothers.next; node != &nursery->mothers;
         node = node->next) {
        const lp_mother *mother = LP_LIST_ENTRY(node, lp_mother, in_nursery);
        if (mother->zygote && mother->ready && mother->context == context &&
            nursery->own.zygote)
            (void)lp_zygote_kill(nursery->own.zygote, mother->ticket, SIGKILL);
    }
    lp_lock_leave(&nursery->lock);
}

void lp_nursery_release(lp_nursery *nursery, lp_mother *mother)
{
    if (!mother) return;
    lp_lock_enter(&nursery->lock);
    mother->released = true;
    bool gone = !mother->zygote;
    if (gone) {
        lp_list_remove(&mother->in_nursery);
    } else {
        lp_zygote_stop(mother->zygote); /* the supervisor frees it then */
    }
    lp_lock_leave(&nursery->lock);
    if (gone) lp_free(mother);
}

bool lp_nursery_is_gone(lp_nursery *nursery, const lp_mother *mother)
{
    lp_lock_enter(&nursery->lock);
    bool gone = !mother->zygote;
    lp_lock_leave(&nursery->lock);
    return gone;
}

int lp_nursery_bear(lp_nursery *nursery, lp_mother *mother, lp_child *child,
                    const void *bytes, size_t length, const int *fds,
                    size_t fd_count)
{
    if (!mother) mother = &nursery->own;
    lp_lock_enter(&nursery->lock);
    int status = LP_OK;
    if (mother == &nursery->own) status = warm_locked(nursery);
    if (status == LP_OK && !mother->zygote) {
        errno = ECHILD; /* it is gone */
        status = LP_SYSTEM;
    }
    if (status == LP_OK) {
        child->mother = mother;
        child->ticket = ++nursery->tickets;
        child->pid = 0;
        lp_list_append(&nursery->children, &child->in_nursery);
        status = lp_zygote_fork(mother->zygote, child->ticket, bytes, length,
                                fds, fd_count);
        /* Gone, and not yet noticed: the child will be told so. */
        if (status == LP_CLOSED) status = LP_OK;
        if (status != LP_OK) lp_list_remove(&child->in_nursery);
    }
    lp_lock_leave(&nursery->lock);
    return status;
}

void lp_nursery_signal(lp_nursery *nursery, int signal,
                       bool (*chosen)(const lp_child *child, void *context),
                       void *context)
{
    lp_lock_enter(&nursery->lock);
    for (lp_list *node = nursery->children.next; node != &nursery->children;
         node = node->next) {
        const lp_child *child = LP_LIST_ENTRY(node, lp_child, in_nursery);
        if (child->mother->zygote && chosen(child, context))
            (void)lp_zygote_kill(child->mother->zygote, child->ticket, signal);
    }
    lp_lock_leave(&nursery->lock);
}
