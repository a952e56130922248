/*
 * decode.c - bytes to values; trusts none of them.
 *
 * The mirror of encode.c. Lengths are checked against what is left, numbers
 * against what has been; what is made in advance (table fields) is paid for
 * by bytes of the message, so that a small message cannot ask for much.
 */
#include "codec/decoder.h"

#include "codec/arrival.h"
#include "codec/closure.h"
#include "codec/codec.h"
#include "codec/lookup.h"
#include "codec/scalar.h"

#include <lauxlib.h>
#include <limits.h>

#define LEVEL_SLOTS 16

void lp_decode_number(lua_State *L, const lp_decoder *D, uint32_t number)
{
    if (!(D->flags & LP_FLAG_REFERENCES)) return;
    lua_pushvalue(L, -1);
    lua_rawseti(L, D->base + LP_INPUT_OBJECTS, number);
}

void lp_decode_put_off(lua_State *L, lp_decoder *D)
{
    int list = D->base + LP_INPUT_LATER;

    if (lua_isnil(L, list)) {
        lua_newtable(L);
        lua_replace(L, list);
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, list, (lua_Integer)++D->later_count);
}

int lp_decode_rest(lua_State *L, lp_decoder *D, int depth, uint32_t first)
{
    int top = lua_gettop(L);

    for (uint32_t next = first; next < D->later_count; next++) {
        lua_rawgeti(L, D->base + LP_INPUT_LATER, (lua_Integer)next + 1);
        int status = lua_istable(L, -1) ? lp_decode_inside(L, D, depth)
                                        : lp_closure_fill(L, D, depth);
        if (status != LP_OK) return status;
        lua_settop(L, top);
    }
    D->later_count = first;
    return LP_OK;
}

int lp_decode_call(lua_State *L, lp_decoder *D, int arguments, const char *what)
{
    if (D->paused) lua_gc(L, LUA_GCRESTART);
    int failure = lua_pcall(L, arguments, 1, 0);
    if (D->paused) lua_gc(L, LUA_GCSTOP);
    if (failure == LUA_OK) return LP_OK;
    if (failure == LUA_ERRMEM) return lua_error(L);
    lua_pushstring(L, what);
    (void)luaL_tolstring(L, -2, NULL);
    lua_concat(L, 2);
    lua_remove(L, -2);
    return LP_FAILED;
}

static int decode_string(lua_State *L, lp_decoder *D, uint64_t length)
{
    if (lp_decode_left(D) < length)
        return lp_decode_corrupt(D, "a string that is too long");
    lua_pushlstring(L, (const char *)D->at, (size_t)length);
    D->at += length;
    if (length >= LP_SHARED_STRING) lp_decode_number(L, D, ++D->numbered);
    return LP_OK;
}

static int decode_reference(lua_State *L, lp_decoder *D)
{
    uint32_t number;
    int status = lp_decode_u32(D, &number);

    if (status != LP_OK) return status;
    if (!lua_istable(L, D->base + LP_INPUT_OBJECTS) ||
        lua_rawgeti(L, D->base + LP_INPUT_OBJECTS, number) == LUA_TNIL)
        return lp_decode_corrupt(D, "a reference to nothing");
    return LP_OK;
}

static int decode_handle(lua_State *L, lp_decoder *D)
{
    uint32_t index;
    uint32_t number = ++D->numbered;
    int status = lp_decode_u32(D, &index);

    if (status != LP_OK) return status;
    if (index >= D->handle_count || !D->codec->config.push_handle)
        return lp_decode_corrupt(D, "no such shared object");
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    D->codec->config.push_handle(L, &D->handles[index]);
    lp_decode_number(L, D, number);
    return LP_OK;
}

static int decode_shared(lua_State *L, lp_decoder *D)
{
    uint64_t id;
    uint32_t number = ++D->numbered;
    int status = lp_decode_bytes(D, &id, sizeof(id));

    if (status != LP_OK) return status;
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    if (!D->codec->config.push_shared || !D->codec->config.push_shared(L, id))
        return lp_decode_corrupt(D, "no such shared object");
    lp_decode_number(L, D, number);
    return LP_OK;
}

/* Of n table fields, how many may be made in advance. */
static int in_advance(lp_decoder *D, size_t n)
{
    if (n > D->budget) n = D->budget;
    if (n > INT_MAX / 2) n = INT_MAX / 2;
    D->budget -= n;
    return (int)n;
}

/*
 * Push a table with room for so many items and pairs; unless there is one at
 * the top already, which is to be filled (filled). [-0, +(0|1), m]
 */
static void make_table(lua_State *L, lp_decoder *D, size_t items, size_t pairs,
                       uint32_t number, bool filled)
{
    if (filled) return;
    int item_count = in_advance(D, items);
    lua_createtable(L, item_count, in_advance(D, pairs));
    lp_decode_number(L, D, number);
}

/* NOLINTBEGIN(misc-no-recursion): no deeper than LP_NEST_MOST */

/* The values of a record, of a shape that is known. */
static int decode_record(lua_State *L, lp_decoder *D, unsigned shape, int depth,
                         uint32_t number, bool filled)
{
    lua_Integer first = D->shape_first[shape];
    lua_Integer end = D->shape_first[shape + 1];

    make_table(L, D, 0, (size_t)(end - first), number, filled);
    int table = lua_gettop(L);
    for (lua_Integer i = first; i < end; i++) {
        lua_rawgeti(L, D->base + LP_INPUT_KEYS, i + 1);
        int status = lp_decode_value(L, D, depth + 1);
        if (status != LP_OK) return status;
        lua_rawset(L, table);
    }
    return LP_OK;
}

/* Learn the shape that comes next. [-0, +0, m] */
static int decode_shape(lua_State *L, lp_decoder *D)
{
    int keys = D->base + LP_INPUT_KEYS;
    uint8_t count;
    int status = lp_decode_byte(D, &count);

    if (status != LP_OK) return status;
    if (D->shape_count == LP_SHAPES || count == 0 || count > LP_SHAPE_KEYS)
        return lp_decode_corrupt(D, "a shape too many or too large");
    if (lua_isnil(L, keys)) {
        lua_newtable(L);
        lua_replace(L, keys);
    }
    unsigned at = D->shape_first[D->shape_count];
    for (unsigned i = 0; i < count; i++) {
        uint8_t length;
        status = lp_decode_byte(D, &length);
        if (status != LP_OK) return status;
        if (lp_decode_left(D) < length)
            return lp_decode_corrupt(D, "a key that is too long");
        lua_pushlstring(L, (const char *)D->at, length);
        D->at += length;
        lua_rawseti(L, keys, (lua_Integer)++at);
    }
    D->shape_first[++D->shape_count] = (uint16_t)at;
    return LP_OK;
}

/* Whether the value at the top is neither nil nor not-a-number. */
static bool can_be_key(lua_State *L)
{
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        return false;
    case LUA_TNUMBER:
        return lua_rawequal(L, -1, -1);
    default:
        return true;
    }
}

static int decode_pairs(lua_State *L, lp_decoder *D, int depth, uint32_t number,
                        bool filled)
{
    uint32_t items;
    uint32_t pairs;

    if (lp_decode_u32(D, &items) != 0 || lp_decode_u32(D, &pairs) != 0)
        return LP_CORRUPT;
    make_table(L, D, items, pairs, number, filled);
    int table = lua_gettop(L);
    for (lua_Integer i = 1; i <= (lua_Integer)items; i++) {
        int status = lp_decode_value(L, D, depth + 1);
        if (status != LP_OK) return status;
        lua_rawseti(L, table, i);
    }
    for (uint32_t i = 0; i < pairs; i++) {
        int status = lp_decode_value(L, D, depth + 1);
        if (status != LP_OK) return status;
        if (!can_be_key(L))
            return lp_decode_corrupt(D, "a key that can be none");
        status = lp_decode_value(L, D, depth + 1);
        if (status != LP_OK) return status;
        lua_rawset(L, table);
    }
    return LP_OK;
}

/* What is in a table; it is at the top already if filled. */
static int decode_fields(lua_State *L, lp_decoder *D, uint8_t tag, int depth,
                         uint32_t number, bool filled)
{
    uint8_t shape;
    int status;

    if (depth > LP_NEST_MOST)
        return lp_decode_corrupt(D, "it is nested too deep");
    luaL_checkstack(L, LEVEL_SLOTS, NULL);
    switch (tag) {
    case LP_TAG_EMPTY:
        make_table(L, D, 0, 0, number, filled);
        return LP_OK;
    case LP_TAG_SHAPE:
        status = decode_shape(L, D);
        if (status != LP_OK) return status;
        return decode_record(L, D, D->shape_count - 1, depth, number, filled);
    case LP_TAG_RECORD:
        status = lp_decode_byte(D, &shape);
        if (status != LP_OK) return status;
        if (shape >= D->shape_count)
            return lp_decode_corrupt(D, "no such shape");
        return decode_record(L, D, shape, depth, number, filled);
    case LP_TAG_TABLE:
        return decode_pairs(L, D, depth, number, filled);
    default:
        return lp_decode_corrupt(D, "a table that is none");
    }
}

/* A metatable and what the table has; it is at the top if filled. */
static int decode_object(lua_State *L, lp_decoder *D, int depth,
                         uint32_t number, bool filled)
{
    uint8_t tag;
    int status;

    if (depth > LP_NEST_MOST)
        return lp_decode_corrupt(D, "it is nested too deep");
    luaL_checkstack(L, LEVEL_SLOTS, NULL);
    status = lp_decode_value(L, D, depth + 1);
    if (status != LP_OK) return status;
    if (!lua_istable(L, -1))
        return lp_decode_corrupt(D, "a metatable that is no table");
    if (filled) lua_insert(L, -2);
    int metatable = filled ? lua_gettop(L) - 1 : lua_gettop(L);

    status = lp_decode_byte(D, &tag);
    if (status == LP_OK)
        status = decode_fields(L, D, tag, depth, number, filled);
    if (status != LP_OK) return status;
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, metatable + 1);
    lua_remove(L, metatable);
    return LP_OK;
}

int lp_decode_inside(lua_State *L, lp_decoder *D, int depth)
{
    uint8_t tag;
    int status = lp_decode_byte(D, &tag);

    if (status != LP_OK) return status;
    if (tag == LP_TAG_OBJECT) return decode_object(L, D, depth, 0, true);
    return decode_fields(L, D, tag, depth, 0, true);
}

/* A string with its length in 32 or 64 bits. */
static int decode_long_string(lua_State *L, lp_decoder *D, uint8_t tag)
{
    uint64_t length;
    uint32_t narrow;
    int status;

    if (tag == LP_TAG_STRING64) {
        status = lp_decode_bytes(D, &length, sizeof(length));
    } else {
        status = lp_decode_u32(D, &narrow);
        length = status == LP_OK ? narrow : 0;
    }
    return status == LP_OK ? decode_string(L, D, length) : status;
}

/* Values with something inside, or somewhere else. */
static int decode_composite(lua_State *L, lp_decoder *D, uint8_t tag, int depth)
{
    if (depth > LP_NEST_MOST)
        return lp_decode_corrupt(D, "it is nested too deep");
    switch (tag) {
    case LP_TAG_REFERENCE:
        return decode_reference(L, D);
    case LP_TAG_OBJECT: {
        uint32_t number = ++D->numbered;
        return decode_object(L, D, depth, number, false);
    }
    case LP_TAG_LATER_TABLE:
        make_table(L, D, 0, 0, ++D->numbered, false);
        lp_decode_put_off(L, D);
        return LP_OK;
    case LP_TAG_SERIALIZED:
        luaL_checkstack(L, LEVEL_SLOTS, NULL);
        return lp_arrival_decode_serialized(L, D, depth);
    case LP_TAG_CLASS:
        return lp_arrival_decode_class(L, D);
    case LP_TAG_GLOBALS:
        lua_pushglobaltable(L);
        return LP_OK;
    case LP_TAG_PLAIN:
    case LP_TAG_PLAIN_GLOBALS:
    case LP_TAG_PLAIN_LATER:
    case LP_TAG_CLOSURE:
    case LP_TAG_CLOSURE_LATER:
        return lp_closure_decode(L, D, (lp_tag)tag, depth);
    case LP_TAG_MODULE:
    case LP_TAG_NAMED:
        return lp_lookup_decode(L, D, (lp_tag)tag);
    case LP_TAG_HANDLE:
        return decode_handle(L, D);
    case LP_TAG_SHARED:
        return decode_shared(L, D);
    default:
        return lp_decode_corrupt(D, "an unknown kind of value");
    }
}

int lp_decode_value(lua_State *L, lp_decoder *D, int depth)
{
    uint8_t tag;
    int status = lp_decode_byte(D, &tag);

    if (status != LP_OK) return status;
    if (tag >= LP_TAG_SMALL) {
        lua_pushinteger(L, tag - LP_TAG_SMALL);
        return LP_OK;
    }
    if (tag >= LP_TAG_SHORT) return decode_string(L, D, tag - LP_TAG_SHORT);
    switch (tag) {
    case LP_TAG_NIL:
        lua_pushnil(L);
        return LP_OK;
    case LP_TAG_FALSE:
    case LP_TAG_TRUE:
        lua_pushboolean(L, tag == LP_TAG_TRUE);
        return LP_OK;
    case LP_TAG_INT8:
    case LP_TAG_INT16:
    case LP_TAG_INT32:
    case LP_TAG_INT64:
    case LP_TAG_FLOAT:
    case LP_TAG_LIGHT:
        return lp_scalar_decode(L, D, (lp_tag)tag);
    case LP_TAG_STRING32:
    case LP_TAG_STRING64:
        return decode_long_string(L, D, tag);
    case LP_TAG_EMPTY:
    case LP_TAG_TABLE:
    case LP_TAG_SHAPE:
    case LP_TAG_RECORD:
        return decode_fields(L, D, tag, depth, ++D->numbered, false);
    default:
        return decode_composite(L, D, tag, depth);
    }
}

/* NOLINTEND(misc-no-recursion) */
