/* blank.c - what luaL_newstate does, but for where the memory comes from. */
#include "vm/blank.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Warnings, as those of luaL_newstate: the function says what the state is. */
static void warn_off(void *L, const char *message, int continues);
static void warn_on(void *L, const char *message, int continues);

/* Whether a message is for us: "@on" and "@off" are. */
static int is_control(lua_State *L, const char *message, int continues)
{
    if (continues || message[0] != '@') return 0;
    if (strcmp(message, "@off") == 0) lua_setwarnf(L, warn_off, L);
    if (strcmp(message, "@on") == 0) lua_setwarnf(L, warn_on, L);
    return 1;
}

static void warn_off(void *L, const char *message, int continues)
{
    (void)is_control(L, message, continues);
}

/* Put out the rest of a warning that has begun. */
static void warn_on_with(void *L, const char *message, int continues)
{
    fprintf(stderr, "%s%s", message, continues ? "" : "\n");
    lua_setwarnf(L, continues ? warn_on_with : warn_on, L);
}

static void warn_on(void *L, const char *message, int continues)
{
    if (is_control(L, message, continues)) return;
    fputs("Lua warning: ", stderr);
    warn_on_with(L, message, continues);
}

/* An error outside of any protected call: Lua ends the program after it. */
static int panic(lua_State *L)
{
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n",
            message ? message : "error object is not a string");
    return 0;
}

#ifdef LP_DEBUG
#    define ALLOCATE lp_slabs_allocate_apart
#else
#    define ALLOCATE lp_slabs_allocate
#endif

lua_State *lp_blank_open(const lp_allocator *allocator, lp_slabs **slabs)
{
    lua_State *L;
    *slabs = NULL;
    if (lp_allocator_is_own(allocator)) {
        L = lua_newstate(allocator->allocate, allocator->context);
    } else {
        *slabs = lp_slabs_new();
        L = *slabs ? lua_newstate(ALLOCATE, *slabs) : NULL;
    }
    if (!L) {
        lp_slabs_free(*slabs);
        return NULL;
    }
    lua_atpanic(L, panic);
    lua_setwarnf(L, warn_off, L);
    return L;
}

lp_slabs *lp_blank_slabs(lua_State *L)
{
    void *slabs;
    return lua_getallocf(L, &slabs) == ALLOCATE ? slabs : NULL;
}

void lp_blank_close(lua_State *L, lp_slabs *slabs)
{
    if (slabs) lp_slabs_keep(slabs);
    lua_close(L);
    lp_slabs_free(slabs);
}
