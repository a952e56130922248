/*
 * native.h - C functions of the host as tasks.
 *
 * A C function and its pointer travel as a handle, which is a callable
 * userdata in Lua states on both sides.
 */
#ifndef LP_API_NATIVE_H
#define LP_API_NATIVE_H

#include "base/buffer.h"

#include <lua.h>

extern const struct lp_handle_kind lp_native_handle;

/* The handle of the native at index; false if it is none. Borrowed. */
bool lp_native_check(lua_State *L, int index, lp_handle *handle);

/* Push a userdata for the native, which is retained. [-0, +1, m] */
void lp_native_push(lua_State *L, void *native);

#endif
