/* dicts.c - keys as bytes, and values in and out. */
#include "api/api.h"
#include "base/status.h"
#include "shared/dict.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* The first byte of a key says what it is. */
enum {
    KEY_STRING = 's',
    KEY_INTEGER = 'i',
    KEY_FLOAT = 'f',
    KEY_BOOLEAN = 'b'
};

int lpool_dict_open(lua_State *L, lpool_object **dict)
{
    return lp_caller_make_object(L, LP_DICT, 0, 0, dict);
}

bool lpool_dict_is_key(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
    case LUA_TBOOLEAN:
        return true;
    case LUA_TNUMBER:
        return lua_isinteger(L, index) || !isnan(lua_tonumber(L, index));
    default:
        return false;
    }
}

/* Append the key at index, which is one. */
static int put_key(lua_State *L, int index, lp_buffer *out)
{
    uint8_t kind = KEY_STRING;
    size_t length;
    lua_Integer integer;
    lua_Number number;
    const void *bytes;
    char boolean;
    int is_integer;
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        kind = KEY_BOOLEAN;
        boolean = (char)lua_toboolean(L, index);
        bytes = &boolean;
        length = 1;
        break;
    case LUA_TNUMBER:
        /* As in tables, 1.0 is 1. */
        integer = lua_tointegerx(L, index, &is_integer);
        number = lua_tonumber(L, index);
        kind = is_integer ? KEY_INTEGER : KEY_FLOAT;
        bytes = is_integer ? (const void *)&integer : (const void *)&number;
        length = is_integer ? sizeof(integer) : sizeof(number);
        break;
    default:
        bytes = lua_tolstring(L, index, &length);
    }
    int status = lp_buffer_append(out, &kind, 1);
    return status == LP_OK ? lp_buffer_append(out, bytes, length) : status;
}

/* Push the key of these bytes; false: they are none. */
static bool push_key(lua_State *L, const uint8_t *bytes, size_t length)
{
    lua_Integer integer;
    lua_Number number;
    if (length == 0) return false;
    const uint8_t *at = bytes + 1;
    length--;
    switch (bytes[0]) {
    case KEY_STRING:
        lua_pushlstring(L, (const char *)at, length);
        return true;
    case KEY_BOOLEAN:
        if (length != 1) return false;
        lua_pushboolean(L, at[0]);
        return true;
    case KEY_INTEGER:
        if (length != sizeof(integer)) return false;
        memcpy(&integer, at, sizeof(integer));
        lua_pushinteger(L, integer);
        return true;
    case KEY_FLOAT:
        if (length != sizeof(number)) return false;
        memcpy(&number, at, sizeof(number));
        lua_pushnumber(L, number);
        return true;
    default:
        return false;
    }
}

/* What one use of a dict works with: a buffer that begins with the key. */
typedef struct usage {
    lp_caller *caller;
    lp_object *dict;
    lp_buffer *buffer;
    size_t key_length;
} usage;

/* Begin with the key at index. */
static int begin(lua_State *L, usage *work, lpool_object *dict, int index)
{
    int status = lp_caller_enter_with(L, dict, LP_DICT, &work->caller);
    if (status != LP_OK) return status;
    if (!lpool_dict_is_key(L, index)) return LP_INVALID;
    work->dict = lp_object_inner(dict);
    work->buffer = lp_caller_open_buffer(L, work->caller);
    status = put_key(L, index, work->buffer);
    work->key_length = work->buffer->length;
    if (status != LP_OK) lp_caller_close_buffer(L, work->caller, work->buffer);
    return status;
}

static int end(lua_State *L, const usage *work, int status)
{
    lp_caller_close_buffer(L, work->caller, work->buffer);
    return status;
}

/* A number that no other state has while this one lives. */
static uint64_t maker_of(const lp_caller *caller)
{
    return (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)caller;
}

/* Push the value; and about it. */
static int get(lua_State *L, const usage *work, lp_dict_about *about)
{
    lp_buffer *buffer = work->buffer;
    lp_buffer copy;
    /* The key is in the buffer that grows. */
    lp_buffer_init(&copy, buffer->allocator);
    int status = lp_buffer_append(&copy, buffer->bytes, work->key_length);
    buffer->length = work->key_length;
    if (status == LP_OK)
        status = lp_dict_get(work->dict, copy.bytes, work->key_length, buffer,
                             about);
    lp_buffer_clear(&copy);
    if (status != LP_OK) return status;
    if (about->version == 0) {
        lua_pushnil(L);
        return LP_OK;
    }
    return lp_caller_decode_value(L, buffer->bytes + work->key_length,
                                  buffer->length - work->key_length);
}

/* Set it to the value on top, if the version is this one. [-0, +0 or 1, e] */
static int set(lua_State *L, const usage *work, uint64_t version)
{
    lp_buffer *buffer = work->buffer;
    const lp_dict_about about = {version, maker_of(work->caller)};
    int status = LP_OK;
    buffer->length = work->key_length;
    if (!lua_isnil(L, -1))
        status = lp_caller_encode_value(L, work->caller, buffer);
    if (status != LP_OK) return status;
    return lp_dict_set(work->dict, buffer->bytes, work->key_length,
                       buffer->bytes + work->key_length,
                       buffer->length - work->key_length, &about);
}

int lpool_dict_get(lua_State *L, lpool_object *dict)
{
    usage work;
    lp_dict_about about;
    int status = begin(L, &work, dict, -1);
    if (status == LP_THREAD || !L) return status;
    if (status == LP_OK) status = end(L, &work, get(L, &work, &about));
    int pushed = status == LP_OK || status == LP_FAILED;
    lua_remove(L, -1 - pushed);
    return status;
}

int lpool_dict_set(lua_State *L, lpool_object *dict)
{
    usage work;
    int status = begin(L, &work, dict, -2);
    if (status == LP_THREAD || !L) return status;
    if (status == LP_OK) status = end(L, &work, set(L, &work, LP_ANY_VERSION));
    int pushed = status == LP_UNSENDABLE;
    lua_rotate(L, -2 - pushed, pushed);
    lua_pop(L, 2);
    return status;
}

int lpool_dict_update(lua_State *L, lpool_object *dict)
{
    usage work;
    lp_dict_about about, before = {0};
    int status = lp_caller_enter(L, &work.caller);
    if (status == LP_THREAD || !L) return status;
    int key = lua_gettop(L) - 1;
    luaL_checkstack(L, 4, "update");
    for (bool again = false;; again = true) {
        lua_settop(L, key + 1);
        lua_pushvalue(L, key + 1);
        status = begin(L, &work, dict, key);
        if (status != LP_OK) break;
        status = end(L, &work, get(L, &work, &about));
        if (status != LP_OK) break;
        if (again && about.version != before.version &&
            about.maker == maker_of(work.caller)) {
            status = LP_DEADLOCK; /* it would do so again */
            break;
        }
        lua_call(L, 1, 1); /* it may use the dict, too */
        status = begin(L, &work, dict, key);
        if (status != LP_OK) break;
        status = end(L, &work, set(L, &work, about.version));
        if (status != LP_FAILED) break;
        before = about;
    }
    bool pushed =
        status == LP_OK || status == LP_UNSENDABLE || status == LP_FAILED;
    if (pushed) lua_replace(L, key);
    lua_settop(L, pushed ? key : key - 1);
    return status;
}

/* Put the entries of a snapshot into the table on top. */
static int list(lua_State *L, const lp_buffer *snapshot)
{
    const uint8_t *at = snapshot->bytes;
    const uint8_t *last = at + snapshot->length;
    while (at < last) {
        uint64_t lengths[2];
        if ((size_t)(last - at) < sizeof(lengths)) return LP_CORRUPT;
        memcpy(lengths, at, sizeof(lengths));
        at += sizeof(lengths);
        size_t rest = (size_t)(last - at);
        if (lengths[0] > rest || lengths[1] > rest - lengths[0] ||
            !push_key(L, at, (size_t)lengths[0]))
            return LP_CORRUPT;
        at += lengths[0];
        int status = lp_caller_decode_value(L, at, (size_t)lengths[1]);
        if (status != LP_OK) return status;
        lua_rawset(L, -3);
        at += lengths[1];
    }
    return LP_OK;
}

int lpool_dict_copy(lua_State *L, lpool_object *dict)
{
    lp_caller *caller;
    int status = lp_caller_enter_with(L, dict, LP_DICT, &caller);
    if (status != LP_OK) return status;
    int top = lua_gettop(L);
    luaL_checkstack(L, 6, "dict");
    lp_buffer *buffer = lp_caller_open_buffer(L, caller);
    status = lp_dict_snapshot(lp_object_inner(dict), buffer);
    lua_newtable(L);
    if (status == LP_OK) status = list(L, buffer);
    lp_caller_close_buffer(L, caller, buffer);
    if (status == LP_FAILED) lua_replace(L, top + 1);
    lua_settop(L, status == LP_OK || status == LP_FAILED ? top + 1 : top);
    return status;
}
