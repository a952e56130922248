/* map_items.c - gathering the items of a map, and submitting them. */
#include "api/map_private.h"
#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

/*
 * Tables that the function brings along are copied for each item, unless
 * that is so much that a batch of items shares one copy.
 */
#define FRESH_TABLES 4096u

/* Integers of a list that are gathered in one go. */
#define INTEGERS 1024u

#define HEADER 8u /* of an item that is a message: its length, times four */

/* A map with nothing but a name. */
static lpool_map *new_map(lp_caller *caller, const char *label)
{
    const lp_allocator *allocator = caller->pool->host.allocator;
    lpool_map *map = lp_calloc(allocator, 1, sizeof(*map));
    if (!map) return NULL;
    map->allocator = allocator;
    if (label && !(map->label = lp_alloc_text(allocator, label))) {
        lp_free(map);
        return NULL;
    }
    return map;
}

int lpool_map_open(lua_State *L, lpool_executor *executor,
                   const lpool_map_config *config, lpool_map **out)
{
    lp_caller *caller;
    int status = lp_caller_enter_for(L, lp_executor_inner(executor), &caller);
    if (status != LP_OK) return status;
    if (!config || !out || lua_gettop(L) < 1) return LP_INVALID;
    if (config->size != sizeof(*config)) return LP_VERSION;
    int function = lua_gettop(L);
    lp_message_info info = {0};
    lp_caller_collect(L, caller);
    lp_buffer *buffer = lp_caller_open_buffer(L, caller);
    status = lp_caller_encode(L, caller, lp_executor_inner(executor), function,
                              1, LP_ROLE_CALL, buffer, &info);
    lpool_map *map = NULL;
    if (status == LP_OK) {
        map = new_map(caller, config->options.label);
        status = map ? LP_OK : LP_NOMEM;
    }
    if (status == LP_OK) {
        int level = config->level > 0 ? (int)config->level : 1;
        map->origin = lp_caller_origin(L, caller, level);
        lp_buffer_init(&map->items, map->allocator);
        map->executor = lp_executor_inner(executor);
        lp_executor_retain(map->executor);
        map->serial = 1 + atomic_fetch_add(&caller->pool->host.maps, 1);
        map->chunk = config->chunk;
        map->ordered = config->ordered;
        map->timeout = config->options.timeout > 0
                           ? config->options.timeout
                           : lp_executor_setup(map->executor)->timeout;
        map->retries = config->options.retries;
        map->priority = config->options.priority;
        map->assigns =
            info.assigns || (info.tables && buffer->length <= FRESH_TABLES);
        map->form = LP_FORM_INTEGERS;
        map->head = *buffer;
        lp_buffer_init(buffer, map->allocator);
        *out = map;
    }
    lp_caller_close_buffer(L, caller, buffer);
    if (status == LP_UNSENDABLE) {
        lua_replace(L, function);
    } else {
        lua_settop(L, function - 1);
    }
    return status;
}

/* ---- submitting ---- */

static int make_group_room(lpool_map *map)
{
    if (map->first_group + map->group_count < map->group_room) return LP_OK;
    size_t room = 2 * (map->first_group + map->group_count) + 4;
    lp_map_group *groups =
        lp_realloc(map->allocator, map->groups, room * sizeof(*groups));
    if (!groups) return LP_NOMEM;
    map->groups = groups;
    map->group_room = room;
    return LP_OK;
}

/* Move the gathered handles to the group. */
static int move_handles(lpool_map *map, lp_load *load)
{
    lp_buffer *items = &map->items;
    if (items->handle_count == 0) return LP_OK;
    load->handles = lp_alloc(map->allocator, sizeof(*load->handles));
    if (!load->handles) return LP_NOMEM;
    load->handles->next = NULL;
    load->handles->items = items->handles;
    load->handles->count = items->handle_count;
    items->handles = NULL;
    items->handle_count = items->handle_capacity = 0;
    return LP_OK;
}

/* Items find the handles of the head in front of their own. */
static int begin_handles(lpool_map *map)
{
    for (size_t i = 0; i < map->head.handle_count; i++) {
        if (lp_buffer_add_handle(&map->items, map->head.handles[i]) != LP_OK)
            return LP_NOMEM;
    }
    return LP_OK;
}

/* Submit count items of this form, numbered as content and range say. */
static int submit_group(lpool_map *map, uint32_t count, lp_form form,
                        const lp_group_content *content, int64_t first,
                        int64_t step)
{
    uint32_t number;
    if (make_group_room(map) != LP_OK) return LP_NOMEM;
    const lp_group_about about = {
        .origin = map->origin, .label = map->label, .base = map->submitted};
    int status = lp_executor_new_group(map->executor, &about, &number);
    if (status != LP_OK) return status;
    lp_load *load = lp_executor_load(map->executor, number);
    load->serial = map->serial;
    load->chunk = map->chunk;
    load->form = form;
    load->assigns = map->assigns;
    load->timeout = map->timeout;
    load->retries = map->retries;
    load->first = first;
    load->step = step;
    status = lp_executor_fill_group(map->executor, number, content);
    if (status == LP_OK) status = move_handles(map, load);
    if (status == LP_OK)
        status = lp_executor_queue_group(map->executor, number, count,
                                         map->priority);
    if (status != LP_OK) {
        lp_executor_drop_group(map->executor, number, true);
        return status;
    }
    map->groups[map->first_group + map->group_count++] = (lp_map_group){
        .number = number, .count = count, .base = map->submitted};
    map->submitted += count;
    return LP_OK;
}

int lpool_map_flush(lpool_map *map)
{
    if (!map) return LP_INVALID;
    if (map->gathered == 0) return LP_OK;
    const lp_group_content content = {
        .index = map->index,
        .index_count = lp_group_index_count(map->form, (uint32_t)map->gathered),
        .items = map->items.bytes,
        .items_length = map->items.length,
        .head = map->head.bytes,
        .head_length = map->head.length,
    };
    uint32_t count = (uint32_t)map->gathered;
    int status = submit_group(map, count, map->form, &content, 0, 0);
    map->gathered = 0;
    map->form = LP_FORM_INTEGERS;
    if (map->items.capacity > (size_t)1 << 20) {
        lp_buffer_clear(&map->items);
    } else {
        lp_buffer_reset(&map->items);
    }
    return status;
}

int lpool_map_add_range(lpool_map *map, int64_t first, int64_t step,
                        uint64_t count)
{
    if (!map || !map->executor) return LP_INVALID;
    int status = lpool_map_flush(map);
    while (count > 0 && status == LP_OK) {
        uint32_t some =
            count < LP_GROUP_ITEMS ? (uint32_t)count : LP_GROUP_ITEMS;
        const lp_group_content content = {.head = map->head.bytes,
                                          .head_length = map->head.length};
        status = begin_handles(map);
        if (status == LP_OK)
            status =
                submit_group(map, some, LP_FORM_RANGE, &content, first, step);
        first = (int64_t)((uint64_t)first + (uint64_t)step * some);
        count -= some;
    }
    return status;
}

/* ---- gathering ---- */

/* Note where the item that begins now is, if the index wants to know. */
static int note_index(lpool_map *map)
{
    if (map->gathered % LP_GROUP_STRIDE != 0) return LP_OK;
    size_t at = (size_t)(map->gathered / LP_GROUP_STRIDE);
    if (at == map->index_room) {
        size_t room = 2 * map->index_room + 16;
        uint64_t *index =
            lp_realloc(map->allocator, map->index, room * sizeof(*index));
        if (!index) return LP_NOMEM;
        map->index = index;
        map->index_room = room;
    }
    map->index[at] = map->items.length;
    return LP_OK;
}

/* Encode the count values from stack index first as an item. */
static int gather_message(lua_State *L, lpool_map *map, int first, int count)
{
    lp_buffer *items = &map->items;
    int status = note_index(map);
    size_t begin = items->length, handles = items->handle_count;
    if (status == LP_OK) status = lp_buffer_reserve(items, HEADER);
    if (status != LP_OK) return status;
    items->length += HEADER;
    lp_message_info info = {0};
    status = lp_caller_encode(L, lp_caller_of(L), map->executor, first, count,
                              LP_ROLE_ARGUMENTS, items, &info);
    if (status != LP_OK) {
        items->length = begin;
        items->handle_count = handles;
        return status;
    }
    uint64_t header = (items->length - begin - HEADER) * 4;
    memcpy(items->bytes + begin, &header, HEADER);
    map->gathered++;
    return LP_OK;
}

/* Items that were integers so far become messages. */
static int use_messages(lua_State *L, lpool_map *map)
{
    lp_buffer integers = map->items;
    uint64_t count = map->gathered;
    lp_buffer_init(&map->items, map->allocator);
    map->form = LP_FORM_MESSAGES;
    map->gathered = 0;
    int status = begin_handles(map);
    for (uint64_t i = 0; i < count && status == LP_OK; i++) {
        int64_t value;
        memcpy(&value, integers.bytes + i * 8, sizeof(value));
        lua_pushinteger(L, value);
        status = gather_message(L, map, lua_gettop(L), 1);
        lua_pop(L, 1);
    }
    lp_buffer_clear(&integers);
    return status;
}

/* Gather the count values from stack index first on as one item. */
static int gather(lua_State *L, lpool_map *map, int first, int count)
{
    if (map->form == LP_FORM_INTEGERS) {
        if (count == 1 && lua_isinteger(L, first)) {
            int64_t value = lua_tointeger(L, first);
            if (map->gathered == 0 && begin_handles(map) != LP_OK)
                return LP_NOMEM;
            int status = lp_buffer_append(&map->items, &value, sizeof(value));
            if (status == LP_OK) map->gathered++;
            return status;
        }
        int status = use_messages(L, map);
        if (status != LP_OK) return status;
    }
    return gather_message(L, map, first, count);
}

/* Push the arguments that the list at index holds; gives how many. */
static int spread_list(lua_State *L, int index)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    lua_pushliteral(L, "n");
    if (lua_rawget(L, index) == LUA_TNUMBER) count = lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, (int)count, "arguments");
    for (lua_Integer i = 1; i <= count; i++)
        lua_rawgeti(L, index, i);
    return (int)count;
}

/*
 * Gather the integers that come next in the list at index, up to the first
 * element that is none. How many, or an error.
 */
static int64_t gather_integers(lua_State *L, lpool_map *map, int index,
                               int64_t first, int64_t last)
{
    if (map->form != LP_FORM_INTEGERS) return 0;
    size_t room = LP_GROUP_ITEMS - (size_t)map->gathered;
    uint64_t left = (uint64_t)last - (uint64_t)first;
    if (left < room) room = (size_t)left + 1;
    if (room > INTEGERS) room = INTEGERS;
    if (map->gathered == 0 && begin_handles(map) != LP_OK) return LP_NOMEM;
    lp_buffer *items = &map->items;
    if (lp_buffer_reserve(items, room * sizeof(int64_t)) != LP_OK)
        return LP_NOMEM;
    size_t count = 0;
    for (; count < room; count++) {
        lua_rawgeti(L, index, first + (int64_t)count);
        if (!lua_isinteger(L, -1)) break;
        int64_t value = lua_tointeger(L, -1);
        memcpy(items->bytes + items->length, &value, sizeof(value));
        items->length += sizeof(value);
        lua_pop(L, 1);
    }
    if (count < room) lua_pop(L, 1);
    map->gathered += count;
    return (int64_t)count;
}

/* Gather one element of a list; after LP_UNSENDABLE a text is on the stack. */
static int gather_element(lua_State *L, lpool_map *map, int index, int64_t i,
                          bool spread)
{
    int base = lua_gettop(L) + 1, status;
    lua_rawgeti(L, index, i);
    if (spread && lua_istable(L, base)) {
        int count = spread_list(L, base);
        status = gather(L, map, base + 1, count);
    } else {
        status = gather(L, map, base, 1);
    }
    if (status == LP_UNSENDABLE) {
        lua_pushfstring(L, "item %I: %s", (LUAI_UACINT)i, lua_tostring(L, -1));
        lua_replace(L, base);
        base++;
    }
    lua_settop(L, base - 1);
    return status;
}

int lpool_map_add_list(lua_State *L, lpool_map *map, int index, int64_t first,
                       int64_t last, bool spread)
{
    lp_caller *caller;
    if (!map) return LP_INVALID;
    int status = lp_caller_enter_for(L, map->executor, &caller);
    if (status != LP_OK) return status;
    if (!lua_istable(L, index)) return LP_INVALID;
    luaL_checkstack(L, 4, "items");
    for (int64_t i = first; i <= last && status == LP_OK;) {
        int64_t taken = gather_integers(L, map, index, i, last);
        if (taken < 0) return (int)taken;
        if (taken == 0) status = gather_element(L, map, index, i, spread);
        i += taken > 0 ? taken : 1;
        if (map->gathered == LP_GROUP_ITEMS && status == LP_OK)
            status = lpool_map_flush(map);
    }
    return status;
}

int lpool_map_add(lua_State *L, lpool_map *map, int nargs)
{
    lp_caller *caller;
    if (!map) return LP_INVALID;
    int status = lp_caller_enter_for(L, map->executor, &caller);
    if (status != LP_OK) return status;
    if (nargs < 0 || nargs > lua_gettop(L)) return LP_INVALID;
    int first = lua_gettop(L) - nargs + 1;
    return lp_leave_text(L, first, gather(L, map, first, nargs));
}
