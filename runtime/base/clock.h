/*
 * clock.h - monotonic time in nanoseconds, and deadlines on it.
 */
#ifndef LP_BASE_CLOCK_H
#define LP_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* A deadline that never comes. */
#define LP_NEVER INT64_MAX

/* Nanoseconds since some fixed point of the past. */
int64_t lp_clock_now(void);

/* The deadline timeout nanoseconds from now; LP_NEVER if it is negative. */
int64_t lp_clock_after(int64_t timeout);

/* The same moment as the system has it. */
void lp_clock_timespec(int64_t time, struct timespec *out);

#endif
