/*
 * supervisor.c - epoll, one event at a time.
 *
 * One at a time, because what an event leads to may end the watch of another
 * that would be in the same list.
 */
#include "core/supervisor.h"

#include "base/status.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void lp_supervisor_init(lp_supervisor *supervisor)
{
    lp_lock_init(&supervisor->lock, LP_RANK_SUPERVISOR);
    supervisor->started = supervisor->stopped = false;
    supervisor->poll = supervisor->stop = -1;
}

static void close_both(lp_supervisor *supervisor)
{
    if (supervisor->poll >= 0) close(supervisor->poll);
    if (supervisor->stop >= 0) close(supervisor->stop);
    supervisor->poll = supervisor->stop = -1;
}

void lp_supervisor_clear(lp_supervisor *supervisor)
{
    if (supervisor->stopped) return;
    supervisor->stopped = true;
    if (supervisor->started) {
        const uint64_t one = 1;
        /* Cannot fail: the counter is at 0. */
        ssize_t written = write(supervisor->stop, &one, sizeof(one));
        (void)written;
        lp_thread_join(&supervisor->thread);
    }
    close_both(supervisor);
}

static void *run(void *argument)
{
    lp_supervisor *supervisor = argument;
    lp_thread_set_name("lpool supervisor");
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(supervisor->poll, &event, 1, -1) != 1) continue;
        lp_watch *watch = event.data.ptr;
        if (!watch) return NULL;
        watch->ready(watch->context);
    }
}

static int add(lp_supervisor *supervisor, int fd, lp_watch *watch)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    return epoll_ctl(supervisor->poll, EPOLL_CTL_ADD, fd, &event) == 0
               ? LP_OK
               : LP_SYSTEM;
}

static int start_locked(lp_supervisor *supervisor) LP_HOLDS(&supervisor->lock)
{
    supervisor->poll = epoll_create1(EPOLL_CLOEXEC);
    supervisor->stop = eventfd(0, EFD_CLOEXEC);
    int status = LP_SYSTEM;
    if (supervisor->poll >= 0 && supervisor->stop >= 0)
        status = add(supervisor, supervisor->stop, NULL);
    if (status == LP_OK)
        status = lp_thread_start(&supervisor->thread, run, supervisor);
    if (status != LP_OK) close_both(supervisor);
    supervisor->started = status == LP_OK;
    return status;
}

int lp_supervisor_watch(lp_supervisor *supervisor, lp_watch *watch)
{
    int status = LP_OK;
    lp_lock_enter(&supervisor->lock);
    if (supervisor->stopped) status = LP_SYSTEM;
    if (status == LP_OK && !supervisor->started)
        status = start_locked(supervisor);
    if (status == LP_OK) status = add(supervisor, watch->fd, watch);
    lp_lock_leave(&supervisor->lock);
    return status;
}

void lp_supervisor_forget(lp_supervisor *supervisor, lp_watch *watch)
{
    (void)epoll_ctl(supervisor->poll, EPOLL_CTL_DEL, watch->fd, NULL);
}
