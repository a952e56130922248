/*
 * sigquit.h - what Ctrl-\ and `kill -QUIT` do: say where everything is.
 *
 * Between enter and leave, a SIGQUIT writes the script's stack and a dump of
 * its pools to standard error, and the program goes on: also out of a wait
 * in lpool. A second one that comes before the first is heard, since the
 * script is inside a long C function, kills. Outside of them a SIGQUIT kills.
 * One Lua state at a time; main thread only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_SIGQUIT_H
#define LP_CLI_SIGQUIT_H

#include <lua.h>

void lp_sigquit_enter(lua_State *L);
void lp_sigquit_leave(void);

#endif
