/* standard.c - lists, because a state cannot tell what was its own once. */
#include "codec/standard.h"

#include "codec/context.h"

#include <lauxlib.h>
#include <string.h>

static const char *const standard_modules[] = {
    "_G", "coroutine", "debug", "io",     "math",
    "os", "package",   "table", "string", "utf8",
};

/* Globals that every state has; _G itself travels as what it is. */
static const char *const standard_globals[] = {
    "_VERSION", "assert",       "collectgarbage", "coroutine", "debug",
    "dofile",   "error",        "getmetatable",   "io",        "ipairs",
    "load",     "loadfile",     "math",           "next",      "os",
    "package",  "pairs",        "pcall",          "print",     "rawequal",
    "rawget",   "rawlen",       "rawset",         "require",   "select",
    "string",   "setmetatable", "table",          "tonumber",  "tostring",
    "type",     "utf8",         "warn",           "xpcall",    "_G",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool is_among(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0) return true;
    return false;
}

bool lp_standard_is_module(const char *name)
{
    return is_among(name, standard_modules, COUNT(standard_modules));
}

bool lp_standard_is_global(const char *name)
{
    return is_among(name, standard_globals, COUNT(standard_globals));
}

/* Whether the value at the top is what a new state has under name. */
static bool is_as_in_new_state(lua_State *L, const char *name)
{
    if (lua_iscfunction(L, -1) || lua_type(L, -1) == LUA_TSTRING) return true;
    if (!lua_istable(L, -1)) return false;
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    bool same = lua_rawequal(L, -1, -3);
    lua_pop(L, 2);
    return same;
}

void lp_standard_record(lua_State *L, int context)
{
    lp_context_slot(L, context, LP_SLOT_STANDARD);
    lua_pushglobaltable(L);
    for (size_t i = 0; i < COUNT(standard_globals); i++) {
        lua_pushstring(L, standard_globals[i]);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        if (is_as_in_new_state(L, standard_globals[i])) {
            lua_rawset(L, -4);
        } else {
            lua_pop(L, 2);
        }
    }
    lua_pop(L, 2);
}
