/* signal_name.c - the C library's names, and those of realtime signals. */
#include "base/signal_name.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

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

void lp_signal_describe(int status, char *text, size_t size)
{
    char name[16];
    if (WIFSIGNALED(status)) {
        lp_signal_name(WTERMSIG(status), name, sizeof(name));
        snprintf(text, size, "was killed by %s", name);
    } else {
        snprintf(text, size, "exited with code %d", WEXITSTATUS(status));
    }
}
