/*
 * repl.h - interactive mode.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_REPL_H
#define LP_CLI_REPL_H

#include <lua.h>

/*
 * Read, run and print until the input ends. Expressions print their values,
 * statements may take several lines, errors are reported and forgotten.
 * Drops what the stack holds. [-n, +0, m]
 */
void lp_repl_run(lua_State *L);

#endif
