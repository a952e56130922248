/*
 * trace_option.h - the trace of a program, which ends with it, whichever way.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_TRACE_OPTION_H
#define LP_CLI_TRACE_OPTION_H

#include <lua.h>
#include <stdbool.h>

/* Trace what L does into a file. False: stderr says why not. [-0, +0, e] */
bool lp_trace_option_begin(lua_State *L, const char *path);

/* The program ends without closing the state. */
void lp_trace_option_end(void);

#endif
