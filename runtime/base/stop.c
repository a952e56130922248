/* stop.c - the handler. */
#include "base/stop.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

/*
 * The one thing that must be found without an argument. The model makes sure
 * that the first look at it, in a handler, allocates nothing.
 */
static _Thread_local lp_stop *own __attribute__((tls_model("initial-exec")));

/* The signal is let through to this thread, and stays so. */
static _Thread_local bool open __attribute__((tls_model("initial-exec")));

/* Whether the job that runs is to be stopped; it says so from now on. */
static bool note_stop(lp_job_words *words)
{
    uint64_t job = atomic_load(&words->job);
    uint64_t wanted = atomic_load(&words->wanted);
    if (wanted == 0 || (job & ~LP_JOB_STOPPED) != wanted) return false;
    /* If that fails it was given up in this moment. */
    return (job & LP_JOB_STOPPED) ||
           atomic_compare_exchange_strong(&words->job, &job,
                                          job | LP_JOB_STOPPED);
}

/* If the thread is parked, or about to: not for long. */
static void poke(const lp_stop *stop)
{
    _Atomic uint32_t *parked = atomic_load(&stop->parked);
    if (parked) atomic_fetch_add(parked, LP_STOP_POKE);
}

static void handle(int number)
{
    lp_stop *stop = own;
    (void)number;
    if (!stop) return;
    bool given_up = atomic_load(&stop->given_up);
    if (!given_up && lp_stop_is_asked(stop) && stop->ask) {
        stop->ask(stop);
        poke(stop);
    }
    if (!given_up && !note_stop(stop->words)) return;
    stop->arm(stop->current);
    if (stop->tell) stop->tell(stop->listener);
    poke(stop);
}

void lp_stop_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action)); /* no SA_RESTART: waits end early */
    action.sa_handler = handle;
    sigemptyset(&action.sa_mask);
    (void)sigaction(lp_stop_signal(), &action, NULL); /* cannot fail */
}

lp_stop *lp_stop_adopt(lp_stop *stop)
{
    lp_stop *before = own;
    own = stop;
    if (open) return before;
    open = true;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, lp_stop_signal());
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return before;
}
