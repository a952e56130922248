/*
 * names.c - a map from values to paths, made by looking through all modules.
 *
 * LP_SLOT_NAMES grows as modules are met; a module is looked through once,
 * and again when a C function is found nowhere. Where a value has several
 * paths, the best one wins, whatever order the modules come in.
 */
#include "codec/names.h"

#include "codec/culprit.h"
#include "codec/standard.h"

#include <lauxlib.h>
#include <string.h>

static bool is_own_module(const char *name)
{
    return strncmp(name, "lpool", 5) == 0 &&
           (name[5] == '\0' || name[5] == '.');
}

/*
 * Whether package.searchpath finds name by the field of the package table at
 * index. [-0, +0, m]
 */
static bool is_on_path(lua_State *L, int package, const char *field,
                       const char *name)
{
    lua_pushliteral(L, "searchpath");
    lua_rawget(L, package);
    lua_pushstring(L, name);
    lua_pushstring(L, field);
    lua_rawget(L, package);
    bool found = lua_pcall(L, 2, 1, 0) == LUA_OK && !lua_isnil(L, -1);
    lua_pop(L, 1);
    return found;
}

/* Whether a loader in C waits for name in package.preload. [-0, +0, m] */
static bool is_preloaded(lua_State *L, int package, const char *name)
{
    bool found = false;

    lua_pushliteral(L, "preload");
    if (lua_rawget(L, package) == LUA_TTABLE) {
        lua_pushstring(L, name);
        lua_rawget(L, -2);
        found = lua_iscfunction(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return found;
}

/* Whether other states can require name. [-0, +0, m] */
static bool can_be_required(lua_State *L, const char *name)
{
    if (lp_standard_is_module(name) || is_own_module(name)) return true;

    int top = lua_gettop(L);
    const char *dot = strchr(name, '.');
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushliteral(L, "package");
    bool found = false;
    if (lua_rawget(L, top + 1) == LUA_TTABLE) {
        found = is_preloaded(L, top + 2, name) ||
                is_on_path(L, top + 2, "path", name) ||
                is_on_path(L, top + 2, "cpath", name);
        if (!found && dot) { /* a part of one big C library */
            lua_pushlstring(L, name, (size_t)(dot - name));
            found = is_on_path(L, top + 2, "cpath", lua_tostring(L, -1));
        }
    }
    lua_settop(L, top);
    return found;
}

/* How good a path is: smaller is better. */
static unsigned long rank(const char *path, size_t length)
{
    unsigned long fields = 0;

    for (size_t i = 0; i < length; i++)
        if (path[i] == '\0') fields++;
    unsigned long origin = 1000000;
    if (lp_standard_is_module(path)) {
        origin = 0;
    } else if (strcmp(path, "lpool.core") == 0) {
        origin = 500000; /* cheaper to require than all of lpool */
    }
    return origin + fields * 10000 + (unsigned long)length;
}

/* Whether the path at index a is better than the one at b. */
static bool is_better(lua_State *L, int a, int b)
{
    size_t length_a;
    size_t length_b;
    const char *path_a = lua_tolstring(L, a, &length_a);
    const char *path_b = lua_tolstring(L, b, &length_b);
    unsigned long rank_a = rank(path_a, length_a);
    unsigned long rank_b = rank(path_b, length_b);

    if (rank_a != rank_b) return rank_a < rank_b;
    if (length_a != length_b) return length_a < length_b;
    return memcmp(path_a, path_b, length_a) < 0;
}

/*
 * Let the value at the top have the path below it, unless the table at names
 * knows a better one. [-2, +0, m]
 */
static void consider(lua_State *L, int names)
{
    int top = lua_gettop(L);

    lua_pushvalue(L, top);
    if (lua_rawget(L, names) != LUA_TSTRING || is_better(L, top - 1, top + 1)) {
        lua_pushvalue(L, top);
        lua_pushvalue(L, top - 1);
        lua_rawset(L, names);
    }
    lua_settop(L, top - 2);
}

/*
 * Whether the field of the table at top that is above it is worth a path. In
 * the globals (base), only what every state has is. [-0, +0, -]
 */
static bool is_wanted(lua_State *L, int top, bool base, bool deep)
{
    size_t length;

    if (!lua_iscfunction(L, top + 2) &&
        (!deep || base || !lua_istable(L, top + 2)))
        return false;
    if (lua_type(L, top + 1) != LUA_TSTRING) return false;
    const char *name = lua_tolstring(L, top + 1, &length);
    if (strlen(name) != length) return false;
    return !base || lp_standard_is_global(name);
}

/*
 * Give paths to the C functions in the table at top, whose own path is right
 * below it, and in tables therein if deep. [-0, +0, m]
 */
/* NOLINTNEXTLINE(misc-no-recursion): two levels */
static void look_through(lua_State *L, int names, int top, bool deep)
{
    bool base = strcmp(lua_tostring(L, top - 1), "_G") == 0;

    lua_pushnil(L);
    while (lua_next(L, top)) {
        if (!is_wanted(L, top, base, deep)) {
            lua_settop(L, top + 1);
            continue;
        }
        lua_pushvalue(L, top - 1);
        lua_pushlstring(L, "", 1);
        lua_pushvalue(L, top + 1);
        lua_concat(L, 3);
        lua_insert(L, -2);
        if (lua_iscfunction(L, top + 3)) {
            consider(L, names);
        } else {
            look_through(L, names, top + 3, false);
        }
        lua_settop(L, top + 1);
    }
}

/* Give paths to the module at top, its name below it, and what it has. */
static void add_module(lua_State *L, lp_codec *codec, int names, int top)
{
    bool usable = can_be_required(L, lua_tostring(L, top - 1));

    if (!usable) {
        lua_pushvalue(L, top);
        if (lua_rawget(L, names) == LUA_TNIL) {
            lua_pushvalue(L, top);
            lua_pushboolean(L, false);
            lua_rawset(L, names);
        }
        lua_settop(L, top);
        return;
    }
    if (lua_istable(L, top)) {
        lp_context_mark(codec, lua_topointer(L, top));
        look_through(L, names, top, true);
    }
    lua_pushvalue(L, top - 1);
    lua_pushvalue(L, top);
    consider(L, names);
}

/* Which modules a scan is for. */
typedef enum extent { NEW_MODULES, ALL_MODULES, ONE_MODULE } extent;

/*
 * Go through package.loaded, for modules that have no path yet, for all, or
 * for the one at an address. [-0, +0, m]
 */
static void scan(lua_State *L, lp_encoder *E, extent which, const void *one)
{
    int top = lua_gettop(L);
    int names = top + 1;

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_NAMES);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    for (; lua_next(L, top + 2); lua_settop(L, top + 3)) {
        size_t length;
        if (which == ONE_MODULE && lua_topointer(L, top + 4) != one) continue;
        if (!lua_istable(L, top + 4) && !lua_iscfunction(L, top + 4)) continue;
        if (lua_type(L, top + 3) != LUA_TSTRING ||
            strlen(lua_tolstring(L, top + 3, &length)) != length) {
            continue;
        }
        lua_pushvalue(L, top + 4);
        bool known = lua_rawget(L, names) != LUA_TNIL;
        lua_settop(L, top + 4);
        if (known && which == NEW_MODULES) continue;
        add_module(L, E->codec, names, top + 4);
    }
    lua_settop(L, top);
}

/* Push what LP_SLOT_NAMES has for the value at index. [-0, +1, -] */
static int push_name(lua_State *L, const lp_encoder *E, int index)
{
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_NAMES);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return lua_type(L, -1);
}

/* Find out whether the table at index is a module, unless that is known. */
static int look_up(lua_State *L, lp_encoder *E, int index)
{
    if (push_name(L, E, index) != LUA_TNIL) return lua_type(L, -1);

    lua_pop(L, 1);
    scan(L, E, ONE_MODULE, lua_topointer(L, index));
    if (push_name(L, E, index) != LUA_TNIL) return lua_type(L, -1);
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_NAMES);
    lua_pushvalue(L, index);
    lua_pushboolean(L, false);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return LUA_TNIL;
}

bool lp_names_push_module(lua_State *L, lp_encoder *E, int index)
{
    int top = lua_gettop(L);
    bool loaded = false;

    if (look_up(L, E, index) == LUA_TSTRING) {
        lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
        lua_pushvalue(L, top + 1);
        lua_rawget(L, -2);
        loaded = lua_rawequal(L, -1, index);
    }
    lua_settop(L, loaded ? top + 1 : top);
    return loaded;
}

void lp_names_notice(lua_State *L, lp_encoder *E, int index)
{
    if (!lua_istable(L, index)) return;
    if (lua_topointer(L, index) == E->codec->globals) return;
    (void)look_up(L, E, index); /* it marks what it finds */
    lua_pop(L, 1);
}

/*
 * Give paths to the base functions that this state began with: the script may
 * have put its own in their place, which call them. [-0, +0, m]
 */
static void add_originals(lua_State *L, const lp_encoder *E)
{
    int top = lua_gettop(L);

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_NAMES);
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_STANDARD);
    lua_pushnil(L);
    for (; lua_next(L, top + 2); lua_settop(L, top + 3)) {
        if (!lua_iscfunction(L, top + 4)) continue;
        lua_pushlstring(L, "_G", 3); /* with its zero byte */
        lua_pushvalue(L, top + 3);
        lua_concat(L, 2);
        lua_pushvalue(L, top + 4);
        consider(L, top + 1);
    }
    lua_settop(L, top);
}

bool lp_names_push_path(lua_State *L, lp_encoder *E, int index)
{
    for (int i = 0; i < 3; i++) {
        if (push_name(L, E, index) == LUA_TSTRING) return true;
        lua_pop(L, 1);
        if (i == 0) add_originals(L, E);
        if (i < 2) scan(L, E, i == 0 ? NEW_MODULES : ALL_MODULES, NULL);
    }
    return false;
}

bool lp_names_is_base(lua_State *L, const char *name, size_t length)
{
    size_t have;
    const char *path = lua_tolstring(L, -1, &have);

    return have == length + 3 && memcmp(path, "_G", 3) == 0 &&
           memcmp(path + 3, name, length) == 0;
}

int lp_names_put(lua_State *L, lp_encoder *E, lp_tag tag, int path)
{
    size_t length;
    const char *text = lua_tolstring(L, path, &length);
    uint16_t size = (uint16_t)length;

    if (length > UINT16_MAX) return lp_culprit_blame(E, "a name too long", "");
    if (!lp_standard_is_module(text) && !is_own_module(text))
        E->needs_paths = true;
    uint8_t *at = lp_encoder_room(E, 1 + sizeof(size) + length);
    if (!at) return LP_NOMEM;
    at[0] = (uint8_t)tag;
    memcpy(at + 1, &size, sizeof(size));
    memcpy(at + 1 + sizeof(size), text, length);
    E->out->length += 1 + sizeof(size) + length;
    return LP_OK;
}

/* Push a string field of package, or an empty string. [-0, +1, m] */
static const char *push_path(lua_State *L, const char *field, size_t *length)
{
    int top = lua_gettop(L);

    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushliteral(L, "package");
    lua_rawget(L, top + 1);
    lua_pushliteral(L, "");
    if (lua_istable(L, top + 2)) {
        lua_pushstring(L, field);
        if (lua_rawget(L, top + 2) != LUA_TSTRING) lua_pop(L, 1);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return lua_tolstring(L, top + 1, length);
}

/* Whether the strings at the top two slots were kept last. [-0, +0, -] */
static bool are_kept(lua_State *L, int slot, int top)
{
    lua_rawgeti(L, slot, 1);
    lua_rawgeti(L, slot, 2);
    bool same = lua_rawequal(L, -2, top + 1) && lua_rawequal(L, -1, top + 2);
    lua_pop(L, 2);
    return same;
}

int lp_names_keep_paths(lua_State *L, lp_encoder *E, uint32_t *number)
{
    const uint8_t kind = LP_ENTRY_PATHS;
    int top = lua_gettop(L);
    size_t length;
    size_t clength;
    const char *path = push_path(L, "path", &length);
    const char *cpath = push_path(L, "cpath", &clength);

    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_PATHS);
    if (!are_kept(L, top + 3, top)) {
        E->entry.length = 0;
        if (lp_buffer_append(&E->entry, &kind, sizeof(kind)) != 0 ||
            lp_buffer_append(&E->entry, path, length + 1) != 0 ||
            lp_buffer_append(&E->entry, cpath, clength) != 0)
            return LP_NOMEM;
        int status = lp_library_keep(E->codec->config.library, E->entry.bytes,
                                     E->entry.length, &E->codec->kept_paths);
        if (status == LP_INVALID)
            return lp_culprit_blame(E, "one search path more than fits", "");
        if (status != LP_OK) return status;
        for (int i = 1; i <= 2; i++) {
            lua_pushvalue(L, top + i);
            lua_rawseti(L, top + 3, i);
        }
    }
    *number = E->codec->kept_paths;
    lua_settop(L, top);
    return LP_OK;
}
