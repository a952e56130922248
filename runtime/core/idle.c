/* idle.c - a count of sleepers and a word to sleep on. */
#include "core/idle.h"

#include "base/clock.h"

uint32_t lp_idle_declare(lp_idle *idle)
{
    /*
     * In this order. A wake-up that begins after waking is cleared changes
     * the event after it was read here, so this worker does not sleep
     * through it; one that began before is forgotten, and whoever relied on
     * it added his work before this worker looks at the queue again.
     */
    uint32_t event = atomic_load(&idle->event);
    atomic_fetch_add(&idle->sleepers, 1);
    atomic_store(&idle->waking, 0);
    return event;
}

void lp_idle_sleep(lp_idle *idle, uint32_t declared)
{
    while (atomic_load(&idle->event) == declared)
        (void)lp_park(&idle->event, declared, LP_NEVER); /* signals: again */
}

void lp_idle_leave(lp_idle *idle)
{
    atomic_fetch_sub(&idle->sleepers, 1);
    /*
     * Whether the wake-up was for this worker or for another one does not
     * matter: it is awake, looks at the queue after this, and wakes the next.
     */
    atomic_store(&idle->waking, 0);
}

void lp_idle_wake_one_slowly(lp_idle *idle)
{
    if (atomic_load(&idle->napper) != 0) return;
    if (atomic_load(&idle->waking) != 0) return;
    if (atomic_exchange(&idle->waking, 1) != 0) return;
    atomic_fetch_add(&idle->event, 1);
    lp_unpark_one(&idle->event);
}

void lp_idle_nap(lp_idle *idle, uint32_t number, int64_t deadline)
{
    /* One napper is enough; the others of a burst nap without the title. */
    uint32_t nobody = 0;
    bool named =
        atomic_compare_exchange_strong(&idle->napper, &nobody, number + 1);
    /* Not on the sleepers' word: it must not take a wake-up from them. */
    _Atomic uint32_t word = 0;
    (void)lp_park(&word, 0, deadline);
    if (named) atomic_store(&idle->napper, 0);
}

void lp_idle_bury(lp_idle *idle, uint32_t number, bool slept)
{
    uint32_t napper = number + 1;
    (void)atomic_compare_exchange_strong(&idle->napper, &napper, 0);
    if (slept) atomic_fetch_sub(&idle->sleepers, 1);
    /* A wake-up that was meant for it goes to all the others. */
    atomic_store(&idle->waking, 0);
    lp_idle_wake_all(idle);
}

void lp_idle_wake_all(lp_idle *idle)
{
    atomic_fetch_add(&idle->event, 1);
    lp_unpark_all(&idle->event);
}
