/*
 * blank.h - a new Lua state, with nothing in it yet.
 */
#ifndef LP_VM_BLANK_H
#define LP_VM_BLANK_H

#include "base/alloc.h"
#include "base/slabs.h"

#include <lua.h>

/*
 * As luaL_newstate, with the memory of a host's own allocator, or else slabs
 * of its own; *slabs is NULL if it has none. NULL: no memory.
 *
 * Builds for tests use malloc, so that sanitizers see each block.
 */
lua_State *lp_blank_open(const lp_allocator *allocator, lp_slabs **slabs);

/* As lua_close; then the slabs go. */
void lp_blank_close(lua_State *L, lp_slabs *slabs);

#endif
