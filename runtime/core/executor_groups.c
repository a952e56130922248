/*
 * executor_groups.c - the groups of an executor, from the host's side.
 *
 * A group's number is free again when its owner has dropped it, all its
 * items are accounted for, and the queue has let go of it. If the owner is
 * the first to go, the group waits in the list of orphans.
 */
#include "base/alloc.h"
#include "base/status.h"
#include "core/executor_private.h"

#include <string.h>

static int pop_group_locked(lp_executor *executor, uint32_t *number)
    LP_HOLDS(&executor->lock)
{
    if (executor->free_group_count > 0) {
        *number = executor->free_groups[--executor->free_group_count];
        return LP_OK;
    }
    lp_table *groups = &executor->control.groups;
    if (groups->count >= LP_GROUPS) return LP_INVALID;
    if (executor->free_group_room <= groups->count) {
        /* Room to free every group that there is. */
        uint32_t room = 2 * groups->count + 16;
        uint32_t *stack =
            lp_realloc(executor->free_groups, room * sizeof(*stack));
        if (!stack) return LP_NOMEM;
        executor->free_groups = stack;
        executor->free_group_room = room;
    }
    return lp_table_add(groups, number);
}

static bool group_is_done(const lp_group *group)
{
    return atomic_load(&group->remaining) == 0 &&
           !(atomic_load(&group->state) & LP_QUEUED);
}

/* Drop the group's memory; its number is free again. */
static void free_group_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock)
{
    lp_group *group = lp_table_at(&executor->control.groups, number);
    lp_address address = atomic_exchange(&group->pieces, 0);
    while (address) {
        lp_arena *arena = executor->arenas[address >> LP_PLACE_BITS];
        lp_place place = address & (((lp_place)1 << LP_PLACE_BITS) - 1);
        lp_piece *piece = lp_arena_at(arena, place);
        address = piece->next;
        lp_arena_return(arena, place);
    }
    lp_arena_drop(executor->control.parcels, group->block);
    group->block = 0;
    if (group->handles) {
        group->handles->next = executor->dropped;
        executor->dropped = group->handles;
        group->handles = NULL;
    }
    executor->free_groups[executor->free_group_count++] = number;
    executor->live_groups--;
}

lp_handles *lp_executor_sweep_groups_locked(lp_executor *executor)
{
    uint32_t *link = &executor->orphan;
    while (*link) {
        uint32_t number = *link - 1;
        lp_group *group = lp_table_at(&executor->control.groups, number);
        if (group_is_done(group)) {
            *link = group->orphan;
            free_group_locked(executor, number);
        } else {
            link = &group->orphan;
        }
    }
    lp_handles *dropped = executor->dropped;
    executor->dropped = NULL;
    return dropped;
}

lp_handles *lp_executor_sweep(lp_executor *executor)
{
    lp_lock_enter(&executor->lock);
    lp_handles *dropped = lp_executor_sweep_groups_locked(executor);
    lp_lock_leave(&executor->lock);
    return dropped;
}

int lp_executor_new_group(lp_executor *executor, uint32_t *number)
{
    lp_lock_enter(&executor->lock);
    int status = lp_executor_check_locked(executor);
    lp_handles *dropped = lp_executor_sweep_groups_locked(executor);
    if (status == LP_OK) status = pop_group_locked(executor, number);
    if (status == LP_OK) {
        lp_group *group = lp_table_at(&executor->control.groups, *number);
        atomic_store(&group->claimed, UINT32_MAX);
        atomic_store(&group->remaining, 0);
        atomic_store(&group->cancelled, 0);
        atomic_store(&group->state, 0);
        atomic_store(&group->cost, 0);
        atomic_store(&group->count, 0);
        group->block = 0;
        group->handles = NULL;
        group->items_length = group->head_length = 0;
        group->form = LP_FORM_MESSAGES;
        executor->live_groups++;
    }
    lp_lock_leave(&executor->lock);
    lp_handles_drop(dropped);
    return status;
}

int lp_executor_fill_group(lp_executor *executor, uint32_t number,
                           const lp_group_content *content)
{
    lp_control *control = &executor->control;
    lp_group *group = lp_table_at(&control->groups, number);
    size_t index = content->index_count * sizeof(uint64_t);
    size_t size = index + content->items_length + content->head_length;
    lp_lock_enter(&executor->lock);
    int status = lp_arena_alloc(control->parcels, size, &group->block);
    lp_lock_leave(&executor->lock);
    if (status != LP_OK) {
        group->block = 0;
        return status;
    }
    uint8_t *block = lp_arena_at(control->parcels, group->block);
    if (index > 0) memcpy(block, content->index, index);
    if (content->items_length > 0)
        memcpy(block + index, content->items, content->items_length);
    memcpy(block + index + content->items_length, content->head,
           content->head_length);
    group->items_length = content->items_length;
    group->head_length = content->head_length;
    return LP_OK;
}

int lp_executor_queue_group(lp_executor *executor, uint32_t number,
                            uint32_t count)
{
    lp_control *control = &executor->control;
    lp_group *group = lp_table_at(&control->groups, number);
    lp_lock_enter(&executor->lock);
    int status = lp_executor_check_locked(executor);
    if (status == LP_OK) {
        executor->accepted += count;
        status = lp_executor_start_needed_locked(executor);
        if (status != LP_OK) executor->accepted -= count;
    }
    if (status == LP_OK) {
        atomic_store(&group->count, count);
        atomic_store(&group->remaining, count);
        atomic_fetch_or(&group->state, LP_QUEUED);
        atomic_store(&group->claimed, 0); /* from now on it can be claimed */
        status = lp_queue_put(&control->queue, number | LP_QUEUE_GROUP);
        if (status != LP_OK) {
            executor->accepted -= count;
            atomic_store(&group->claimed, UINT32_MAX);
            atomic_store(&group->remaining, 0);
            atomic_fetch_and(&group->state, ~LP_QUEUED);
        }
    }
    lp_lock_leave(&executor->lock);
    if (status != LP_OK) return status;
    if (executor->kind->run_queued) {
        executor->kind->run_queued(executor->self);
    } else {
        lp_idle_wake_one(&control->idle);
    }
    return LP_OK;
}

/* What is not claimed will not be done. */
static void cancel_group_locked(lp_executor *executor, lp_group *group)
    LP_HOLDS(&executor->lock)
{
    uint32_t unclaimed = lp_group_cancel(group);
    executor->settled += unclaimed;
    if (unclaimed > 0)
        lp_group_account(group, unclaimed, executor->control.bell);
}

void lp_executor_drop_group(lp_executor *executor, uint32_t number, bool cancel)
{
    lp_group *group = lp_table_at(&executor->control.groups, number);
    lp_host *host = executor->host;
    lp_lock_enter(&executor->lock);
    if (cancel && atomic_load(&group->remaining) > 0)
        cancel_group_locked(executor, group);
    /* The host hears of the end of an orphan, and frees it then. */
    atomic_fetch_or(&group->state, LP_NOTIFY);
    group->orphan = executor->orphan;
    executor->orphan = number + 1;
    lp_handles *dropped = lp_executor_sweep_groups_locked(executor);
    bool last =
        executor->live_groups == 0 && atomic_load(&executor->owners) == 0;
    lp_lock_leave(&executor->lock);
    lp_handles_drop(dropped);
    if (last) lp_host_reap(host);
}

void lp_executor_cancel_groups_locked(lp_executor *executor)
{
    lp_table *groups = &executor->control.groups;
    for (uint32_t i = 0; i < groups->count; i++) {
        lp_group *group = lp_table_at(groups, i);
        if (atomic_load(&group->remaining) > 0)
            cancel_group_locked(executor, group);
    }
}
