/* thread.c - pthreads, and what Linux says of processors. */
#include "base/thread.h"

#include "base/status.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Deep pattern matching and 200 nested C calls need about 400 KiB; the
 * sanitizers need many times that. Only what is touched becomes resident.
 */
#ifdef LP_DEBUG
#    define STACK_SIZE (8u << 20)
#else
#    define STACK_SIZE (1u << 20)
#endif

/* The system's limit for a thread's name, without the final zero. */
#define NAME_MAX_BYTES 15

static void worker_signals(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE,
                                 SIGILL,  SIGABRT, SIGTRAP};
    sigfillset(set);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(set, faults[i]);
}

int lp_thread_start(lp_thread *thread, void *(*body)(void *), void *argument)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return LP_SYSTEM;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);

    /* The new thread inherits the mask, so that no signal slips in. */
    sigset_t blocked, before;
    worker_signals(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int failed = pthread_create(&thread->id, &attributes, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    pthread_attr_destroy(&attributes);
    return failed ? LP_SYSTEM : LP_OK;
}

bool lp_thread_is_this(const lp_thread *thread)
{
    return pthread_equal(thread->id, pthread_self()) != 0;
}

int lp_thread_number(void)
{
    return gettid();
}

void lp_thread_this(lp_thread *thread)
{
    thread->id = pthread_self();
}

void lp_thread_signal(const lp_thread *thread, int signal)
{
    (void)pthread_kill(thread->id, signal); /* it may have ended */
}

void lp_thread_join(lp_thread *thread)
{
    pthread_join(thread->id, NULL);
}

void lp_thread_set_name(const char *name)
{
    char shown[NAME_MAX_BYTES + 1];
    size_t length = strlen(name);
    if (length <= NAME_MAX_BYTES) {
        memcpy(shown, name, length + 1);
    } else {
        const char *tail = strrchr(name, '_');
        if (!tail || strlen(tail) > NAME_MAX_BYTES - 4)
            tail = name + length; /* nothing worth keeping at the end */
        size_t kept = NAME_MAX_BYTES - strlen(tail);
        /* Do not cut a UTF-8 sequence in two. */
        while (kept > 0 && ((unsigned char)name[kept] & 0xC0) == 0x80)
            kept--;
        memcpy(shown, name, kept);
        memcpy(shown + kept, tail, strlen(tail) + 1);
    }
    pthread_setname_np(pthread_self(), shown);
}

/* The quota of this cgroup in whole processors, rounded up; 0 if none. */
static int cgroup_quota(void)
{
    long long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        int found = fscanf(file, "%lld %lld", &quota, &period);
        fclose(file);
        if (found != 2) return 0; /* "max": no quota */
    } else {
        file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
        if (!file) return 0;
        int found = fscanf(file, "%lld", &quota);
        fclose(file);
        file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (!file) return 0;
        found += fscanf(file, "%lld", &period);
        fclose(file);
        if (found != 2) return 0;
    }
    if (quota <= 0 || period <= 0) return 0;
    return (int)((quota + period - 1) / period);
}

int lp_thread_processors(void)
{
    int count = 0;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
    if (count < 1) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = cgroup_quota();
    if (quota > 0 && quota < count) count = quota;
    return count < 1 ? 1 : count;
}
