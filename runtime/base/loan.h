/*
 * loan.h - blocks of one Lua state that others read.
 *
 * A long string need not be copied to be sent to another thread: it does not
 * change. It is lent, and when Lua frees its block the loan takes that over,
 * until nobody reads it any more.
 */
#ifndef LP_BASE_LOAN_H
#define LP_BASE_LOAN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct lp_loan lp_loan;

/*
 * The loan of so many bytes inside of a block of malloc's, which has to be in
 * list as long as Lua has it; borrowed. NULL: no memory. For the thread that
 * uses the state, as the next.
 */
lp_loan *lp_loan_make(lp_loan **list, const char *bytes, size_t length);

/*
 * Lua is through with a block of so many bytes: true if somebody reads what
 * is in it; then it is the loan's.
 */
bool lp_loan_take_over(lp_loan **list, void *block, size_t size);

/* Any thread. The last release frees a block that was taken over. */
void lp_loan_retain(lp_loan *loan);
void lp_loan_release(lp_loan *loan);

const char *lp_loan_bytes(const lp_loan *loan, size_t *length);

#endif
