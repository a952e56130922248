/*
 * list.h - intrusive doubly linked lists.
 *
 * A node is a field of what is listed. A list is a node too: the one before
 * the first and after the last. The caller has the lock.
 */
#ifndef LP_BASE_LIST_H
#define LP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct lp_list {
    struct lp_list *next;
    struct lp_list *previous;
} lp_list;

/* The struct of this type whose field the node is. */
#define LP_LIST_ENTRY(node, type, field)                                       \
    ((type *)(void *)((char *)(node)-offsetof(type, field)))

static inline void lp_list_init(lp_list *list)
{
    list->next = list->previous = list;
}

static inline bool lp_list_is_empty(const lp_list *list)
{
    return list->next == list;
}

/* Put node last. */
static inline void lp_list_append(lp_list *list, lp_list *node)
{
    node->next = list;
    node->previous = list->previous;
    list->previous->next = node;
    list->previous = node;
}

/* Take node out of its list; doing it twice is fine. */
static inline void lp_list_remove(lp_list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    lp_list_init(node);
}

#endif
