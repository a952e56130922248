/*
 * vm.h - the struct of a state, for the files of vm.
 *
 * The state's stack holds, from the bottom: the message handler, the
 * function that runs a call, the one that runs items, the one that encodes a
 * failure, and the function of the map in progress. They are pushed once.
 */
#ifndef LP_VM_VM_H
#define LP_VM_VM_H

#include "base/slabs.h"
#include "base/stop.h"
#include "codec/codec.h"
#include "vm/heap.h"
#include "vm/items.h"
#include "vm/state.h"

#include <lauxlib.h>
#include <lua.h>

enum {
    LP_AT_HANDLER = 1,
    LP_AT_CALL,
    LP_AT_ITEMS,
    LP_AT_FAILURE,
    LP_AT_FUNCTION,
    LP_AT_TOP = LP_AT_FUNCTION
};

struct lp_state {
    lua_State *L;
    lp_slabs *slabs;           /* its memory; NULL if it has none */
    lp_codec *codec;           /* of L; NULL if it has none */
    const lp_memory *outcomes; /* where large ones go; NULL: the heap */
    lp_buffer buffer;          /* the outcome of the last call */
    char text[512];            /* what went wrong, for people */
    bool exited;               /* os.exit was called in this call */
    bool has_exited;           /* or in one before */
    bool has_allocator;        /* of the host's own */
    lp_stop *stop;             /* how others stop it; NULL: they cannot */
    lp_engine engine;
    void *self;       /* the engine's */
    bool engaged;     /* the engine is open */
    lua_State *asked; /* a coroutine with a hook that will show its stack */
    lua_Hook hook;    /* the one it had before */
    int hook_mask;
    int hook_count;
    int exit_code;
    int traceback; /* reference of the last error's traceback */
    bool has_told; /* the engine has set it for the error it raises */
    lp_heap heap;
    bool full; /* see lp_state_is_full */

    lp_items_source source; /* of the items in progress */
    const uint8_t *item;    /* the item in progress */
    uint32_t failed_item;   /* the number of the last that failed */
    const uint8_t *cursor;  /* the next item of it */
    uint32_t first;         /* number of the first item since begin */
    uint32_t next;          /* that of the next */
    uint32_t end;
    uint64_t function; /* serial of the map whose function is kept */
    uint32_t form;     /* of the results */
    uint32_t items_failed;
    uint32_t items_cancelled;
    lp_buffer results;
    lp_memory eager; /* the outcomes' memory, for results of all sizes */
    uint64_t moving; /* the place that was taken last there */
    size_t whole;    /* bytes of results that are complete */
};

/* state.c */

/* Take the error on top off the stack, as text. LP_FAILED. [-1, +0, m] */
int lp_state_take_error(lua_State *L, char *text, size_t size);

/*
 * A task, or some items, have ended: collect what one of them left behind
 * that had passed the limit. [-0, +0, -]
 */
void lp_state_reclaim(lp_state *state);

/* engine.c */

/* Have the engine opened for the state. [-0, +0, e] */
void lp_engine_open(lua_State *L, lp_state *state,
                    const lp_state_config *config);

/* Has the engine run the function and arguments that it is called with. */
int lp_engine_body(lua_State *L);

/* lua_call for all results, by the engine if that wants to. [-(nargs+1), +?, e]
 */
static inline void lp_engine_call(lua_State *L, const lp_state *state,
                                  int nargs)
{
    if (state->engine.execute) {
        lua_pushcfunction(L, lp_engine_body);
        lua_insert(L, -nargs - 2);
        nargs++;
    }
    lua_call(L, nargs, LUA_MULTRET);
}

/* exit.c */

/* Let what runs in the state be stopped from outside, if it can be. */
void lp_stop_open(lp_state *state);

/* Make os.exit end the task, whatever coroutine it is in. [-0, +0, e] */
void lp_exit_open(lua_State *L, lp_state *state);

/* Have the stopped task's coroutine L do nothing but unwind. */
void lp_stop_arm(void *L);

/* stack.c */

/* Let others see what runs in the state: what stop's ask is. */
void lp_stack_ask(struct lp_stop *stop);

/* failure.c */

/* Keep the value on top as the traceback of the error. [-1, +0, m] */
void lp_failure_keep_traceback(lua_State *L, lp_state *state);

/* The handler: keeps the traceback, and the value as it is. */
int lp_failure_handler(lua_State *L);

/*
 * Append what the failed call left on the stack to out, and take it off:
 * gives the ending. Used after lua_pcall has failed with status.
 */
lp_ending lp_failure_encode(lp_state *state, int status, lp_buffer *out);

/* Append a reason instead. */
lp_ending lp_failure_reason(lp_state *state, lp_cause cause, int number,
                            const char *text, lp_buffer *out);

/* The function kept at LP_AT_FAILURE. */
int lp_failure_body(lua_State *L);

/* call.c and items.c: the functions kept at LP_AT_CALL and LP_AT_ITEMS. */
int lp_call_body(lua_State *L);
int lp_items_body(lua_State *L);

/* Which state L's registry belongs to. */
lp_state *lp_state_of(lua_State *L);

#endif
