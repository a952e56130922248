/*
 * slabs.h - the memory of one Lua state.
 *
 * Lua says how large a block is when it frees it, and one thread at a time
 * uses a state: so its blocks need neither headers nor locks. Small ones are
 * cut from slabs, which are pages of this state alone, and wait in a list of
 * their size for the next; larger ones come from malloc.
 */
#ifndef LP_BASE_SLABS_H
#define LP_BASE_SLABS_H

#include "base/list.h"
#include "base/loan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lp_slabs lp_slabs;

/* NULL: no memory. */
lp_slabs *lp_slabs_new(void);

/* A lua_Alloc, whose context is the slabs. Blocks are aligned to 16. */
void *lp_slabs_allocate(void *slabs, void *block, size_t before, size_t after);

/* The same, but each block is malloc's, for sanitizers to see it. */
void *lp_slabs_allocate_apart(void *slabs, void *block, size_t before,
                              size_t after);

/*
 * A userdata that is tied to an object: when Lua frees it, its slabs let go
 * of the object. A finalizer would do the same, and cost more than all else
 * that Lua does for the userdata, which would be collected twice.
 */
typedef struct lp_tie {
    void *object;  /* NULL: the tie has ended */
    uint64_t mark; /* LP_MARK_TIED */
    lp_list in_slabs;
} lp_tie;

/*
 * What is done when a tie ends; NULL: nothing. The collector is at work
 * then: no function of Lua may be called.
 */
typedef void lp_let_go(void *context, void *object);
void lp_slabs_on_let_go(lp_slabs *slabs, lp_let_go *let_go, void *context);

/*
 * Whether userdata can be tied. The slabs know a tie by where it is in the
 * block that is freed: so they have to know the headers of this Lua.
 */
bool lp_slabs_can_tie(void);

/*
 * The tie is a userdata without user values, of no other size. Without slabs
 * it is marked all the same, and somebody else has to let go of the object.
 */
void lp_slabs_tie(lp_slabs *slabs, lp_tie *tie, void *object);

/* End the latest tie, and nothing else: gives its object; NULL: no tie. */
void *lp_slabs_untie(lp_slabs *slabs);

/*
 * Watch one block that is never resized, such as a function, and no other;
 * NULL: none. It is what is watched until Lua frees it; then nothing is, NULL.
 * So whoever knows something by its address learns when to forget it.
 */
void lp_slabs_watch(lp_slabs *slabs, const void *address);
const void *lp_slabs_watched(const lp_slabs *slabs);

/*
 * Lend a string of this state, of at least LP_LENT bytes: see lp_loan_make.
 * It may be read until the loan is released, whatever becomes of the state.
 */
#define LP_LENT ((size_t)1 << 20)
lp_loan *lp_slabs_lend(lp_slabs *slabs, const char *bytes, size_t length);

/*
 * Let the system have the slabs in which nothing is used. Happens by itself
 * when most of a large state has been freed.
 */
void lp_slabs_give_back(lp_slabs *slabs);

/* All will be freed soon: give nothing back before lp_slabs_free. */
void lp_slabs_keep(lp_slabs *slabs);

/* Bytes that lie in slabs, used or not. */
size_t lp_slabs_size(const lp_slabs *slabs);

/* Give all to the system; the state is closed. NULL is allowed. */
void lp_slabs_free(lp_slabs *slabs);

#endif
