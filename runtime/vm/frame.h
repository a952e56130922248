/*
 * frame.h - what a frame of Lua's call stack is at, by addresses.
 *
 * To find out a line takes lua_getinfo longer than all else that a submit
 * does in Lua. But while the function is alive, the same instruction of it is
 * on the same line; and where a frame has both addresses can be known.
 */
#ifndef LP_VM_FRAME_H
#define LP_VM_FRAME_H

#include <lua.h>
#include <stdbool.h>

typedef struct lp_frame {
    const void *function;    /* as lua_topointer says; not so for a light C
                                function, which has no such address */
    const void *instruction; /* makes sense for a function in Lua */
} lp_frame;

/* Whether this Lua's frames are as we read them: tries it out, once. */
bool lp_frame_can_read(void);

/* Read the frame that lua_getstack found; only if that can be done. */
lp_frame lp_frame_read(const lua_Debug *found);

#endif
