/*
 * map.c - many items in, their results out in order.
 *
 * Items are gathered into groups (core/group.h), which workers take apart
 * again as they like. What comes back are pieces: results of consecutive
 * items. They are kept in a heap by the number of their first item until it
 * is their turn; without order, whatever is there is next.
 */
#include "api/map_private.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"

#include <string.h>

/* Look for results of pieces in the making after so long; then less often. */
#define LEAST_PATIENCE 1000000
#define MOST_PATIENCE  50000000

/* ---- pieces ---- */

/* Put a piece into the heap; the room was made by hold_piece_room. */
static void push_piece(lpool_map *map, lp_waiting_piece piece)
{
    size_t at = map->waiting_count++;
    while (at > 0 && map->waiting[(at - 1) / 2].first > piece.first) {
        map->waiting[at] = map->waiting[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    map->waiting[at] = piece;
}

static lp_waiting_piece pop_piece(lpool_map *map)
{
    lp_waiting_piece least = map->waiting[0];
    lp_waiting_piece last = map->waiting[--map->waiting_count];
    size_t at = 0, count = map->waiting_count;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count &&
            map->waiting[child + 1].first < map->waiting[child].first)
            child++;
        if (map->waiting[child].first >= last.first) break;
        map->waiting[at] = map->waiting[child];
        at = child;
    }
    if (count > 0) map->waiting[at] = last;
    return least;
}

static int make_piece_room(lpool_map *map, size_t more)
{
    if (map->waiting_count + more <= map->waiting_room) return LP_OK;
    size_t room = 2 * (map->waiting_count + more);
    lp_waiting_piece *grown =
        lp_realloc(map->allocator, map->waiting, room * sizeof(*grown));
    if (!grown) return LP_NOMEM;
    map->waiting = grown;
    map->waiting_room = room;
    return LP_OK;
}

/* What one look at a group works with. */
typedef struct draining {
    lpool_map *map;
    uint64_t base; /* the group's first item */
} draining;

/* The mark of the piece that begins with an item; NULL if it has none. */
static lp_early_mark *mark_of(lpool_map *map, uint64_t first)
{
    for (size_t i = 0; i < map->mark_count; i++)
        if (map->marks[i].first == first) return &map->marks[i];
    return NULL;
}

/*
 * A piece has come of which some results were taken before: leave the others
 * of it. If that is none, what is left is of item 0, so that it comes first.
 */
static void skip_taken(lpool_map *map, lp_waiting_piece *whole)
{
    lp_early_mark *mark = mark_of(map, whole->first);
    lp_taken *piece = &whole->piece;
    uint64_t skipped;
    if (!mark) return;
    uint32_t count = mark->count < piece->count ? mark->count : piece->count;
    *mark = map->marks[--map->mark_count];
    if (!lp_group_measure(piece->bytes, piece->length, piece->form, count,
                          &skipped))
        skipped = piece->length; /* a process wrote nonsense */
    piece->bytes += skipped;
    piece->length -= skipped;
    piece->count -= count;
    whole->first = piece->count > 0 ? whole->first + count : 0;
}

static int hold_piece(void *context, const lp_taken *piece)
{
    const draining *work = context;
    lp_waiting_piece whole = {work->base + piece->first, *piece};
    if (make_piece_room(work->map, 1) != LP_OK) return LP_NOMEM;
    skip_taken(work->map, &whole);
    push_piece(work->map, whole);
    return LP_OK;
}

/* How many results of a piece were taken before it was handed in. */
static uint32_t count_known(void *context, uint32_t first)
{
    const draining *work = context;
    const lp_early_mark *mark = mark_of(work->map, work->base + first);
    return mark ? mark->count : 0;
}

/* Hold results of a piece that is in the making. */
static int hold_early(void *context, const lp_taken *part, uint32_t known)
{
    const draining *work = context;
    lpool_map *map = work->map;
    uint64_t first = work->base + part->first;
    if (make_piece_room(map, 1) != LP_OK) return LP_NOMEM;
    lp_early_mark *mark = mark_of(map, first);
    if (!mark) {
        if (map->mark_count == map->mark_room) {
            size_t room = 2 * map->mark_room + 4;
            lp_early_mark *grown =
                lp_realloc(map->allocator, map->marks, room * sizeof(*grown));
            if (!grown) return LP_NOMEM;
            map->marks = grown;
            map->mark_room = room;
        }
        mark = &map->marks[map->mark_count++];
        mark->first = first;
    }
    mark->count = part->count;
    lp_waiting_piece rest = {first + known, *part};
    rest.piece.count -= known;
    push_piece(map, rest);
    return LP_OK;
}

/* Take over the pieces that a group has so far. */
static int drain_group(lpool_map *map, const lp_map_group *from)
{
    draining work = {map, from->base};
    return lp_executor_take_pieces(map->executor, from->number, hold_piece,
                                   &work);
}

/* Drop groups from the front whose items have all been taken. */
static void drop_taken_groups(lpool_map *map)
{
    while (map->group_count > 0) {
        lp_map_group *oldest = &map->groups[map->first_group];
        if (oldest->taken < oldest->count) return;
        lp_executor_drop_group(map->executor, oldest->number, true);
        map->first_group++;
        map->group_count--;
    }
    map->first_group = 0;
}

/* The group that item number belongs to; NULL if it was not submitted. */
static lp_map_group *group_of(lpool_map *map, uint64_t item)
{
    for (size_t i = 0; i < map->group_count; i++) {
        lp_map_group *group = &map->groups[map->first_group + i];
        if (item < group->base + group->count) return group;
    }
    return NULL;
}

/* ---- results ---- */

/* Give back what a piece, or a part of one, lies in. */
static void drop_piece(lpool_map *map, lp_address address, const uint8_t *copy)
{
    if (address) {
        lp_executor_drop_piece(map->executor, address);
    } else {
        lp_free((uint8_t *)copy);
    }
}

/* Make the next piece the current one; false if it is not there yet. */
static bool open_piece(lpool_map *map)
{
    /* All of these was taken before they came; or a process is out of its
     * mind. */
    while (map->waiting_count > 0 &&
           (map->waiting[0].piece.count == 0 ||
            (map->ordered && map->waiting[0].first < map->next))) {
        lp_taken piece = pop_piece(map).piece;
        drop_piece(map, piece.address, piece.bytes);
    }
    if (map->waiting_count == 0) return false;
    if (map->ordered && map->waiting[0].first != map->next) return false;
    lp_waiting_piece chosen = pop_piece(map);
    map->reads = true;
    map->current = chosen.piece.address;
    map->copy = chosen.piece.address ? NULL : chosen.piece.bytes;
    map->patience = 0;
    map->current_form = chosen.piece.form;
    map->current_item = chosen.first;
    map->current_end = chosen.first + chosen.piece.count;
    map->cursor = chosen.piece.bytes;
    map->limit = map->cursor + chosen.piece.length;
    return true;
}

static void close_piece(lpool_map *map)
{
    if (!map->reads) return;
    map->reads = false;
    drop_piece(map, map->current, map->copy);
}

/* Whether the next item's results can be had at once. */
static bool is_ready(lpool_map *map)
{
    if (map->reads) return true;
    map->starved = false;
    for (size_t i = 0; i < map->group_count; i++) {
        if (drain_group(map, &map->groups[map->first_group + i]) != LP_OK) {
            map->starved = true;
            return false;
        }
        if (map->ordered) break; /* the items of the others come later */
    }
    return open_piece(map);
}

static bool is_ready_for_wait(void *what)
{
    lpool_map *map = what;
    return is_ready(map) || map->starved || lp_map_is_stuck(map);
}

/*
 * The item that is next will not come: it was cancelled, or there was no
 * memory for its results.
 */
bool lp_map_is_stuck(lpool_map *map)
{
    for (size_t i = 0; i < map->group_count; i++) {
        lp_map_group *from = &map->groups[map->first_group + i];
        if (from->taken < from->count) {
            if (!lp_executor_group_is_over(map->executor, from->number))
                return false;
            if (map->ordered) return true;
        }
    }
    return map->waiting_count == 0 && map->next < map->submitted;
}

/* The next items of the current piece have been taken. */
static void count_taken(lpool_map *map, uint32_t count)
{
    lp_map_group *group = group_of(map, map->current_item - count);
    if (group) group->taken += count;
    map->taken += count;
    if (map->ordered) map->next = map->current_item;
    if (map->current_item < map->current_end) return;
    close_piece(map);
    drop_taken_groups(map);
}

/* What an item is called, if it has to be said. */
static lp_outcome_source source_of(const lpool_map *map, uint64_t number)
{
    return (lp_outcome_source){
        .executor = map->executor,
        .number = number,
        .label = map->label,
        .origin = map->origin,
        .timeout = map->timeout,
    };
}

/* Push the results of the current piece's next item. */
static int push_item(lua_State *L, lpool_map *map, uint64_t *number, int *count)
{
    uint64_t item = map->current_item++;
    *number = item + 1;
    int status = LP_OK;
    if (map->current_form == LP_FORM_INTEGERS &&
        map->limit - map->cursor >= 8) {
        int64_t value;
        memcpy(&value, map->cursor, sizeof(value));
        map->cursor += sizeof(value);
        lua_pushinteger(L, value);
        *count = 1;
    } else {
        uint64_t header = LP_ITEM_LOST;
        const uint8_t *bytes = NULL;
        size_t length = 0;
        if (map->limit - map->cursor >= 8) {
            memcpy(&header, map->cursor, sizeof(header));
            bytes = map->cursor + 8;
            length = (size_t)(header / 4);
            if (length > (size_t)(map->limit - bytes)) {
                header = LP_ITEM_LOST; /* a process wrote nonsense */
                length = 0;
            }
            map->cursor = bytes + length;
        }
        static const lp_phase phases[] = {LP_FINISHED, LP_RAISED, LP_LOST,
                                          LP_LOST};
        map->reading = true;
        const lp_outcome_source source = source_of(map, *number);
        status = lp_outcome_push(L, &source, phases[header & 3], bytes, length,
                                 count);
        map->reading = false;
        if (map->group_count == 0) { /* closed meanwhile */
            lpool_map_close(map, true);
            return status;
        }
    }
    count_taken(map, 1);
    return status;
}

size_t lpool_map_take_integers(lpool_map *map, int64_t *values, size_t room,
                               uint64_t *number)
{
    if (!map || !values || !number || !map->executor || map->reading ||
        !map->reads || map->current_form != LP_FORM_INTEGERS)
        return 0;
    size_t count = (size_t)(map->limit - map->cursor) / sizeof(*values);
    uint64_t items = map->current_end - map->current_item;
    if (count > items) count = (size_t)items;
    if (count > room) count = room;
    if (count == 0) return 0;
    memcpy(values, map->cursor, count * sizeof(*values));
    *number = map->current_item + 1;
    map->cursor += count * sizeof(*values);
    map->current_item += count;
    count_taken(map, (uint32_t)count);
    return count;
}

/* Push the error for an item that will not come. */
static int push_missing(lua_State *L, lpool_map *map, uint64_t *number)
{
    uint64_t item = map->next;
    *number = item + 1;
    if (lp_executor_broken(map->executor)) {
        lp_outcome_push_broken(L, map->executor);
        lua_pushliteral(L, "stack traceback:\n\t(not in Lua code)");
    } else {
        int count;
        const lp_outcome_source source = source_of(map, *number);
        lp_outcome_push(L, &source, LP_CANCELLED, NULL, 0, &count);
    }
    if (!map->ordered) map->next++; /* only counts them */
    lp_map_group *group = group_of(map, item);
    for (size_t i = 0; !map->ordered && i < map->group_count; i++) {
        group = &map->groups[map->first_group + i];
        if (group->taken < group->count) break;
    }
    if (group) group->taken++;
    map->taken++;
    if (map->ordered) map->next = item + 1;
    drop_taken_groups(map);
    return LP_FAILED;
}

/* An lp_outlook. Its owner is parked, so the map does not change. */
static bool look_out(void *what, lp_visit *visit, void *walk)
{
    const lpool_map *map = what;
    for (size_t i = 0; i < map->group_count; i++) {
        uint32_t number = map->groups[map->first_group + i].number;
        const lp_group *group = lp_executor_group(map->executor, number);
        if (atomic_load(&group->pieces) != 0 ||
            lp_executor_group_is_over(map->executor, number))
            return false;
    }
    return map->group_count > 0 && visit(walk, map->executor);
}

/* Take what is there of groups that matter and was not handed in. */
static int take_early(lpool_map *map)
{
    int status = LP_OK;
    for (size_t i = 0; i < map->group_count && status == LP_OK; i++) {
        const lp_map_group *from = &map->groups[map->first_group + i];
        draining work = {map, from->base};
        const lp_early taker = {count_known, hold_early, &work};
        status = lp_executor_take_early(map->executor, from->number, &taker);
        if (map->ordered) break;
    }
    return status;
}

/* Whether to look for such results while it waits, and how soon again. */
static bool is_impatient(lpool_map *map)
{
    bool some = false;
    for (size_t i = 0; i < map->group_count && !some; i++) {
        uint32_t number = map->groups[map->first_group + i].number;
        some = lp_executor_may_be_early(map->executor, number);
        if (map->ordered) break;
    }
    map->patience *= 2;
    if (map->patience < LEAST_PATIENCE) map->patience = LEAST_PATIENCE;
    if (map->patience > MOST_PATIENCE) map->patience = MOST_PATIENCE;
    return some;
}

/* Wait for a piece of the group that the next item is in. */
static int wait_for_piece(lua_State *L, lp_caller *caller, lpool_map *map,
                          int64_t deadline, bool goes_on)
{
    lp_map_group *from = group_of(map, map->next);
    if (!from) return LP_OK;
    lp_group *group = lp_executor_group(map->executor, from->number);
    const lp_awaited awaited = {
        .outlook = look_out, .what = map, .goes_on = goes_on};
    if (!map->ordered || caller->mailbox.count > 0) {
        for (size_t i = 0; i < map->group_count; i++) {
            lp_group *one = lp_executor_group(
                map->executor, map->groups[map->first_group + i].number);
            atomic_fetch_or(&one->state, LP_NOTIFY);
        }
        return lp_caller_wait(L, caller, is_ready_for_wait, map, &awaited,
                              deadline);
    }
    uint32_t state = atomic_fetch_or(&group->state, LP_WAITED) | LP_WAITED;
    if (is_ready_for_wait(map)) return LP_OK;
    return lp_caller_park_for(caller, &awaited, &group->state, state, deadline);
}

/* The same; and whatever is there of pieces that are in the making. */
static int wait_for_group(lua_State *L, lp_caller *caller, lpool_map *map,
                          int64_t deadline)
{
    bool impatient = is_impatient(map);
    int64_t look = impatient ? lp_clock_after(map->patience) : deadline;
    if (deadline < look) look = deadline;
    int status = wait_for_piece(L, caller, map, look, deadline == LP_NEVER);
    if (status != LP_TIMEOUT || !impatient) return status;
    status = take_early(map);
    if (status != LP_OK || is_ready(map)) return status;
    return look == deadline ? LP_TIMEOUT : LP_OK;
}

int lpool_map_next(lua_State *L, lpool_map *map, int64_t timeout,
                   uint64_t *number, int *count)
{
    if (!map || !number || !count) return LP_INVALID;
    if (!map->executor || map->reading) return LP_INVALID;
    lp_caller *caller;
    int status = lp_caller_enter_for(L, map->executor, &caller);
    if (status != LP_OK) return status;
    if (map->reads) return push_item(L, map, number, count);
    int64_t deadline = lp_clock_after(timeout);
    for (;;) {
        if (map->executor && is_ready(map))
            return push_item(L, map, number, count);
        lpool_dispatch(L);
        if (!map->executor || map->taken == map->submitted) {
            *number = 0;
            *count = 0;
            return LP_OK;
        }
        if (is_ready(map)) continue;
        if (map->starved) return LP_NOMEM;
        if (lp_map_is_stuck(map)) return push_missing(L, map, number);
        status = wait_for_group(L, caller, map, deadline);
        if (status == LP_INTERRUPTED) {
            lp_caller_interrupted(L, caller);
        } else if (status != LP_OK && map->executor && !is_ready(map)) {
            return status;
        }
    }
}

bool lpool_map_is_ready(lpool_map *map)
{
    if (!map) return false;
    return !map->executor || map->taken == map->submitted ||
           is_ready_for_wait(map);
}

uint64_t lpool_map_pending(const lpool_map *map)
{
    if (!map) return 0;
    return map->submitted + map->gathered - map->taken;
}

void lpool_map_close(lpool_map *map, bool cancel)
{
    if (!map) return;
    if (!map->executor) return;
    if (!map->reading) close_piece(map);
    while (map->waiting_count > 0) {
        lp_taken piece = pop_piece(map).piece;
        drop_piece(map, piece.address, piece.bytes);
    }
    map->mark_count = 0;
    for (size_t i = 0; i < map->group_count; i++)
        lp_executor_drop_group(
            map->executor, map->groups[map->first_group + i].number, cancel);
    map->group_count = 0;
    map->taken = map->submitted;
    map->gathered = 0;
    if (map->reading) return; /* push_item lets go of the executor */
    lp_executor *executor = map->executor;
    map->executor = NULL;
    lp_executor_release(executor);
}

void lpool_map_free(lpool_map *map)
{
    if (!map) return;
    map->reading = false;
    lpool_map_close(map, false);
    lp_buffer_clear(&map->head);
    lp_buffer_clear(&map->items);
    lp_free(map->index);
    lp_free(map->groups);
    lp_free(map->waiting);
    lp_free(map->marks);
    lp_free(map->label);
    lp_free(map);
}
