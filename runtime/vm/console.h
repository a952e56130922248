/*
 * console.h - print and io.write that never tear a line.
 *
 * The originals make several writes, between which another thread's may
 * fall. These take the stream's own lock for all of one call.
 */
#ifndef LP_VM_CONSOLE_H
#define LP_VM_CONSOLE_H

struct lua_State;

/* Replace print, io.write and the write method of files. [-0, +0, e] */
void lp_console_open(struct lua_State *L);

#endif
