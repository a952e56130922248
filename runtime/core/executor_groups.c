/*
 * executor_groups.c - the groups of an executor, from the host's side.
 *
 * A group's number is free again when its owner has dropped it, all its
 * items are accounted for, and the queue has let go of it. If the owner is
 * the first to go, the group waits in the list of orphans.
 */
#include "base/alloc.h"
#include "base/clock.h"
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
            lp_realloc(executor->host->allocator, executor->free_groups,
                       room * sizeof(*stack));
        if (!stack) return LP_NOMEM;
        executor->free_groups = stack;
        executor->free_group_room = room;
    }
    /* The tables grow together; a leftover of one does no harm. */
    uint32_t same = executor->accounts.count;
    lp_table *loads = &executor->control.loads;
    if (groups->count == same && lp_table_add(groups, number) != LP_OK)
        return LP_NOMEM;
    if (loads->count == same && lp_table_add(loads, number) != LP_OK)
        return LP_NOMEM;
    if (executor->track && executor->control.notes->groups.count == same &&
        lp_table_add(&executor->control.notes->groups, number) != LP_OK)
        return LP_NOMEM;
    return lp_table_add(&executor->accounts, number);
}

lp_load *lp_executor_load(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->control.loads, number);
}

/* The group of a number, which workers may have written. */
lp_group *lp_executor_group(lp_executor *executor, uint32_t number)
{
    if (number >= executor->accounts.count) return NULL;
    return lp_table_at(&executor->control.groups, number);
}

static lp_account *account_of(lp_executor *executor, uint32_t number)
{
    return lp_table_at(&executor->accounts, number);
}

/* ---- pieces ---- */

static lp_place address_place(lp_address address)
{
    return address & (((lp_place)1 << LP_PLACE_BITS) - 1);
}

static uint32_t address_arena(lp_address address)
{
    return (uint32_t)(address >> LP_PLACE_BITS);
}

typedef struct lp_own_piece {
    struct lp_own_piece *next;
    lp_place place;
} lp_own_piece;

int lp_executor_own_piece_locked(lp_executor *executor, lp_place place)
{
    lp_own_piece *own = lp_alloc(executor->host->allocator, sizeof(*own));
    if (!own) return LP_NOMEM;
    *own = (lp_own_piece){.next = executor->own_pieces, .place = place};
    executor->own_pieces = own;
    return LP_OK;
}

/* What leads to the host's own piece at a place; to NULL if there is none. */
static lp_own_piece **find_own_locked(lp_executor *executor, lp_place place)
    LP_HOLDS(&executor->lock)
{
    lp_own_piece **link = &executor->own_pieces;
    while (*link && (*link)->place != place)
        link = &(*link)->next;
    return link;
}

static void drop_own_locked(lp_executor *executor, lp_place place)
    LP_HOLDS(&executor->lock)
{
    lp_own_piece **link = find_own_locked(executor, place);
    lp_own_piece *own = *link;
    if (!own) return;
    *link = own->next;
    lp_free(own);
    lp_arena_drop(executor->control.parcels, place);
}

void lp_executor_clear_own_pieces(lp_executor *executor)
{
    lp_own_piece *own = executor->own_pieces;
    while (own) {
        lp_own_piece *next = own->next;
        lp_free(own);
        own = next;
    }
}

/*
 * Where a block is that a worker named, or the host; NULL if there is no such
 * block. In the host's arena there is much else, which is not to be taken for
 * a piece.
 */
static void *find_block(lp_executor *executor, lp_address address,
                        uint64_t length) LP_HOLDS(&executor->lock)
{
    uint32_t number = address_arena(address);
    lp_place place = address_place(address);
    if (number == LP_HOST_ARENA)
        return *find_own_locked(executor, place)
                   ? lp_arena_check(executor->control.parcels, place, length)
                   : NULL;
    lp_outcomes *outcomes = lp_executor_outcomes(executor, number);
    return outcomes ? lp_arena_check(outcomes->arena, place, length) : NULL;
}

/* Look at a piece; false if it makes no sense. Gives what comes after it. */
static bool read_piece(lp_executor *executor, uint32_t number,
                       lp_address address, lp_taken *taken, lp_address *next)
    LP_HOLDS(&executor->lock)
{
    const lp_piece *piece = find_block(executor, address, sizeof(*piece));
    if (!piece) return false;
    /* A copy: what is checked must not change afterwards. */
    const lp_piece copy = *(const volatile lp_piece *)piece;
    uint32_t count = atomic_load(&lp_executor_load(executor, number)->count);
    if (copy.count == 0 || copy.first >= count ||
        copy.count > count - copy.first || copy.form > LP_FORM_NOTHING ||
        copy.length > UINT64_MAX / 2)
        return false;
    if (!find_block(executor, address, sizeof(copy) + copy.length))
        return false;
    *taken = (lp_taken){
        .first = copy.first,
        .count = copy.count,
        .form = (lp_form)copy.form,
        .address = address,
        .bytes = (const uint8_t *)(piece + 1),
        .length = copy.length,
    };
    *next = copy.next;
    return true;
}

void lp_executor_account_locked(lp_executor *executor, uint32_t number,
                                uint32_t first, uint32_t count)
{
    lp_account *account = account_of(executor, number);
    atomic_fetch_add(&account->accounted, count);
    /* Without memory, a death later may find items undone that are done. */
    if (executor->is_shared)
        (void)lp_spans_add(&account->spans, executor->host->allocator, first,
                           first + count);
}

void lp_executor_damage_locked(lp_executor *executor, uint32_t number)
{
    lp_group *group = lp_executor_group(executor, number);
    account_of(executor, number)->damaged = 1;
    atomic_store(&group->cancelled, 1);
    lp_group_announce(group, executor->control.bell);
}

static void drop_piece_locked(lp_executor *executor, lp_address address)
    LP_HOLDS(&executor->lock)
{
    uint32_t arena = address_arena(address);
    if (arena == LP_HOST_ARENA) {
        drop_own_locked(executor, address_place(address));
        return;
    }
    lp_outcomes *outcomes = lp_executor_outcomes(executor, arena);
    if (outcomes && outcomes->pieces > 0) outcomes->pieces--;
    lp_executor_drop_outcome_locked(executor, arena, address_place(address));
}

/*
 * Pieces from this one on stay, in front of what has come meanwhile. There
 * are no more of them than items, however workers have linked them.
 */
static void put_back_locked(lp_executor *executor, lp_group *group,
                            lp_address first, uint32_t most)
    LP_HOLDS(&executor->lock)
{
    lp_piece *last = find_block(executor, first, sizeof(*last));
    for (; last && most > 1; most--) {
        const lp_address next = *(const volatile lp_address *)&last->next;
        lp_piece *following =
            next ? find_block(executor, next, sizeof(*last)) : NULL;
        if (!following) break;
        last = following;
    }
    if (!last) return;
    lp_address newest = atomic_load(&group->pieces);
    do {
        last->next = newest;
    } while (!atomic_compare_exchange_weak(&group->pieces, &newest, first));
}

static int take_pieces_locked(lp_executor *executor, uint32_t number,
                              int (*give)(void *context, const lp_taken *piece),
                              void *context) LP_HOLDS(&executor->lock)
{
    lp_group *group = lp_executor_group(executor, number);
    lp_account *account = account_of(executor, number);
    uint32_t count = atomic_load(&lp_executor_load(executor, number)->count);
    lp_address address = atomic_exchange(&group->pieces, 0);
    while (address) {
        lp_taken taken;
        lp_address next;
        if (!read_piece(executor, number, address, &taken, &next) ||
            taken.count > count - atomic_load(&account->accounted)) {
            lp_executor_damage_locked(executor, number);
            return LP_OK;
        }
        lp_outcomes *outcomes =
            lp_executor_outcomes(executor, address_arena(address));
        if (outcomes) outcomes->pieces++;
        int status = LP_OK;
        if (taken.form == LP_FORM_NOTHING) {
            drop_piece_locked(executor, address);
        } else {
            status = give(context, &taken);
        }
        if (status != LP_OK) {
            if (outcomes) outcomes->pieces--;
            put_back_locked(executor, group, address, count);
            return status;
        }
        lp_executor_account_locked(executor, number, taken.first, taken.count);
        address = next;
    }
    return LP_OK;
}

int lp_executor_take_pieces(lp_executor *executor, uint32_t number,
                            int (*give)(void *context, const lp_taken *piece),
                            void *context)
{
    lp_group *group = lp_executor_group(executor, number);
    if (atomic_load_explicit(&group->pieces, memory_order_relaxed) == 0)
        return LP_OK;
    lp_lock_enter(&executor->lock);
    int status = take_pieces_locked(executor, number, give, context);
    lp_lock_leave(&executor->lock);
    return status;
}

void lp_executor_drop_piece(lp_executor *executor, lp_address address)
{
    lp_lock_enter(&executor->lock);
    drop_piece_locked(executor, address);
    lp_lock_leave(&executor->lock);
}

/* Called under the executor's lock. */
static int discard(void *executor, const lp_taken *piece) LP_UNCHECKED
{
    drop_piece_locked(executor, piece->address);
    return LP_OK;
}

void lp_executor_discard_pieces_locked(lp_executor *executor, uint32_t number)
{
    (void)take_pieces_locked(executor, number, discard, executor);
}

uint32_t lp_executor_count_pieces_locked(lp_executor *executor, uint32_t arena)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < executor->accounts.count; i++) {
        lp_address address =
            atomic_load(&lp_executor_group(executor, i)->pieces);
        uint32_t limit = atomic_load(&lp_executor_load(executor, i)->count);
        lp_taken taken;
        while (address && limit-- > 0) {
            lp_address at = address;
            if (!read_piece(executor, i, at, &taken, &address)) break;
            if (address_arena(at) == arena) count++;
        }
    }
    return count;
}

bool lp_executor_piece_has_locked(lp_executor *executor, uint32_t number,
                                  uint32_t item)
{
    lp_address address =
        atomic_load(&lp_executor_group(executor, number)->pieces);
    uint32_t limit = atomic_load(&lp_executor_load(executor, number)->count);
    while (address && limit-- > 0) {
        lp_taken taken;
        if (!read_piece(executor, number, address, &taken, &address))
            return false;
        if (item >= taken.first && item - taken.first < taken.count)
            return true;
    }
    return false;
}

bool lp_executor_accounted_locked(lp_executor *executor, uint32_t number,
                                  uint32_t item)
{
    return lp_spans_have(&account_of(executor, number)->spans, item);
}

/* ---- life ---- */

/* All its items have ended, and their pieces were taken. */
static bool group_is_over(lp_executor *executor, uint32_t number)
{
    lp_account *account = account_of(executor, number);
    uint64_t count = atomic_load(&lp_executor_load(executor, number)->count);
    return account->damaged ||
           atomic_load(&account->accounted) +
                   (uint64_t)atomic_load(
                       &lp_executor_group(executor, number)->gone) >=
               count;
}

bool lp_executor_group_is_over(lp_executor *executor, uint32_t number)
{
    return group_is_over(executor, number);
}

static bool group_is_done(lp_executor *executor, uint32_t number)
{
    return group_is_over(executor, number) &&
           !(atomic_load(&lp_executor_group(executor, number)->state) &
             LP_QUEUED);
}

/* Drop the group's memory; its number is free again. */
static void free_group_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock)
{
    lp_load *load = lp_executor_load(executor, number);
    lp_executor_discard_pieces_locked(executor, number);
    lp_arena_drop(executor->control.parcels, load->block);
    load->block = 0;
    atomic_store(&load->count, 0);
    if (load->handles) {
        load->handles->next = executor->dropped;
        executor->dropped = load->handles;
        load->handles = NULL;
    }
    lp_account *account = account_of(executor, number);
    lp_spans_clear(&account->spans);
    lp_free((char *)account->about.label);
    account->about = (lp_group_about){0};
    executor->free_groups[executor->free_group_count++] = number;
    executor->live_groups--;
}

lp_handles *lp_executor_sweep_groups_locked(lp_executor *executor)
{
    uint32_t *link = &executor->orphan;
    while (*link) {
        uint32_t number = *link - 1;
        lp_account *account = account_of(executor, number);
        lp_executor_discard_pieces_locked(executor, number);
        if (group_is_done(executor, number)) {
            *link = account->orphan;
            free_group_locked(executor, number);
        } else {
            link = &account->orphan;
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

const lp_account *lp_executor_account_of(lp_executor *executor, uint32_t number)
{
    if (number >= executor->accounts.count) return NULL;
    return account_of(executor, number);
}

int lp_executor_new_group(lp_executor *executor, const lp_group_about *about,
                          uint32_t *number)
{
    char *label = NULL;
    if (about->label) {
        label = lp_alloc_text(executor->host->allocator, about->label);
        if (!label) return LP_NOMEM;
    }
    lp_lock_enter(&executor->lock);
    int status = lp_executor_check_locked(executor);
    lp_handles *dropped = lp_executor_sweep_groups_locked(executor);
    if (status == LP_OK) status = pop_group_locked(executor, number);
    if (status == LP_OK) {
        lp_group *group = lp_executor_group(executor, *number);
        lp_load *load = lp_executor_load(executor, *number);
        lp_account *account = account_of(executor, *number);
        atomic_store(&group->claimed, UINT32_MAX);
        atomic_store(&group->cancelled, 0);
        atomic_store(&group->state, 0);
        atomic_store(&group->cost, 0);
        atomic_store(&group->gone, 0);
        atomic_store(&group->pieces, 0);
        load->generation++;
        atomic_store(&load->count, 0);
        atomic_store(&account->accounted, 0);
        account->damaged = 0;
        account->about = *about;
        account->about.label = label;
        if (executor->track) lp_executor_note_group(executor, *number, about);
        load->block = 0;
        load->handles = NULL;
        load->items_length = load->head_length = 0;
        load->form = LP_FORM_MESSAGES;
        load->timeout = 0;
        load->retries = 0;
        executor->live_groups++;
    }
    lp_lock_leave(&executor->lock);
    lp_handles_drop(dropped);
    if (status != LP_OK) lp_free(label);
    return status;
}

int lp_executor_fill_group(lp_executor *executor, uint32_t number,
                           const lp_group_content *content)
{
    lp_control *control = &executor->control;
    lp_load *load = lp_executor_load(executor, number);
    size_t index = content->index_count * sizeof(uint64_t);
    size_t size = index + content->items_length + content->head_length;
    lp_lock_enter(&executor->lock);
    int status = lp_arena_alloc(control->parcels, size, &load->block);
    lp_lock_leave(&executor->lock);
    if (status != LP_OK) {
        load->block = 0;
        return status;
    }
    uint8_t *block = lp_arena_at(control->parcels, load->block);
    if (index > 0) memcpy(block, content->index, index);
    if (content->items_length > 0)
        memcpy(block + index, content->items, content->items_length);
    memcpy(block + index + content->items_length, content->head,
           content->head_length);
    load->items_length = content->items_length;
    load->head_length = content->head_length;
    return LP_OK;
}

int lp_executor_queue_group(lp_executor *executor, uint32_t number,
                            uint32_t count, int64_t priority)
{
    lp_control *control = &executor->control;
    lp_group *group = lp_executor_group(executor, number);
    lp_load *load = lp_executor_load(executor, number);
    lp_lock_enter(&executor->lock);
    int status = lp_executor_check_locked(executor);
    if (status == LP_OK) {
        executor->accepted += count;
        status = lp_executor_start_needed_locked(executor, true);
        if (status != LP_OK) executor->accepted -= count;
    }
    if (status == LP_OK) {
        atomic_store(&load->count, count);
        load->queued_at = lp_clock_now();
        lp_executor_limit_locked(executor, load->timeout);
        atomic_fetch_or(&group->state, LP_QUEUED);
        atomic_store(&group->claimed, 0); /* from now on it can be claimed */
        status =
            lp_levels_put(&control->levels, priority, number | LP_QUEUE_GROUP);
        if (status != LP_OK) {
            executor->accepted -= count;
            atomic_store(&group->claimed, UINT32_MAX);
            atomic_store(&load->count, 0);
            atomic_fetch_and(&group->state, ~LP_QUEUED);
        }
    }
    if (status == LP_CORRUPT) status = lp_executor_damaged_locked(executor);
    lp_lock_leave(&executor->lock);
    if (status != LP_OK) return status;
    if (executor->kind->run_queued) {
        executor->kind->run_queued(executor->self);
    } else {
        lp_idle_wake_one(&control->words->idle);
    }
    return LP_OK;
}

/* What is not claimed will not be done. */
static void cancel_group_locked(lp_executor *executor, uint32_t number)
    LP_HOLDS(&executor->lock)
{
    uint32_t first;
    lp_group *group = lp_executor_group(executor, number);
    uint32_t count = atomic_load(&lp_executor_load(executor, number)->count);
    uint32_t unclaimed = lp_group_cancel(group, count, &first);
    if (unclaimed == 0) return;
    lp_executor_settle_locked(executor, LP_CANCELLED, unclaimed);
    lp_executor_trace_unbegun_items_locked(executor, number, first, unclaimed);
    lp_executor_account_locked(executor, number, first, unclaimed);
    lp_group_announce(group, executor->control.bell);
}

void lp_executor_drop_group(lp_executor *executor, uint32_t number, bool cancel)
{
    lp_group *group = lp_executor_group(executor, number);
    lp_host *host = executor->host;
    lp_lock_enter(&executor->lock);
    if (cancel && !group_is_over(executor, number))
        cancel_group_locked(executor, number);
    /* The host hears of the end of an orphan, and frees it then. */
    atomic_fetch_or(&group->state, LP_NOTIFY);
    account_of(executor, number)->orphan = executor->orphan;
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
    for (uint32_t i = 0; i < executor->accounts.count; i++) {
        if (!group_is_over(executor, i)) cancel_group_locked(executor, i);
    }
}
