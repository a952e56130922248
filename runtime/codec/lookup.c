/* lookup.c - modules are required, functions looked up in them once. */
#include "codec/lookup.h"

#include <lauxlib.h>
#include <string.h>

int lp_lookup_set_paths(lua_State *L, lp_decoder *D, uint32_t number)
{
    int top = lua_gettop(L);
    size_t length;

    if (!D->codec->config.worker || number == D->codec->set_paths) return LP_OK;
    const uint8_t *bytes =
        lp_library_find(D->codec->config.library, number, &length);
    if (!bytes || length < 2 || bytes[0] != LP_ENTRY_PATHS)
        return lp_decode_corrupt(D, "no such search paths");
    const uint8_t *cpath = memchr(bytes + 1, '\0', length - 1);
    if (!cpath) return lp_decode_corrupt(D, "no such search paths");

    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushliteral(L, "package");
    if (lua_rawget(L, top + 1) == LUA_TTABLE) {
        lua_pushliteral(L, "path");
        lua_pushstring(L, (const char *)bytes + 1);
        lua_rawset(L, top + 2);
        lua_pushliteral(L, "cpath");
        lua_pushlstring(L, (const char *)cpath + 1,
                        length - (size_t)(cpath + 1 - bytes));
        lua_rawset(L, top + 2);
    }
    D->codec->set_paths = number;
    lua_settop(L, top);
    return LP_OK;
}

/* Push the base function name, as this state has it. [-0, +1, m] */
static void push_base_function(lua_State *L, const lp_decoder *D,
                               const char *name, size_t length)
{
    lua_pushglobaltable(L);
    lua_pushlstring(L, name, length);
    lua_rawget(L, -2);
    if (!lua_iscfunction(L, -1)) { /* a task has replaced it */
        lp_context_slot(L, D->base + LP_INPUT_CONTEXT, LP_SLOT_STANDARD);
        lua_pushlstring(L, name, length);
        lua_rawget(L, -2);
    }
}

/* Push the module name. [-0, +1, e] */
static int push_module(lua_State *L, lp_decoder *D, const char *name,
                       size_t length)
{
    int top = lua_gettop(L);

    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushlstring(L, name, length);
    if (lua_rawget(L, top + 1) != LUA_TNIL) {
        lua_replace(L, top + 1);
        return LP_OK;
    }
    lua_settop(L, top);
    push_base_function(L, D, "require", 7);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    lua_pushlstring(L, name, length);
    lua_pushfstring(L, "cannot require '%s' here: ", lua_tostring(L, -1));
    const char *what = lua_tostring(L, -1);
    lua_insert(L, top + 1); /* stays there while the text is needed */
    int status = lp_decode_call(L, D, 1, what);
    lua_remove(L, top + 1);
    return status;
}

/* Push the field of the value at the top, by raw access, or nil. [-1, +1] */
static void push_field(lua_State *L, const char *name, size_t length)
{
    if (lua_istable(L, -1)) {
        lua_pushlstring(L, name, length);
        lua_rawget(L, -2);
    } else {
        lua_pushnil(L);
    }
    lua_remove(L, -2);
}

/* Push the C function that path means. [-0, +1, e] */
static int push_function(lua_State *L, lp_decoder *D, const char *path,
                         size_t length)
{
    int top = lua_gettop(L);
    const char *end = path + length;
    size_t part = strnlen(path, length);
    const char *module = path;

    if (part < length && strcmp(path, "_G") == 0) {
        push_base_function(L, D, path + part + 1, length - part - 1);
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
    } else {
        int status = push_module(L, D, path, part);
        if (status != LP_OK) return status;
        while (path + part < end) {
            path += part + 1;
            part = strnlen(path, (size_t)(end - path));
            push_field(L, path, part);
        }
    }
    if (lua_isfunction(L, -1)) return LP_OK;
    lua_pushlstring(L, path, part);
    lua_pushlstring(L, module, strnlen(module, length));
    lua_pushfstring(L, "no function '%s' in module '%s' here",
                    lua_tostring(L, -2), lua_tostring(L, -1));
    return LP_FAILED;
}

/* Push the C function that path means, if that is known. [-0, +1, m] */
static int find_function(lua_State *L, lp_decoder *D, const char *path,
                         size_t length)
{
    int top = lua_gettop(L);

    lp_context_slot(L, D->base + LP_INPUT_CONTEXT, LP_SLOT_VALUES);
    lua_pushlstring(L, path, length);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, top + 1) == LUA_TNIL) {
        lua_pop(L, 1);
        int status = push_function(L, D, path, length);
        if (status != LP_OK) return status;
        lua_pushvalue(L, top + 2);
        lua_pushvalue(L, top + 3);
        lua_rawset(L, top + 1);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return LP_OK;
}

int lp_lookup_decode(lua_State *L, lp_decoder *D, lp_tag tag)
{
    uint32_t number = ++D->numbered;
    uint16_t length;
    int status = lp_decode_bytes(D, &length, sizeof(length));

    if (status != LP_OK) return status;
    if (lp_decode_left(D) < length)
        return lp_decode_corrupt(D, "a name that is too long");
    const char *path = (const char *)D->at;
    D->at += length;
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    status = tag == LP_TAG_MODULE ? push_module(L, D, path, length)
                                  : find_function(L, D, path, length);
    if (status == LP_OK) lp_decode_number(L, D, number);
    return status;
}
