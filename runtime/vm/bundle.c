/*
 * bundle.c - looks modules up in the table that runtime/tools/bundle_lua.c
 * writes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "vm/bundle.h"

#include "base/status.h"
#include "vm/bundle_data.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *override_folder(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV"); /* set by `lpool -E` */
    bool ignored = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (ignored) return NULL;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment. */
    const char *folder = getenv("LPOOL_LUA_DIR");
    return folder && *folder ? folder : NULL;
}

/* Push the path of the file of a module, or nil if there is none. [-0, +1] */
static void push_override(lua_State *L, const char *name)
{
    static const char *const forms[] = {"%s/%s.lua", "%s/%s/init.lua"};
    const char *folder = override_folder(L);

    for (size_t i = 0; folder && i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *stem = luaL_gsub(L, name, ".", "/");
        const char *path = lua_pushfstring(L, forms[i], folder, stem);
        lua_remove(L, -2);
        if (access(path, R_OK) == 0) return;
        lua_pop(L, 1);
    }
    lua_pushnil(L);
}

const lp_bundle_module *lp_bundle_list(void)
{
    return lp_bundle_modules;
}

const lp_bundle_module *lp_bundle_find(const char *name)
{
    const lp_bundle_module *module = lp_bundle_modules;

    while (module->name && strcmp(module->name, name) != 0)
        module++;
    return module->name ? module : NULL;
}

int lp_bundle_load(lua_State *L, const char *name)
{
    int status;

    push_override(L, name);
    if (!lua_isnil(L, -1)) {
        status = luaL_loadfile(L, lua_tostring(L, -1));
    } else {
        const lp_bundle_module *module = lp_bundle_find(name);
        if (!module) {
            lua_pop(L, 1);
            lua_pushfstring(L, "no module '%s' in lpool", name);
            return LP_INVALID;
        }
        status = luaL_loadbufferx(L, (const char *)module->bytes,
                                  module->length, module->name, "b");
    }
    lua_remove(L, -2); /* the path, or nil */
    return status == LUA_OK ? LP_OK : LP_FAILED;
}
