/*
 * sigint.h - what Ctrl-C does.
 *
 * Between enter and leave, the first SIGINT raises "interrupted!" in the
 * running Lua code, or in the wait in lpool that it is in. A second one,
 * while the first has not been heard or just after it, kills the program.
 * Outside of them a SIGINT kills. One Lua state at a time; main thread only.
 *
 * A hook reaches only the coroutine it is set on, so code that computes in
 * another one is interrupted when it yields, returns or waits in lpool; a
 * second Ctrl-C always works.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_SIGINT_H
#define LP_CLI_SIGINT_H

#include <lua.h>
#include <stdbool.h>

void lp_sigint_enter(lua_State *L);
void lp_sigint_leave(void);

/* Whether the error value at index came of a SIGINT. [-0, +0] */
bool lp_sigint_caused(lua_State *L, int index);

/*
 * The interrupt will not be caught, and to-be-closed variables run now: end
 * the program within half a second even if they wait for ever. Writes out
 * what stdout holds.
 */
void lp_sigint_hurry(void);

/*
 * End the program as Ctrl-C ends it: exit code 130, files written out, no
 * state closed, since workers may be busy in theirs.
 */
_Noreturn void lp_sigint_exit(void);

#endif
