/*
 * objects.c - objects that tasks share, as userdata and as parts of a parcel;
 * counters and buffers.
 */
#include "api/api.h"
#include "base/status.h"
#include "shared/numbers.h"

#include <assert.h>

static_assert((int)LPOOL_CHANNEL == (int)LP_CHANNEL &&
                  (int)LPOOL_BUFFER == (int)LP_NUMBERS &&
                  (int)LPOOL_F64 == (int)LP_NUMBER_F64,
              "lpool.h and shared mean the same");

static const char *const types[] = {
    [LPOOL_CHANNEL] = LPOOL_CHANNEL_TYPE,
    [LPOOL_COUNTER] = LPOOL_COUNTER_TYPE,
    [LPOOL_DICT] = LPOOL_DICT_TYPE,
    [LPOOL_BUFFER] = LPOOL_BUFFER_TYPE,
};

void lpool_object_retain(lpool_object *object)
{
    if (object) lp_object_retain(lp_object_inner(object));
}

void lpool_object_release(lpool_object *object)
{
    lp_object_release(lp_object_inner(object));
}

lpool_object_kind lpool_object_kind_of(const lpool_object *object)
{
    return object ? (lpool_object_kind)lp_object_inner(object)->kind
                  : (lpool_object_kind)0;
}

bool lp_object_is(const lpool_object *object, lp_object_kind kind)
{
    return object && lp_object_inner(object)->kind == kind;
}

/* ---- userdata ---- */

lpool_object *lpool_test_object(lua_State *L, int index, lpool_object_kind kind)
{
    lpool_object *object = lp_box_test(L, index, LP_MARK_OBJECT);
    return lpool_object_kind_of(object) == kind ? object : NULL;
}

/* Have the metatables, which the module makes. */
static void load_types(lua_State *L)
{
    int top = lua_gettop(L);
    if (luaL_getmetatable(L, LPOOL_CHANNEL_TYPE) != LUA_TTABLE) {
        if (lua_getfield(L, LUA_REGISTRYINDEX, LPOOL_OBJECTS_OPENER) ==
            LUA_TNIL) {
            lua_getglobal(L, "require");
            lua_pushliteral(L, "lpool");
            lua_call(L, 1, 0);
            lua_getfield(L, LUA_REGISTRYINDEX, LPOOL_OBJECTS_OPENER);
        }
        lua_call(L, 0, 0);
    }
    lua_settop(L, top);
}

void lpool_push_object(lua_State *L, lpool_object *object)
{
    load_types(L);
    lpool_object **box = lp_box_new(L, 0, LP_MARK_OBJECT);
    luaL_getmetatable(L, types[lpool_object_kind_of(object)]);
    lua_setmetatable(L, -2);
    lpool_object_retain(object);
    *box = object;
}

/* ---- in parcels ---- */

static void retain(void *object)
{
    lp_object_retain(object);
}

static void release(void *object)
{
    lp_object_release(object);
}

static uint64_t number_of(void *object)
{
    return ((const lp_object *)object)->id;
}

static const struct lp_handle_kind handle_kinds[] = {
    [LP_CHANNEL] = {"a channel", retain, release, number_of},
    [LP_COUNTER] = {"a counter", retain, release, number_of},
    [LP_DICT] = {"a dict", retain, release, number_of},
    [LP_NUMBERS] = {"a buffer", retain, release, number_of},
};

bool lp_object_check(lua_State *L, int index, lp_handle *handle)
{
    lp_object *object = lp_box_test(L, index, LP_MARK_OBJECT);
    if (!object || object->all != lp_caller_of(L)->pool->host.objects)
        return false;
    *handle = (lp_handle){&handle_kinds[object->kind], object};
    return true;
}

const char *lp_object_explain(lua_State *L, int index)
{
    return lp_box_test(L, index, LP_MARK_OBJECT)
               ? "a shared object of another host"
               : NULL;
}

bool lp_object_push_found(lua_State *L, uint64_t number)
{
    lp_object *object;
    lp_caller *caller = lp_caller_of(L);
    load_types(L);
    luaL_checkstack(L, 3, "objects");
    lpool_object **box = lp_box_new(L, 0, LP_MARK_OBJECT);
    if (lp_object_find(caller->pool->host.objects, number, &object) != LP_OK) {
        lua_pop(L, 1);
        return false;
    }
    *box = (lpool_object *)(void *)object;
    luaL_getmetatable(L, types[object->kind]);
    lua_setmetatable(L, -2);
    return true;
}

/* ---- counters and buffers ---- */

int lp_caller_make_object(lua_State *L, lp_object_kind kind, uint64_t first,
                          uint64_t second, lpool_object **out)
{
    lp_caller *caller;
    lp_object *made;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    if (!out) return LP_INVALID;
    status =
        lp_object_make(caller->pool->host.objects, kind, first, second, &made);
    if (status == LP_OK) *out = (lpool_object *)(void *)made;
    return status;
}

int lpool_counter_open(lua_State *L, int64_t value, lpool_object **counter)
{
    return lp_caller_make_object(L, LP_COUNTER, (uint64_t)value, 0, counter);
}

/* NULL: it is no counter. */
static _Atomic int64_t *cell_of(const lpool_object *counter)
{
    if (!lp_object_is(counter, LP_COUNTER)) return NULL;
    return lp_counter_value(lp_object_inner(counter));
}

int64_t lpool_counter_add(lpool_object *counter, int64_t n)
{
    _Atomic int64_t *cell = cell_of(counter);
    if (!cell) return 0;
    return (int64_t)((uint64_t)atomic_fetch_add(cell, n) + (uint64_t)n);
}

int64_t lpool_counter_get(const lpool_object *counter)
{
    _Atomic int64_t *cell = cell_of(counter);
    return cell ? atomic_load(cell) : 0;
}

void lpool_counter_set(lpool_object *counter, int64_t value)
{
    _Atomic int64_t *cell = cell_of(counter);
    if (cell) atomic_store(cell, value);
}

bool lpool_counter_swap(lpool_object *counter, int64_t expected, int64_t wanted)
{
    _Atomic int64_t *cell = cell_of(counter);
    return cell && atomic_compare_exchange_strong(cell, &expected, wanted);
}

int lpool_buffer_open(lua_State *L, lpool_number type, uint64_t count,
                      lpool_object **buffer)
{
    if ((unsigned)type > LPOOL_F64) return LP_INVALID;
    return lp_caller_make_object(L, LP_NUMBERS, type, count, buffer);
}

void *lpool_buffer_numbers(lpool_object *buffer, lpool_number *type,
                           uint64_t *count)
{
    if (!lp_object_is(buffer, LP_NUMBERS)) return NULL;
    const lp_object *inner = lp_object_inner(buffer);
    if (type) *type = (lpool_number)lp_numbers_type(inner);
    if (count) *count = lp_numbers_count(inner);
    return inner->memory;
}
