/*
 * supervisor.c - epoll, one event at a time.
 *
 * One at a time, because what an event leads to may end the watch of another
 * that would be in the same list.
 */
#include "core/supervisor.h"

#include "base/clock.h"
#include "base/status.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void lp_supervisor_init(lp_supervisor *supervisor,
                        int64_t (*look)(void *context), void *context)
{
    supervisor->look = look;
    supervisor->context = context;
    atomic_init(&supervisor->ends, false);
    lp_lock_init(&supervisor->lock, LP_RANK_SUPERVISOR);
    supervisor->started = supervisor->stopped = false;
    supervisor->poll = supervisor->wake = -1;
}

static void close_both(lp_supervisor *supervisor)
{
    if (supervisor->poll >= 0) close(supervisor->poll);
    if (supervisor->wake >= 0) close(supervisor->wake);
    supervisor->poll = supervisor->wake = -1;
}

static void ring(const lp_supervisor *supervisor)
{
    const uint64_t one = 1;
    /* Cannot fail: the counter never gets so high. */
    ssize_t written = write(supervisor->wake, &one, sizeof(one));
    (void)written;
}

void lp_supervisor_clear(lp_supervisor *supervisor)
{
    if (supervisor->stopped) return;
    supervisor->stopped = true;
    if (supervisor->started) {
        atomic_store(&supervisor->ends, true);
        ring(supervisor);
        lp_thread_join(&supervisor->thread);
    }
    close_both(supervisor);
}

/* Milliseconds to sleep until then; never too few. */
static int sleep_time(int64_t until)
{
    if (until == LP_NEVER) return -1;
    int64_t left = until - lp_clock_now();
    if (left <= 0) return 0;
    int64_t milliseconds = (left + 999999) / 1000000;
    return milliseconds > 1000000 ? 1000000 : (int)milliseconds;
}

static void *run(void *argument)
{
    lp_supervisor *supervisor = argument;
    lp_thread_set_name("lpool supervisor");
    while (!atomic_load(&supervisor->ends)) {
        struct epoll_event event;
        int64_t until = supervisor->look(supervisor->context);
        if (epoll_wait(supervisor->poll, &event, 1, sleep_time(until)) != 1)
            continue;
        lp_watch *watch = event.data.ptr;
        if (watch) {
            watch->ready(watch->context);
        } else {
            uint64_t rings;
            ssize_t got = read(supervisor->wake, &rings, sizeof(rings));
            (void)got; /* it was readable */
        }
    }
    return NULL;
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
    supervisor->wake = eventfd(0, EFD_CLOEXEC);
    int status = LP_SYSTEM;
    if (supervisor->poll >= 0 && supervisor->wake >= 0)
        status = add(supervisor, supervisor->wake, NULL);
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

int lp_supervisor_wake(lp_supervisor *supervisor)
{
    int status = LP_OK;
    lp_lock_enter(&supervisor->lock);
    if (supervisor->stopped) status = LP_SYSTEM;
    if (status == LP_OK && !supervisor->started)
        status = start_locked(supervisor);
    if (status == LP_OK) ring(supervisor);
    lp_lock_leave(&supervisor->lock);
    return status;
}

void lp_supervisor_forget(lp_supervisor *supervisor, lp_watch *watch)
{
    (void)epoll_ctl(supervisor->poll, EPOLL_CTL_DEL, watch->fd, NULL);
}
