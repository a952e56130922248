/*
 * repl.c - the loop of interactive mode, by lua's rules.
 *
 * A line is tried first as an expression, with "return " before it; if that
 * does not compile, as a statement, to which lines are added for as long as
 * the compiler says that the text ends too early.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/repl.h"

#include "cli/chunk.h"
#include "cli/line.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The value of a global as a string, or a default. [-0, +1, e] */
static const char *push_prompt(lua_State *L, const char *global,
                               const char *fallback)
{
    if (lua_getglobal(L, global) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushstring(L, fallback);
    }
    const char *prompt = luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    return prompt;
}

/* Read a line and push it, or nil at the end of the input. [-0, +1, e] */
static bool push_line(lua_State *L, const lp_line_reader *reader,
                      bool continues)
{
    const char *prompt = continues ? push_prompt(L, "_PROMPT2", ">> ")
                                   : push_prompt(L, "_PROMPT", "> ");
    lp_line_push(reader, L, prompt);
    lua_remove(L, -2);
    return !lua_isnil(L, -1);
}

static int load(lua_State *L, const char *text)
{
    return luaL_loadbuffer(L, text, strlen(text), "=stdin");
}

/* Try the line at index 1 as an expression. [-0, +0 or 1, m] */
static bool load_expression(lua_State *L)
{
    const char *line = lua_tostring(L, 1);
    /* "=expression" is how Lua 5.1 asked for a value. */
    const char *text = lua_pushfstring(L, "return %s", line + (*line == '='));

    if (load(L, text) == LUA_OK) {
        lua_remove(L, -2);
        return true;
    }
    lua_pop(L, 2);
    return false;
}

/* Whether the message on top says that the text ends too early. */
static bool is_incomplete(lua_State *L, int status)
{
    static const char mark[] = "<eof>";
    size_t length;

    if (status != LUA_ERRSYNTAX) return false;
    const char *message = lua_tolstring(L, -1, &length);
    return length >= strlen(mark) &&
           strcmp(message + length - strlen(mark), mark) == 0;
}

/* Load the statement that begins with the line at index 1. [-0, +1, e] */
static int load_statement(lua_State *L, const lp_line_reader *reader)
{
    for (;;) {
        int status = load(L, lua_tostring(L, 1));
        if (!is_incomplete(L, status) || !push_line(L, reader, true)) {
            lua_settop(L, 2); /* the chunk or the message, without the nil */
            return status;
        }
        lua_pushfstring(L, "%s\n%s", lua_tostring(L, 1), lua_tostring(L, -1));
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
}

/*
 * Read a chunk and leave it, or the message why it cannot be, alone on the
 * stack. False at the end of the input. [-n, +1, e]
 */
static bool read_chunk(lua_State *L, const lp_line_reader *reader, int *status)
{
    lua_settop(L, 0);
    if (!push_line(L, reader, false)) return false;
    *status = LUA_OK;
    if (!load_expression(L)) *status = load_statement(L, reader);
    lp_line_remember(reader, lua_tostring(L, 1));
    lua_remove(L, 1);
    return true;
}

/* Print all values on the stack through the global print. [-n, +0] */
static void print_values(lua_State *L)
{
    int count = lua_gettop(L);

    if (count == 0) return;
    luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
    lua_getglobal(L, "print");
    lua_insert(L, 1);
    if (lua_pcall(L, count, 0, 0) == LUA_OK) return;
    lua_pushfstring(L, "error calling 'print' (%s)", lua_tostring(L, -1));
    lp_chunk_report(L, NULL);
}

void lp_repl_run(lua_State *L)
{
    lp_line_reader reader;
    int status;

    lp_line_open(&reader);
    while (read_chunk(L, &reader, &status)) {
        if (status == LUA_OK) status = lp_chunk_call(L, 0, LUA_MULTRET);
        if (status == LUA_OK) {
            print_values(L);
        } else {
            lp_chunk_report(L, NULL);
        }
    }
    lua_settop(L, 0);
    puts("");
}
