/*
 * stop.h - ending what a worker runs, from outside, or seeing where it is.
 *
 * Whoever wants it writes the job's number where the worker's thread can see
 * it and sends that thread a signal. The handler looks whether that job is
 * still the one that runs, and then lets the layer above arm whatever makes
 * it end. As it all happens on the worker's own thread, nothing races with
 * it; and a system call that it waits in ends early.
 */
#ifndef LP_BASE_STOP_H
#define LP_BASE_STOP_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A job's word has this bit once it is told to end. */
#define LP_JOB_STOPPED ((uint64_t)1 << 63)

/* Added to a word that a thread is parked on, to wake it. */
#define LP_STOP_POKE 65536u

/* What a worker shows, for being stopped. */
typedef struct lp_job_words {
    _Atomic uint64_t job;    /* the number of what runs; 0: nothing */
    _Atomic uint64_t wanted; /* the number of what is to be stopped */
    _Atomic uint64_t asked;  /* of what somebody wants to see the stack */
    _Atomic uint32_t cause;  /* why: an lp_cause */
} lp_job_words;

/* One thread's view of it; owner thread, and the handler on it. */
typedef struct lp_stop {
    lp_job_words *words;
    void *volatile current; /* what runs: for arm */
    void (*arm)(void *current);
    void (*volatile tell)(void *listener); /* then; NULL: nobody is told */
    void *volatile listener;
    /* Have the stack of current shown soon, by a call of show. */
    void (*ask)(struct lp_stop *stop);
    void *asked; /* for ask */
    void (*show)(void *shower, const char *text, size_t length);
    void *shower;
    _Atomic(_Atomic uint32_t *) parked; /* the word its thread sleeps on */
    _Atomic bool given_up; /* words are another's by now: end for good */
} lp_stop;

/* The signal. A program must leave it to lpool. */
static inline int lp_stop_signal(void)
{
    return SIGRTMIN + 7;
}

/* Have the handler installed, once for the process. Any thread. */
void lp_stop_install(void);

/*
 * Signals to this thread concern stop from now on; NULL: nothing. The signal
 * is let through from the first time on. Gives what they concerned before.
 */
lp_stop *lp_stop_adopt(lp_stop *stop);

/* Somebody wants to see the stack of the job that runs. */
static inline bool lp_stop_is_asked(const lp_stop *stop)
{
    if (!stop || !stop->words) return false;
    if (atomic_load_explicit(&stop->given_up, memory_order_relaxed))
        return false;
    uint64_t asked =
        atomic_load_explicit(&stop->words->asked, memory_order_relaxed);
    return asked != 0 && asked == atomic_load_explicit(&stop->words->job,
                                                       memory_order_relaxed);
}

/* The job that runs is to end. */
static inline bool lp_stop_is_set(const lp_stop *stop)
{
    if (!stop || !stop->words) return false;
    if (atomic_load_explicit(&stop->given_up, memory_order_relaxed))
        return true;
    return (atomic_load_explicit(&stop->words->job, memory_order_relaxed) &
            LP_JOB_STOPPED) != 0;
}

#endif
