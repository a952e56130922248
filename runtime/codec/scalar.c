/* scalar.c - values that have nothing inside. */
#include "codec/scalar.h"

#include <string.h>

static int encode_integer(lp_encoder *E, lua_Integer n)
{
    uint8_t *at = lp_encoder_room(E, 1 + sizeof(n));

    if (!at) return LP_NOMEM;
    if (n >= 0 && n <= 0x7f) {
        *at = (uint8_t)(LP_TAG_SMALL | n);
        E->out->length++;
    } else if (n >= INT8_MIN && n <= INT8_MAX) {
        at[0] = LP_TAG_INT8;
        at[1] = (uint8_t)n;
        E->out->length += 2;
    } else if (n >= INT16_MIN && n <= INT16_MAX) {
        int16_t half = (int16_t)n;
        at[0] = LP_TAG_INT16;
        memcpy(at + 1, &half, sizeof(half));
        E->out->length += 1 + sizeof(half);
    } else if (n >= INT32_MIN && n <= INT32_MAX) {
        at[0] = LP_TAG_INT32;
        lp_format_put32(at + 1, (uint32_t)n);
        E->out->length += 1 + sizeof(uint32_t);
    } else {
        at[0] = LP_TAG_INT64;
        memcpy(at + 1, &n, sizeof(n));
        E->out->length += 1 + sizeof(n);
    }
    return LP_OK;
}

/* Eight bytes after a tag: floats, pointers. */
static int encode_bits(lp_encoder *E, lp_tag tag, const void *bits, size_t size)
{
    uint8_t *at = lp_encoder_room(E, 1 + size);

    if (!at) return LP_NOMEM;
    *at = (uint8_t)tag;
    memcpy(at + 1, bits, size);
    E->out->length += 1 + size;
    return LP_OK;
}

static int encode_short_string(lp_encoder *E, const char *string, size_t length)
{
    size_t head = length < 64 ? 1 : 1 + sizeof(uint32_t);
    uint8_t *at = lp_encoder_room(E, head + length);

    if (!at) return LP_NOMEM;
    if (length < 64) {
        *at = (uint8_t)(LP_TAG_SHORT | length);
    } else {
        *at = LP_TAG_STRING32;
        lp_format_put32(at + 1, (uint32_t)length);
    }
    memcpy(at + head, string, length);
    E->out->length += head + length;
    return LP_OK;
}

/* Whether the string is lent to whoever reads the message. */
static bool is_lent(lua_State *L, const lp_encoder *E, const char *string,
                    size_t length, lp_handle *handle)
{
    const lp_codec_config *config = &E->codec->config;
    /* What is in a class outlives the message. */
    return E->takes_handles && E->parent < 0 && config->lend_string &&
           config->lend_string(L, string, length, handle);
}

/* A string so long that a second copy of it is worth avoiding. */
static int encode_long_string(lua_State *L, lp_encoder *E, const char *string,
                              size_t length, const void *address)
{
    lp_handle handle;
    bool added;
    lp_identity_entry *entry = lp_identity_note(&E->identity, address, &added);

    if (!entry) return LP_NOMEM;
    if (!added) return lp_encode_known(E, entry);
    int status = lp_encode_number(E, entry);
    if (status != LP_OK) return status;

    if (is_lent(L, E, string, length, &handle)) {
        status = lp_encoder_put_tag32(E, LP_TAG_HANDLE,
                                      (uint32_t)E->out->handle_count);
        return status == LP_OK ? lp_buffer_add_handle(E->out, handle) : status;
    }
    if (length <= UINT32_MAX) {
        status = lp_encoder_put_tag32(E, LP_TAG_STRING32, (uint32_t)length);
    } else {
        uint64_t wide = length;
        status = encode_bits(E, LP_TAG_STRING64, &wide, sizeof(wide));
    }
    if (status != LP_OK) return status;
    return lp_buffer_append(E->out, string, length);
}

int lp_scalar_encode_string(lua_State *L, lp_encoder *E, int index)
{
    size_t length;
    const char *string = lua_tolstring(L, index, &length);

    if (length < LP_SHARED_STRING)
        return encode_short_string(E, string, length);
    return encode_long_string(L, E, string, length, lua_topointer(L, index));
}

int lp_scalar_encode(lua_State *L, lp_encoder *E, int index, int type)
{
    switch (type) {
    case LUA_TNIL:
        return lp_encoder_put_tag(E, LP_TAG_NIL);
    case LUA_TBOOLEAN:
        return lp_encoder_put_tag(E, lua_toboolean(L, index) ? LP_TAG_TRUE
                                                             : LP_TAG_FALSE);
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return encode_integer(E, lua_tointeger(L, index));
        lua_Number number = lua_tonumber(L, index);
        return encode_bits(E, LP_TAG_FLOAT, &number, sizeof(number));
    case LUA_TSTRING: {
        size_t length;
        const char *string = lua_tolstring(L, index, &length);
        if (length >= LP_SHARED_STRING) return LP_NO_SCALAR;
        return encode_short_string(E, string, length);
    }
    case LUA_TLIGHTUSERDATA: {
        const void *pointer = lua_touserdata(L, index);
        return encode_bits(E, LP_TAG_LIGHT, &pointer, sizeof(pointer));
    }
    default:
        return LP_NO_SCALAR;
    }
}

int lp_scalar_decode(lua_State *L, lp_decoder *D, lp_tag tag)
{
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        lua_Integer i64;
        lua_Number number;
        void *pointer;
    } as;
    int status;

    switch (tag) {
    case LP_TAG_INT8:
        status = lp_decode_bytes(D, &as.i8, sizeof(as.i8));
        if (status == LP_OK) lua_pushinteger(L, as.i8);
        return status;
    case LP_TAG_INT16:
        status = lp_decode_bytes(D, &as.i16, sizeof(as.i16));
        if (status == LP_OK) lua_pushinteger(L, as.i16);
        return status;
    case LP_TAG_INT32:
        status = lp_decode_bytes(D, &as.i32, sizeof(as.i32));
        if (status == LP_OK) lua_pushinteger(L, as.i32);
        return status;
    case LP_TAG_INT64:
        status = lp_decode_bytes(D, &as.i64, sizeof(as.i64));
        if (status == LP_OK) lua_pushinteger(L, as.i64);
        return status;
    case LP_TAG_FLOAT:
        status = lp_decode_bytes(D, &as.number, sizeof(as.number));
        if (status == LP_OK) lua_pushnumber(L, as.number);
        return status;
    default:
        status = lp_decode_bytes(D, &as.pointer, sizeof(as.pointer));
        if (status == LP_OK) lua_pushlightuserdata(L, as.pointer);
        return status;
    }
}
