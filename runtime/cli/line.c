/*
 * line.c - readline if it can be had, else the standard input.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/line.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void load_editor(lp_line_reader *reader, const char *library)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    if (!handle) return;
    /* ISO C knows no way from an object pointer to a function; POSIX does. */
    *(void **)&reader->read = dlsym(handle, "readline");
    *(void **)&reader->remember = dlsym(handle, "add_history");
    if (reader->read && reader->remember) return; /* stays loaded */
    memset(reader, 0, sizeof(*reader));
    dlclose(handle);
}

void lp_line_open(lp_line_reader *reader)
{
    static const char *const libraries[] = {"libreadline.so.8", "libedit.so.2",
                                            "libreadline.so"};
    size_t count = sizeof(libraries) / sizeof(libraries[0]);

    memset(reader, 0, sizeof(*reader));
    if (!isatty(STDIN_FILENO)) return;
    for (size_t i = 0; i < count && !reader->read; i++)
        load_editor(reader, libraries[i]);
}

/* Read from stdin into a buffer that the collector knows. [-0, +1, m] */
static void push_plain(lua_State *L, const char *prompt)
{
    luaL_Buffer buffer;
    int c;

    fputs(prompt, stdout);
    (void)fflush(stdout); /* A lost prompt is no reason to stop. */
    luaL_buffinit(L, &buffer);
    while ((c = getchar()) != EOF && c != '\n')
        luaL_addchar(&buffer, (char)c);
    luaL_pushresult(&buffer);
    if (c == EOF && lua_rawlen(L, -1) == 0) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

void lp_line_push(const lp_line_reader *reader, lua_State *L,
                  const char *prompt)
{
    if (!reader->read) {
        push_plain(L, prompt);
        return;
    }
    char *line = reader->read(prompt);
    lua_pushstring(L, line); /* NULL, the end, becomes nil */
    free(line);
}

void lp_line_remember(const lp_line_reader *reader, const char *line)
{
    if (reader->remember && *line) reader->remember(line);
}
