/* clock.c - CLOCK_MONOTONIC. */
#include "base/clock.h"

#define SECOND INT64_C(1000000000)

int64_t lp_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

int64_t lp_clock_after(int64_t timeout)
{
    if (timeout < 0) return LP_NEVER;
    int64_t now = lp_clock_now();
    return timeout > LP_NEVER - now ? LP_NEVER : now + timeout;
}

void lp_clock_timespec(int64_t time, struct timespec *out)
{
    out->tv_sec = (time_t)(time / SECOND);
    out->tv_nsec = (long)(time % SECOND);
}
