/* signal_name.c - the C library's names, and those of realtime signals. */
#include "base/signal_name.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

void lp_signal_name(int signal, char *name, size_t size)
{
    const char *known = sigabbrev_np(signal);
    if (known) {
        snprintf(name, size, "SIG%s", known);
    } else if (signal >= SIGRTMIN && signal <= SIGRTMAX) {
        snprintf(name, size, "SIGRTMIN+%d", signal - SIGRTMIN);
    } else {
        snprintf(name, size, "SIG%d", signal);
    }
}
