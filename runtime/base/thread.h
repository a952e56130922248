/*
 * thread.h - threads of our own, and how many can run at once.
 */
#ifndef LP_BASE_THREAD_H
#define LP_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct lp_thread {
    pthread_t id;
} lp_thread;

/*
 * Run body(argument) in a new thread, with all signals blocked but those
 * that report faults of its own. 0, or LP_SYSTEM.
 */
int lp_thread_start(lp_thread *thread, void *(*body)(void *), void *argument);

/* The calling thread, only to be signalled. */
void lp_thread_this(lp_thread *thread);

/* Whether thread is the calling one. */
bool lp_thread_is_this(const lp_thread *thread);

/* The calling thread's number, as top -H and debuggers show it. */
int lp_thread_number(void);

/* Send a thread that was not joined yet a signal. */
void lp_thread_signal(const lp_thread *thread, int signal);

/* Wait until the thread has ended, and free what the system keeps of it. */
void lp_thread_join(lp_thread *thread);

/*
 * Name the calling thread as top -H and debuggers show it. A name that is
 * too long for the system loses the end of its part before the last '_', so
 * that the number of the worker stays.
 */
void lp_thread_set_name(const char *name);

/*
 * Processors that this process may use: the affinity mask, and the quota of
 * its cgroup. At least 1.
 */
int lp_thread_processors(void);

#endif
