/*
 * pages.h - memory by the page: zeroed, and never moved.
 *
 * A large piece lies in huge pages where the system has some: to touch fresh
 * memory costs a fault for each page, and that is most of what a table of a
 * million tasks costs.
 */
#ifndef LP_BASE_PAGES_H
#define LP_BASE_PAGES_H

#include <stddef.h>

/* Whole pages, of size bytes at least. NULL: no memory. */
void *lp_pages_take(size_t size);

/* Give them back; size is what was asked for. NULL is allowed. */
void lp_pages_give(void *pages, size_t size);

/* Let the system have what is in them; they read as zeros, or as before. */
void lp_pages_empty(void *pages, size_t size);

#endif
