/*
 * worker_items.h - the part of the worker's loop that runs items of groups.
 *
 * For worker.c alone; the worker's own thread calls these.
 */
#ifndef LP_CORE_WORKER_ITEMS_H
#define LP_CORE_WORKER_ITEMS_H

#include "core/worker.h"

/* Run what one before it in this record has claimed and not begun. */
bool lp_worker_items_resume(lp_worker *worker);

/*
 * Claim items of the group at the front of a level of the queue, and run them.
 * The record says that the worker is moving; not any more afterwards.
 */
void lp_worker_items_take(lp_worker *worker, uint32_t entry, lp_queue *queue,
                          uint64_t position);

/* Take half of the items that other has not begun, and run them. */
bool lp_worker_items_steal(lp_worker *worker, lp_record *other);

/* Whether lp_worker_items_steal would find something in this word of a record.
 */
bool lp_worker_items_can_divide(uint64_t items);

/* Join those who have begun less than they took, or leave them. */
void lp_worker_hoard(lp_worker *worker, bool hoards);

/*
 * Count tasks or items as ended: before their outcome shows, so that nobody
 * starts a needless worker.
 */
void lp_worker_count_ended(lp_worker *worker, uint64_t count);

#endif
