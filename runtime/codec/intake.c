/*
 * intake.c - lp_decode: a message from its header to its trailer.
 *
 * Large messages are decoded with the collector at rest, because it would
 * only find that all of it is alive. That takes a protected call, lest an
 * error leave it stopped.
 */
#include "codec/intake.h"

#include "base/hints.h"
#include "codec/arrival.h"
#include "codec/codec.h"
#include "codec/lookup.h"
#include "codec/plain.h"

#include <lauxlib.h>
#include <limits.h>

/* Messages from this size on are large. */
#define LARGE ((size_t)1 << 16)

/* So much may be made behind the collector's back before it runs. */
#define MOST_OWED ((size_t)4 << 20)

static int open_trailer(lp_decoder *D)
{
    size_t size = lp_decode_left(D);

    memset(&D->trailer, 0, sizeof(D->trailer));
    D->classes = D->end;
    if (!(D->flags & LP_FLAG_TRAILER)) return LP_OK;
    if (size < sizeof(D->trailer))
        return lp_decode_corrupt(D, "the trailer is missing");
    size -= sizeof(D->trailer);
    memcpy(&D->trailer, D->at + size, sizeof(D->trailer));
    if (D->trailer.classes > size / LP_CLASS_BYTES)
        return lp_decode_corrupt(D, "the trailer is too long");
    size -= D->trailer.classes * LP_CLASS_BYTES;
    D->classes = D->at + size;
    D->end = D->classes;
    return LP_OK;
}

int lp_intake_open(lp_decoder *D, const uint8_t *bytes, size_t length)
{
    lp_header header;

    D->numbered = 0;
    D->later_count = 0;
    D->shape_count = 0;
    D->shape_first[0] = 0;
    D->handles = NULL;
    D->handle_count = 0;
    D->paused = false;
    D->problem = "";
    if (length < sizeof(header))
        return lp_decode_corrupt(D, "it ends too early");
    memcpy(&header, bytes, sizeof(header));
    if (header.format != LP_FORMAT)
        return lp_decode_corrupt(D, "it begins like no message");
    if (header.length < sizeof(header) || header.length > length)
        return lp_decode_corrupt(D, "its length is wrong");
    D->at = bytes + sizeof(header);
    D->end = bytes + header.length;
    D->count = header.count;
    D->flags = header.flags;
    D->length = header.length;
    D->budget = header.length;
    if (header.count > lp_decode_left(D) || header.count > INT_MAX / 2)
        return lp_decode_corrupt(D, "it has too many values");
    return open_trailer(D);
}

void lp_intake_prepare(lua_State *L, lp_decoder *D, lp_codec *codec)
{
    D->codec = codec;
    D->base = lua_gettop(L) - 1;
    luaL_checkstack(L, LP_INPUT_TOP + LUA_MINSTACK, NULL);
    if (D->flags & LP_FLAG_REFERENCES) {
        size_t objects = D->trailer.objects;
        if (objects > D->budget) objects = D->budget;
        if (objects > INT_MAX / 2) objects = INT_MAX / 2;
        lua_createtable(L, (int)objects, 0);
    } else {
        lua_pushnil(L);
    }
    lua_pushnil(L);
    lua_pushnil(L);
    if (D->trailer.classes > 0) {
        lua_newtable(L);
    } else {
        lua_pushnil(L);
    }
}

/* Push the values of the open message. [-1, +count, e] Takes the context. */
static int read_values(lua_State *L, lp_decoder *D, lp_codec *codec)
{
    int status = LP_OK;

    lp_intake_prepare(L, D, codec);
    if (D->trailer.paths > 0)
        status = lp_lookup_set_paths(L, D, D->trailer.paths);
    if (status == LP_OK && D->trailer.classes > 0)
        status = lp_arrival_classes(L, D);
    if (status != LP_OK) return status;

    if (!lua_checkstack(L, (int)D->count + LUA_MINSTACK)) {
        lua_pushliteral(L, "too many values at once");
        return LP_FAILED;
    }
    for (uint32_t i = 0; i < D->count; i++) {
        status = lp_decode_value(L, D, 0);
        if (status != LP_OK) return status;
    }
    status = lp_decode_rest(L, D, 0, 0);
    if (status == LP_OK && D->at != D->end)
        return lp_decode_corrupt(D, "it goes on after its end");
    if (status != LP_OK) return status;
    lua_rotate(L, D->base + 1, (int)D->count);
    lua_settop(L, D->base + (int)D->count);
    return LP_OK;
}

/* The arguments and result of a protected read_values. */
typedef struct protected_call {
    lp_decoder *D;
    lp_codec *codec;
    int status;
} protected_call;

static int read_protected(lua_State *L)
{
    protected_call *call = lua_touserdata(L, 1);

    lua_settop(L, 0);
    (void)lp_context_push(L);
    call->status = read_values(L, call->D, call->codec);
    return call->status == LP_OK ? (int)call->D->count : 1;
}

/* The bytes that L uses. */
static size_t heap_size(lua_State *L)
{
    return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 +
           (size_t)lua_gc(L, LUA_GCCOUNTB);
}

/*
 * Let the collector catch up, now that the messages before this one may be
 * garbage: it saw nothing of what was made while it rested, and could be
 * left behind for ever by a state that does nothing but decode.
 */
static void collect_owed(lua_State *L, lp_codec *codec)
{
    size_t size = heap_size(L);

    if (size < codec->owed_from) { /* it has run since */
        size_t freed = codec->owed_from - size;
        codec->owed = codec->owed > freed ? codec->owed - freed : 0;
    }
    if (codec->owed > MOST_OWED && codec->owed > size / 2) {
        lua_gc(L, LUA_GCCOLLECT);
        codec->owed = 0;
    }
}

/* The same as read_values, while the collector rests. */
static int read_paused(lua_State *L, lp_decoder *D, lp_codec *codec)
{
    protected_call call = {.D = D, .codec = codec, .status = LP_OK};

    lua_pop(L, 1);
    collect_owed(L, codec);
    size_t before = heap_size(L);
    D->paused = true;
    lua_pushcfunction(L, read_protected);
    lua_pushlightuserdata(L, &call);
    lua_gc(L, LUA_GCSTOP);
    int failure = lua_pcall(L, 1, LUA_MULTRET, 0);
    lua_gc(L, LUA_GCRESTART);
    codec->owed_from = heap_size(L);
    if (codec->owed_from > before) codec->owed += codec->owed_from - before;
    if (failure != LUA_OK) return lua_error(L);
    return call.status;
}

/* lp_decode for a message that is not plain. */
static LP_APART int decode_slowly(lua_State *L, lp_reader *reader, int *count)
{
    lp_decoder D;
    int base = lua_gettop(L);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lp_codec *codec = lp_context_push(L);
    if (!codec) return luaL_error(L, "this state has no codec");

    size_t left = (size_t)(reader->end - reader->at);
    int status = lp_intake_open(&D, reader->at, left);
    if (status == LP_OK) {
        D.handles = reader->handles;
        D.handle_count = reader->handle_count;
        bool pause = D.length >= LARGE && lua_gc(L, LUA_GCISRUNNING) == 1;
        status = pause ? read_paused(L, &D, codec) : read_values(L, &D, codec);
    }
    if (status == LP_OK) {
        reader->at += D.length;
        *count = (int)D.count;
        return LP_OK;
    }
    if (status == LP_CORRUPT)
        lua_pushfstring(L, "a message is corrupt: %s", D.problem);
    lua_insert(L, base + 1);
    lua_settop(L, base + 1);
    return status;
}

int lp_decode(lua_State *L, lp_codec *codec, lp_reader *reader, int *count)
{
    if (lp_plain_decode(L, codec, reader, count)) return LP_OK;
    return decode_slowly(L, reader, count);
}

const char *lp_decode_peek(const lp_reader *reader)
{
    lp_decoder D;

    if (lp_intake_open(&D, reader->at, (size_t)(reader->end - reader->at)) !=
            LP_OK ||
        D.count == 0 || D.at == D.end)
        return "nothing";
    uint8_t tag = *D.at;
    if (tag >= LP_TAG_SMALL) return "number";
    if (tag >= LP_TAG_SHORT) return "string";
    switch ((lp_tag)tag) {
    case LP_TAG_NIL:
        return "nil";
    case LP_TAG_FALSE:
    case LP_TAG_TRUE:
        return "boolean";
    case LP_TAG_INT8:
    case LP_TAG_INT16:
    case LP_TAG_INT32:
    case LP_TAG_INT64:
    case LP_TAG_FLOAT:
        return "number";
    case LP_TAG_STRING32:
    case LP_TAG_STRING64:
        return "string";
    case LP_TAG_LIGHT:
    case LP_TAG_HANDLE:
    case LP_TAG_SHARED:
        return "userdata";
    case LP_TAG_PLAIN:
    case LP_TAG_PLAIN_GLOBALS:
    case LP_TAG_PLAIN_LATER:
    case LP_TAG_CLOSURE:
    case LP_TAG_CLOSURE_LATER:
    case LP_TAG_NAMED:
        return "function";
    case LP_TAG_EMPTY:
    case LP_TAG_TABLE:
    case LP_TAG_SHAPE:
    case LP_TAG_RECORD:
    case LP_TAG_LATER_TABLE:
    case LP_TAG_OBJECT:
    case LP_TAG_SERIALIZED:
    case LP_TAG_CLASS:
    case LP_TAG_GLOBALS:
    case LP_TAG_MODULE:
        return "table";
    case LP_TAG_END:
    case LP_TAG_REFERENCE:
    case LP_TAG_BODY:
    case LP_TAG_JOIN:
    case LP_TAG_RESET:
    case LP_TAG_SHORT:
    case LP_TAG_SMALL:
        break;
    }
    return "nothing";
}
