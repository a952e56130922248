/*
 * signal_name.h - what signals are called, and how processes end.
 */
#ifndef LP_BASE_SIGNAL_NAME_H
#define LP_BASE_SIGNAL_NAME_H

#include <stddef.h>

/* Such as "SIGKILL" or "SIGRTMIN+6"; 16 bytes are enough. */
void lp_signal_name(int signal, char *name, size_t size);

/*
 * What a status of waitpid says: "was killed by SIGKILL", "exited with code
 * 3". 48 bytes are enough.
 */
void lp_signal_describe(int status, char *text, size_t size);

#endif
