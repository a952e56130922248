/* console.c - one call, one locked stretch of output. */
#include "vm/console.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

/* Where liolib keeps the default output. */
#define DEFAULT_OUTPUT "_IO_output"

/* Write the strings at first to last with nothing of others between. */
static int write_strings(lua_State *L, FILE *file, int first, int last)
{
    int written = 1;
    flockfile(file);
    for (int i = first; i <= last; i++) {
        size_t length;
        const char *text = lua_tolstring(L, i, &length); /* is a string */
        if (fwrite_unlocked(text, 1, length, file) != length) written = 0;
    }
    funlockfile(file);
    return written;
}

/* Turn arguments first to last into strings; misuse raises. */
static void check_strings(lua_State *L, int first, int last)
{
    for (int i = first; i <= last; i++) {
        if (lua_type(L, i) == LUA_TNUMBER && !lua_isinteger(L, i)) {
            /* As liolib does it, "%.14g": without the ".0" of tostring. */
            lua_Number number = lua_tonumber(L, i);
            char text[64];
            int length = snprintf(text, sizeof(text), LUA_NUMBER_FMT, number);
            lua_pushlstring(L, text, (size_t)length);
            lua_replace(L, i);
        } else {
            luaL_checklstring(L, i, NULL); /* converts in place */
        }
    }
}

/* print(...) */
static int console_print(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer line;
    for (int i = 1; i <= count; i++) {
        luaL_tolstring(L, i, NULL);
        lua_replace(L, i);
    }
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1) luaL_addchar(&line, '\t');
        size_t length;
        const char *text = lua_tolstring(L, i, &length);
        luaL_addlstring(&line, text, length);
    }
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    write_strings(L, stdout, count + 1, count + 1);
    fflush(stdout);
    return 0;
}

static int write_to(lua_State *L, FILE *file, int first, int last)
{
    check_strings(L, first, last);
    errno = 0;
    if (write_strings(L, file, first, last)) return 1; /* the file is on top */
    return luaL_fileresult(L, 0, NULL);
}

/* io.write(...) */
static int console_write(lua_State *L)
{
    int count = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, DEFAULT_OUTPUT);
    luaL_Stream *stream = lua_touserdata(L, -1);
    if (!stream || !stream->closef)
        return luaL_error(L, "default output file is closed");
    return write_to(L, stream->f, 1, count);
}

/* file:write(...) */
static int file_write(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    if (!stream->closef) return luaL_error(L, "attempt to use a closed file");
    int count = lua_gettop(L);
    lua_pushvalue(L, 1);
    return write_to(L, stream->f, 2, count);
}

void lp_console_open(lua_State *L)
{
    lua_pushcfunction(L, console_print);
    lua_setglobal(L, "print");
    if (lua_getglobal(L, "io") == LUA_TTABLE) {
        lua_pushcfunction(L, console_write);
        lua_setfield(L, -2, "write");
    }
    lua_pop(L, 1);
    if (luaL_getmetatable(L, LUA_FILEHANDLE) == LUA_TTABLE &&
        lua_getfield(L, -1, "__index") == LUA_TTABLE) {
        lua_pushcfunction(L, file_write);
        lua_setfield(L, -2, "write");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}
