/* plain.c - the shortest way through the codec. */
#include "codec/plain.h"

#include "codec/format.h"

#include <lauxlib.h>

/* Values of a plain message at most, and bytes of a string. */
#define MOST_VALUES 8
#define MOST_BYTES  63

/* What such a message takes at most. */
#define ROOM (sizeof(lp_header) + MOST_VALUES * (MOST_BYTES + 1))

static uint8_t *put_number(uint8_t *at, lp_tag tag, const void *number)
{
    *at = (uint8_t)tag;
    memcpy(at + 1, number, 8);
    return at + 9;
}

static uint8_t *put_integer(uint8_t *at, int64_t value)
{
    if (value >= 0 && value < 128) {
        *at = (uint8_t)(LP_TAG_SMALL + value);
        return at + 1;
    }
    if (value == (int32_t)value) {
        int32_t narrow = (int32_t)value;
        *at = LP_TAG_INT32;
        memcpy(at + 1, &narrow, sizeof(narrow));
        return at + 1 + sizeof(narrow);
    }
    return put_number(at, LP_TAG_INT64, &value);
}

static uint8_t *put_function(lua_State *L, const lp_codec *codec, int index,
                             uint8_t *at)
{
    if (!codec || lua_topointer(L, index) != codec->last_sent) return NULL;
    *at = LP_TAG_PLAIN;
    lp_format_put32(at + 1, codec->last_sent_number);
    return at + 1 + sizeof(uint32_t);
}

/* Put the value at index; NULL if it is not plain. */
static uint8_t *put_value(lua_State *L, const lp_codec *codec, int index,
                          uint8_t *at)
{
    size_t length;
    const char *text;
    lua_Number number;

    switch (lua_type(L, index)) {
    case LUA_TNIL:
        *at = LP_TAG_NIL;
        return at + 1;
    case LUA_TBOOLEAN:
        *at = lua_toboolean(L, index) ? LP_TAG_TRUE : LP_TAG_FALSE;
        return at + 1;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return put_integer(at, lua_tointeger(L, index));
        number = lua_tonumber(L, index);
        return put_number(at, LP_TAG_FLOAT, &number);
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &length);
        if (length > MOST_BYTES) return NULL;
        *at = (uint8_t)(LP_TAG_SHORT + length);
        memcpy(at + 1, text, length);
        return at + 1 + length;
    case LUA_TFUNCTION:
        return put_function(L, codec, index, at);
    default:
        return NULL;
    }
}

bool lp_plain_encode(lua_State *L, const lp_codec *codec, int first, int count,
                     lp_buffer *out)
{
    if (count > MOST_VALUES || lp_buffer_reserve(out, ROOM) != LP_OK)
        return false;
    uint8_t *start = out->bytes + out->length;
    uint8_t *at = start + sizeof(lp_header);
    for (int i = 0; i < count; i++) {
        at = put_value(L, codec, first + i, at);
        if (!at) return false;
    }
    const lp_header header = {
        .format = LP_FORMAT,
        .count = (uint32_t)count,
        .length = (uint64_t)(at - start),
    };
    memcpy(start, &header, sizeof(header));
    out->length += header.length;
    return true;
}

/* Push the value at *at, which moves on; false if it is not plain. */
static bool push_value(lua_State *L, const lp_codec *codec, const uint8_t **at,
                       const uint8_t *end)
{
    uint8_t tag = *(*at)++;
    size_t left = (size_t)(end - *at);

    if (tag >= LP_TAG_SMALL) {
        lua_pushinteger(L, tag - LP_TAG_SMALL);
    } else if (tag >= LP_TAG_SHORT) {
        size_t length = (size_t)tag - LP_TAG_SHORT;
        if (length > left) return false;
        lua_pushlstring(L, (const char *)*at, length);
        *at += length;
    } else if (tag == LP_TAG_NIL) {
        lua_pushnil(L);
    } else if (tag == LP_TAG_TRUE || tag == LP_TAG_FALSE) {
        lua_pushboolean(L, tag == LP_TAG_TRUE);
    } else if (tag == LP_TAG_INT32 && left >= 4) {
        int32_t value;
        memcpy(&value, *at, sizeof(value));
        lua_pushinteger(L, value);
        *at += sizeof(value);
    } else if (tag == LP_TAG_INT64 && left >= 8) {
        int64_t value;
        memcpy(&value, *at, sizeof(value));
        lua_pushinteger(L, value);
        *at += sizeof(value);
    } else if (tag == LP_TAG_FLOAT && left >= 8) {
        lua_Number value;
        memcpy(&value, *at, sizeof(value));
        lua_pushnumber(L, value);
        *at += sizeof(value);
    } else if (tag == LP_TAG_PLAIN && left >= 4 && codec) {
        uint32_t number = lp_format_get32(*at);
        if (number == 0 || number != codec->last_received) return false;
        lua_rawgeti(L, LUA_REGISTRYINDEX, codec->last_received_at);
        *at += sizeof(number);
    } else {
        return false;
    }
    return true;
}

bool lp_plain_decode(lua_State *L, const lp_codec *codec, lp_reader *reader,
                     int *count)
{
    lp_header header;
    size_t left = (size_t)(reader->end - reader->at);

    if (left < sizeof(header)) return false;
    memcpy(&header, reader->at, sizeof(header));
    if (header.format != LP_FORMAT || header.flags != 0 ||
        header.count > MOST_VALUES || header.length > left ||
        header.length < sizeof(header) + header.count)
        return false;

    const uint8_t *at = reader->at + sizeof(header);
    const uint8_t *end = reader->at + header.length;
    int base = lua_gettop(L);
    if (header.count > 0) luaL_checkstack(L, MOST_VALUES + 1, NULL);
    for (uint32_t i = 0; i < header.count; i++) {
        if (at == end || !push_value(L, codec, &at, end)) {
            lua_settop(L, base);
            return false;
        }
    }
    if (at != end) {
        lua_settop(L, base);
        return false;
    }
    reader->at = end;
    *count = (int)header.count;
    return true;
}

void lp_plain_sent(lua_State *L, lp_codec *codec, int context, int index,
                   uint32_t number)
{
    codec->last_sent = lua_topointer(L, index);
    codec->last_sent_number = number;
    /* Alive, its address is no other function's. */
    lua_pushvalue(L, index);
    (void)lua_setiuservalue(L, context, LP_SLOT_SENT_PLAIN);
}

void lp_plain_received(lua_State *L, lp_codec *codec, uint32_t number)
{
    if (codec->last_received == number || codec->closed) return;
    codec->last_received = 0;
    lua_pushvalue(L, -1);
    if (codec->last_received_at == LUA_NOREF) {
        codec->last_received_at = luaL_ref(L, LUA_REGISTRYINDEX);
    } else {
        lua_rawseti(L, LUA_REGISTRYINDEX, codec->last_received_at);
    }
    codec->last_received = number;
}
