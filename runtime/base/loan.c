/* loan.c - a count of readers, of which Lua is one as long as it has it. */
#include "base/loan.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

struct lp_loan {
    struct lp_loan *next; /* in the list; the state's own */
    const char *bytes;
    size_t length;
    void *block; /* NULL: Lua has it */
    _Atomic uint32_t readers;
};

lp_loan *lp_loan_make(lp_loan **list, const char *bytes, size_t length)
{
    lp_loan *loan = *list;
    while (loan && loan->bytes != bytes)
        loan = loan->next;
    if (loan) return loan;
    loan = malloc(sizeof(*loan));
    if (!loan) return NULL;
    *loan = (lp_loan){.next = *list, .bytes = bytes, .length = length};
    atomic_init(&loan->readers, 1);
    *list = loan;
    return loan;
}

bool lp_loan_take_over(lp_loan **list, void *block, size_t size)
{
    uintptr_t begin = (uintptr_t)block;
    lp_loan **link = list, *loan;
    while ((loan = *link) != NULL && ((uintptr_t)loan->bytes < begin ||
                                      (uintptr_t)loan->bytes - begin >= size))
        link = &loan->next;
    if (!loan) return false;
    *link = loan->next;
    loan->block = block;
    if (atomic_fetch_sub(&loan->readers, 1) != 1) return true;
    free(loan);
    return false;
}

void lp_loan_retain(lp_loan *loan)
{
    atomic_fetch_add(&loan->readers, 1);
}

void lp_loan_release(lp_loan *loan)
{
    /* In the list Lua is a reader, so the last one is not in it. */
    if (atomic_fetch_sub(&loan->readers, 1) != 1) return;
    free(loan->block);
    free(loan);
}

const char *lp_loan_bytes(const lp_loan *loan, size_t *length)
{
    *length = loan->length;
    return loan->bytes;
}
