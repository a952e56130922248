/*
 * chunk.h - runs pieces of Lua: the script, a string, a library.
 *
 * The functions that return bool report an error to stderr, with tracebacks,
 * and return false; if it came of Ctrl-C they end the program instead.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_CHUNK_H
#define LP_CLI_CHUNK_H

#include <lua.h>
#include <stdbool.h>

/* Run a string; name is its chunk name. [-0, +0, e] */
bool lp_chunk_string(lua_State *L, const char *text, const char *name);

/* Run a file; NULL is the standard input. [-0, +0, e] */
bool lp_chunk_file(lua_State *L, const char *path);

/*
 * Run a file with the strings of the global table 'arg' as arguments; NULL
 * is the standard input. [-0, +0, e]
 */
bool lp_chunk_script(lua_State *L, const char *path);

/* Do what -l says: "module", or "global=module". [-0, +0, e] */
bool lp_chunk_library(lua_State *L, const char *spec);

/*
 * For interactive use: call the function below its arguments, as lua_pcall
 * does, under Ctrl-C. Errors come back as a message with tracebacks.
 * [-(arguments + 1), +results or 1]
 */
int lp_chunk_call(lua_State *L, int arguments, int results);

/* Print the message on top and pop it; prefix may be NULL. [-1, +0] */
void lp_chunk_report(lua_State *L, const char *prefix);

/* Wait for the work that was submitted; false after an error. */
bool lp_chunk_finish(lua_State *L);

#endif
