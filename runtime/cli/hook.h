/*
 * hook.h - signals that are heard by a debug hook, as in lua itself.
 *
 * The handler interposes a hook, which is async-signal-safe, and the hook
 * puts back the one that the script had. Main thread only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_HOOK_H
#define LP_CLI_HOOK_H

#include <lua.h>

/* The debug hook of the script. */
typedef struct lp_saved_hook {
    lua_Hook function;
    int mask;
    int count;
} lp_saved_hook;

/* Let function run at the next event of L; what was there goes to saved. */
void lp_hook_interpose(lua_State *L, lua_Hook function, lp_saved_hook *saved);

void lp_hook_put_back(lua_State *L, const lp_saved_hook *saved);

/* Set what a signal does. System calls that it interrupts end early. */
void lp_signal_set(int signal, void (*handler)(int));

/* Let it have its default effect, once the handler that calls this returns. */
void lp_signal_die(int signal);

#endif
