/* modules.c - what a state needs to use lpool from Lua. */
#include "api/api.h"
#include "vm/blank.h"
#include "vm/bundle.h"
#include "vm/console.h"

lua_State *lpool_newstate(void)
{
    lp_slabs *slabs;
    return lp_blank_open(NULL, &slabs); /* the state knows them */
}

void lpool_closestate(lua_State *L)
{
    if (L) lp_blank_close(L, lp_blank_slabs(L));
}

/* The loader of a module that is compiled in; its name is the upvalue. */
static int load_bundled(lua_State *L)
{
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    lua_settop(L, 1);
    if (lp_bundle_load(L, name) != 0) return lua_error(L);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

void lpool_open_modules(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (const lp_bundle_module *module = lp_bundle_list(); module->name;
         module++) {
        lua_pushstring(L, module->name);
        lua_pushcclosure(L, load_bundled, 1);
        lua_setfield(L, -2, module->name);
    }
    lua_pop(L, 1);
}

void lpool_open_console(lua_State *L)
{
    lp_console_open(L);
}
