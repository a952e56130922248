/*
 * standard.h - what every Lua state has.
 */
#ifndef LP_CODEC_STANDARD_H
#define LP_CODEC_STANDARD_H

#include <lua.h>
#include <stdbool.h>

/* Whether name is a module of Lua itself; _G is one. */
bool lp_standard_is_module(const char *name);

/* Whether name is a global of the base library, or a standard module. */
bool lp_standard_is_global(const char *name);

/*
 * Record in the context at index the standard globals of this state, as far
 * as nobody has put something else there. [-0, +0, m]
 */
void lp_standard_record(lua_State *L, int context);

#endif
