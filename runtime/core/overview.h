/*
 * overview.h - what an executor has done and is doing, for people.
 *
 * Everything here is a look at what moves on meanwhile: numbers are right
 * when nothing moves, and otherwise off by what happened during the look.
 */
#ifndef LP_CORE_OVERVIEW_H
#define LP_CORE_OVERVIEW_H

#include "core/executor.h"

typedef struct lp_overview {
    lp_counts counts;
    uint32_t workers; /* that live */
    uint32_t idle;
    uint32_t max_workers;
} lp_overview;

void lp_executor_overview(lp_executor *executor, lp_overview *overview);

/* The same of all executors that a host has, or had, added up. */
void lp_host_overview(lp_host *host, lp_overview *overview);

typedef enum lp_doing {
    LP_DOES_NOTHING,
    LP_DOES_STARTING,
    LP_DOES_TASK,
    LP_DOES_ITEMS,
} lp_doing;

#define LP_VIEW_LABEL 80u

/* A task, as people know it. */
typedef struct lp_task_view {
    uint32_t serial;
    const char *origin;        /* "file:line" of its submit; NULL: unknown */
    char label[LP_VIEW_LABEL]; /* "" if it has none; perhaps cut */
} lp_task_view;

/* One worker that lives. */
typedef struct lp_worker_view {
    uint32_t number;
    int32_t pid;    /* of its process; 0: the host's */
    int32_t thread; /* as the kernel numbers it; 0: unknown */
    lp_doing doing;
    int64_t age;                /* nanoseconds that it has been doing that */
    lp_task_view task;          /* or map, which has no serial */
    uint64_t first_item, items; /* of the map, from 1; which it has claimed */
    bool waits;                 /* its task waits: */
    uint32_t waits_for; /* for the task of that number; 0: for something */
    bool asked;         /* for its stack */
    char *stack;        /* owned; NULL: it could not be had */
} lp_worker_view;

/*
 * Look at all workers that live, and wait a moment until they have shown
 * what they run; but not worker number self, who is the caller (LP_NO_WORKER:
 * none is). The caller frees the list with lp_executor_free_views. 0,
 * LP_NOMEM. No lock is held.
 */
#define LP_NO_WORKER UINT32_MAX
int lp_executor_view(lp_executor *executor, uint32_t self,
                     lp_worker_view **views, uint32_t *count);
void lp_executor_free_views(lp_worker_view *views, uint32_t count);

/* The first pending tasks, by their numbers; gives how many. */
uint32_t lp_executor_view_pending(lp_executor *executor, lp_task_view *views,
                                  uint32_t room);

#endif
