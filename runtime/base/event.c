/* event.c - an eventfd. */
#include "base/event.h"

#include "base/status.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int lp_event_open(int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd >= 0 ? LP_OK : LP_SYSTEM;
}

void lp_event_raise(int fd)
{
    /* Fails only if it has been raised 2^64 - 2 times, and stays readable. */
    (void)eventfd_write(fd, 1);
}

void lp_event_lower(int fd)
{
    eventfd_t count;
    (void)eventfd_read(fd, &count); /* fails if it is not raised */
}

void lp_event_close(int fd)
{
    if (fd >= 0) close(fd);
}
