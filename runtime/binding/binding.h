/*
 * binding.h - what the files of the Lua module lpool.core share.
 */
#ifndef LP_BINDING_H
#define LP_BINDING_H

#include "lpool.h"

#include <lauxlib.h>
#include <lua.h>

/* ---- check.c: arguments and errors ---- */

/* The executor or future at index; misuse raises at the caller's line. */
lpool_executor *lp_check_executor(lua_State *L, int index);
lpool_future *lp_check_future(lua_State *L, int index);

/*
 * Seconds at index as nanoseconds: -1 for none, nil or infinity; never less
 * than 0 otherwise. Only numbers will do.
 */
int64_t lp_check_timeout(lua_State *L, int index);

/* What the view of an executor at index says of its submits; or NULL. */
const lpool_task_options *lp_options_of(lua_State *L, int index);

/* A function or a callable object. */
void lp_check_callable(lua_State *L, int index);

/* Raise an error object. The message is formatted as by lua_pushfstring. */
int lp_raise(lua_State *L, const char *kind, const char *format, ...);

/*
 * Raise what status means for executor; for LPOOL_EUNSENDABLE the text is on
 * top of the stack.
 */
int lp_raise_status(lua_State *L, int status, lpool_executor *executor);

/* Raise the error below the traceback on top, and remember where from. */
int lp_raise_failure(lua_State *L);

/* Seconds of a timeout, for messages. */
double lp_seconds(int64_t nanoseconds);

/* Make a metatable of this name with these metamethods, and push it. */
void lp_new_type(lua_State *L, const char *name, const luaL_Reg *metamethods);

/* ---- check.c: shared objects ---- */

/* The object of this kind at index; misuse raises at the caller's line. */
lpool_object *lp_check_object(lua_State *L, int index, lpool_object_kind kind);

/*
 * Push the metatable of a kind of objects, and its methods. It is put into
 * the registry when it is complete.
 */
void lp_open_object(lua_State *L, const luaL_Reg *metamethods,
                    const luaL_Reg *methods);

/* Push an object that was just made, whose reference is given; or raise. */
int lp_push_new_object(lua_State *L, int status, lpool_object *object);

/* The finalizer of all of them. */
int lp_object_gc(lua_State *L);

/* Make the metatables of each kind: [-0, +0, e]. */
void lp_open_channels(lua_State *L);
void lp_open_counters(lua_State *L);
void lp_open_dicts(lua_State *L);
void lp_open_buffers(lua_State *L);

/* lpool.channel, lpool.counter, ... */
int lp_new_channel(lua_State *L);
int lp_new_counter(lua_State *L);
int lp_new_dict(lua_State *L);
int lp_new_buffer(lua_State *L);

/* ---- each adds its part to the module, which is on top: [-0, +0, e] ---- */

void lp_open_futures(lua_State *L);
void lp_open_executors(lua_State *L);
void lp_open_results(lua_State *L);
void lp_open_waiters(lua_State *L);

#endif
