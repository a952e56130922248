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
 * In builds for tests each block is malloc's, so that sanitizers see it.
 */
lua_State *lp_blank_open(const lp_allocator *allocator, lp_slabs **slabs);

/* The slabs of a state, before anything stands in front of them; or NULL. */
lp_slabs *lp_blank_slabs(lua_State *L);

/* As lua_close; then the slabs go. */
void lp_blank_close(lua_State *L, lp_slabs *slabs);

#endif
