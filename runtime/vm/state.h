/*
 * state.h - one Lua state that can run tasks.
 *
 * A worker opens one, runs tasks in it with vm/call.h and vm/items.h, and
 * closes it. Only the thread that opened it uses it.
 */
#ifndef LP_VM_STATE_H
#define LP_VM_STATE_H

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/library.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lua_State;
struct lp_codec_config;

typedef struct lp_state lp_state;

/*
 * How a state runs the functions that it is given, if not by calling them:
 * see lpool_worker_kind. A null function is the default.
 */
typedef struct lp_engine {
    int (*open)(void *context, struct lua_State *L, unsigned index,
                void **self);
    int (*execute)(void *self, struct lua_State *L, int nargs);
    void (*interrupt)(void *self);
    void (*close)(void *self, struct lua_State *L);
    void *context; /* for open; self, if there is no open */
} lp_engine;

typedef struct lp_state_config {
    const lp_allocator *allocator; /* NULL: malloc */
    const struct lp_codec_config *codec;
    /* Adds what tasks may use besides the standard libraries. May raise. */
    void (*open)(struct lua_State *L, void *context);
    void *context;
    const lp_memory *outcomes; /* where large outcomes go; NULL: the heap */
    struct lp_stop *stop; /* how others stop what it runs; NULL: not at all */
    lp_engine engine;
    unsigned index; /* of the worker, for the engine */
} lp_state_config;

/*
 * A state with the standard libraries, where print and io.write put out
 * whole lines and os.exit ends the task. 0; LP_NOMEM; or LP_FAILED, with the
 * reason in text, which has room for size bytes.
 */
int lp_state_open(const lp_state_config *config, lp_state **state, char *text,
                  size_t size);

/* Runs the state's finalizers. NULL is allowed. */
void lp_state_close(lp_state *state);

/*
 * Close the engine, which lp_state_close does too, without a word. 0; or
 * LP_FAILED, and text as above, if it raised an error.
 */
int lp_state_close_engine(lp_state *state, char *text, size_t size);

/*
 * What it ran was stopped, and has ended: be ready for the next. Owner
 * thread, once no signal can be about it any more.
 */
void lp_state_recover(lp_state *state);

/*
 * If somebody has asked to see what the task in L's state runs, show it: for
 * waits, which run no Lua. [-0, +0, -]
 */
void lp_stack_show(struct lua_State *L);

/* Let the state's random numbers begin anew. */
void lp_state_seed(lp_state *state, uint64_t seed);

/*
 * Require modules, as a task would. bytes are strings that end with a zero:
 * the search paths package.path and package.cpath, and the names. 0; or
 * LP_FAILED, the module's name, and text as above.
 */
int lp_state_preload(lp_state *state, const void *bytes, size_t length,
                     char *module, size_t module_size, char *text, size_t size);

/*
 * Let the state's Lua heap take no more than limit bytes from now on, with
 * what it holds already. A task that passes it ends with LP_CAUSE_LIMIT; all
 * garbage is collected then. 0; or LP_FAILED, and text as above, if the state
 * is too full for tasks to begin with. Once.
 */
int lp_state_limit(lp_state *state, size_t limit, char *text, size_t size);

/* The state is about to be closed: its finalizers have all the room. */
void lp_state_lift_limit(lp_state *state);

/*
 * Whether less than a quarter of the limit is free after a task has passed
 * it: the next ones would starve. False without a limit.
 */
bool lp_state_is_full(const lp_state *state);

#endif
