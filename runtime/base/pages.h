/*
 * pages.h - memory by the page: zeroed, and never moved.
 */
#ifndef LP_BASE_PAGES_H
#define LP_BASE_PAGES_H

#include <stddef.h>

/* Whole pages, of size bytes at least. NULL: no memory. */
void *lp_pages_take(size_t size);

/* Let them be huge ones, if the system has some: they will be used in whole. */
void lp_pages_prefer_huge(void *pages, size_t size);

/* Let the system have what is in them; they stay, and read as zeros. */
void lp_pages_empty(void *pages, size_t size);

/* Give them back; size is what was asked for. NULL is allowed. */
void lp_pages_give(void *pages, size_t size);

#endif
