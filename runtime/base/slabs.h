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

#include <stddef.h>

typedef struct lp_slabs lp_slabs;

/* NULL: no memory. */
lp_slabs *lp_slabs_new(void);

/* A lua_Alloc, whose context is the slabs. Blocks are aligned to 16. */
void *lp_slabs_allocate(void *slabs, void *block, size_t before, size_t after);

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
