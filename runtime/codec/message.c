/*
 * message.c - lp_encode: an encoder, its messages, and what goes around them.
 *
 * First the message of the call is written. The classes it named are then
 * encoded as messages of their own, which may name further classes; only
 * when all are in the library are their numbers known for the trailer.
 */
#include "codec/message.h"

#include "base/alloc.h"
#include "base/hints.h"
#include "codec/class.h"
#include "codec/codec.h"
#include "codec/culprit.h"
#include "codec/names.h"
#include "codec/plain.h"
#include "codec/shape.h"

#include <lauxlib.h>
#include <string.h>

/* More memory than this is not kept for the next call. */
#define SPARE_BYTES ((size_t)1 << 20)

void lp_encoder_clear(lp_encoder *E)
{
    lp_identity_clear(&E->identity);
    lp_free(E->uses);
    lp_free(E->locals);
    lp_free(E->shapes);
    lp_buffer_clear(&E->dump);
    lp_buffer_clear(&E->entry);
    lp_buffer_clear(&E->globals);
    lp_buffer_clear(&E->content);
    lp_buffer_clear(&E->reason);
    lp_buffer_clear(&E->fields);
    lp_buffer_clear(&E->trail);
    memset(E, 0, sizeof(*E));
}

/* [-0, +0, -] The context is alive: it is a user value of the encoder. */
static int collect_encoder(lua_State *L)
{
    lp_encoder *E = lua_touserdata(L, 1);

    if (E->codec && E->codec->anchored == E) {
        E->codec->spare = NULL;
        E->codec->closed = true;
    }
    lp_encoder_clear(E);
    return 0;
}

static void set_allocator(lp_encoder *E, const lp_allocator *allocator)
{
    E->identity.allocator = allocator;
    lp_buffer_init(&E->dump, allocator);
    lp_buffer_init(&E->entry, allocator);
    lp_buffer_init(&E->globals, allocator);
    lp_buffer_init(&E->content, allocator);
    lp_buffer_init(&E->reason, allocator);
    lp_buffer_init(&E->fields, allocator);
    lp_buffer_init(&E->trail, allocator);
}

/* Push an encoder that nobody uses. [-0, +1, m] */
static lp_encoder *take_encoder(lua_State *L, lp_codec *codec, int context)
{
    lp_encoder *E = codec->spare;

    if (E) {
        codec->spare = NULL;
        (void)lua_getiuservalue(L, context, LP_SLOT_ENCODER);
        return E;
    }
    E = lua_newuserdatauv(L, sizeof(*E), 1);
    memset(E, 0, sizeof(*E));
    E->codec = codec;
    set_allocator(E, codec->config.allocator);
    lua_pushvalue(L, context);
    (void)lua_setiuservalue(L, -2, 1); /* it has one */
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_encoder);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return E;
}

static void trim(lp_buffer *buffer)
{
    if (buffer->capacity > SPARE_BYTES) lp_buffer_clear(buffer);
}

/*
 * Make the encoder of this call the spare one, if there is none. After a Lua
 * error this is not reached, and the collector takes the encoder.
 */
static void give_back(lua_State *L, lp_encoder *E)
{
    lp_codec *codec = E->codec;

    if (codec->closed) lp_encoder_clear(E); /* nothing is collected any more */
    if (codec->closed || codec->spare) return;
    if (codec->anchored != E) {
        lua_pushvalue(L, E->base + LP_BASE_ENCODER);
        (void)lua_setiuservalue(L, E->base + LP_BASE_CONTEXT,
                                LP_SLOT_ENCODER); /* the slot exists */
        codec->anchored = E;
    }
    trim(&E->content);
    trim(&E->dump);
    trim(&E->entry);
    lp_identity_reset(&E->identity);
    codec->spare = E;
}

static int write_values(lua_State *L, lp_encoder *E, const lp_row *row)
{
    int top = lua_gettop(L) + 1;

    for (int i = 0; i < row->count; i++) {
        lua_pushvalue(L, row->first + i);
        int status = lp_encode_value(L, E, top, 0);
        if (status != LP_OK)
            return lp_culprit_add_position(E, status, row->role, i);
        lua_settop(L, top - 1);
    }
    return LP_OK;
}

int lp_message_write(lua_State *L, lp_encoder *E, const lp_row *row,
                     size_t *start)
{
    lp_header header = {.format = LP_FORMAT,
                        .count = row ? (uint32_t)row->count : 1};

    *start = E->out->length;
    lp_identity_reset(&E->identity);
    lp_shape_reset(E);
    E->numbered = 0;
    E->later_count = 0;
    E->local_count = 0;
    E->flags = 0;
    E->limit = LP_NEST_SOFT;

    int status = lp_buffer_append(E->out, &header, sizeof(header));
    if (status != LP_OK) return status;
    if (row) {
        status = write_values(L, E, row);
    } else {
        int top = lua_gettop(L);
        status = lp_class_note(L, E, top);
        if (status == LP_OK) status = lp_encode_inside(L, E, top, 0);
    }
    if (status == LP_OK && E->later_count > 0)
        status = lp_encode_rest(L, E, 0, 0);
    return status;
}

/* Write the flags and the length into the header at start. */
static void patch_header(const lp_encoder *E, size_t start)
{
    lp_header header;
    uint8_t *at = E->out->bytes + start;

    memcpy(&header, at, sizeof(header));
    header.flags = E->flags;
    header.length = E->out->length - start;
    memcpy(at, &header, sizeof(header));
}

static int write_classes(lp_encoder *E, lp_trailer *trailer)
{
    bool whole = E->parent < 0;
    size_t count = whole ? E->use_count : E->local_count;

    for (size_t i = 0; i < count; i++) {
        uint8_t *at = lp_encoder_room(E, LP_CLASS_BYTES);
        if (!at) return LP_NOMEM;
        const lp_class *class = E->uses[whole ? i : E->locals[i]].class;
        memcpy(at, &class->key, sizeof(class->key));
        lp_format_put32(at + sizeof(class->key), whole ? class->number : 0);
        E->out->length += LP_CLASS_BYTES;
        if (whole && class->needs_paths) E->needs_paths = true;
    }
    trailer->classes = (uint32_t)count;
    return LP_OK;
}

int lp_message_finish(lua_State *L, lp_encoder *E, size_t start)
{
    bool whole = E->parent < 0;
    lp_trailer trailer = {.objects = E->numbered};
    int status = write_classes(E, &trailer);

    if (status == LP_OK && whole && E->needs_paths)
        status = lp_names_keep_paths(L, E, &trailer.paths);
    if (status != LP_OK) return status;
    if (trailer.classes > 0 || trailer.paths > 0 ||
        (E->flags & LP_FLAG_REFERENCES)) {
        E->flags |= LP_FLAG_TRAILER;
        status = lp_buffer_append(E->out, &trailer, sizeof(trailer));
        if (status != LP_OK) return status;
    }
    patch_header(E, start);
    return LP_OK;
}

static int encode_call(lua_State *L, lp_encoder *E, const lp_row *row)
{
    lp_buffer *out = E->out;
    size_t start;
    int status = lp_message_write(L, E, row, &start);

    if (status != LP_OK) return status;
    if (E->use_count > 0) {
        uint16_t flags = E->flags;
        uint32_t numbered = E->numbered;
        status = lp_class_finish(L, E, row);
        E->out = out;
        E->parent = -1;
        E->flags = flags;
        E->numbered = numbered;
        if (status != LP_OK) return status;
    }
    return lp_message_finish(L, E, start);
}

/* lp_encode for values that are not all plain. */
static LP_APART int encode_slowly(lua_State *L, const lp_row *row,
                                  lp_buffer *out, lp_message_info *info)
{
    lp_role role = row->role;
    int base = lua_gettop(L);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lp_codec *codec = lp_context_push(L);
    if (!codec) return luaL_error(L, "this state has no codec");
    lp_encoder *E = take_encoder(L, codec, base + LP_BASE_CONTEXT);
    lua_settop(L, base + LP_BASE_TOP);

    E->base = base;
    E->out = out;
    E->assigns = false;
    E->tables = false;
    E->takes_handles = role == LP_ROLE_CALL || role == LP_ROLE_ARGUMENTS;
    E->needs_paths = false;
    E->hunted = NULL;
    E->parent = -1;
    E->use_count = 0;
    E->call = ++codec->calls;

    int status = encode_call(L, E, row);
    if (info) *info = (lp_message_info){E->assigns, E->tables};
    lua_settop(L, base + LP_BASE_TOP);
    if (status == LP_UNSENDABLE) lp_culprit_push(L, E);
    give_back(L, E);
    if (status == LP_UNSENDABLE) lua_replace(L, base + 1);
    lua_settop(L, status == LP_UNSENDABLE ? base + 1 : base);
    return status;
}

int lp_encode(lua_State *L, lp_codec *codec, int first, int count, lp_role role,
              lp_buffer *out, lp_message_info *info)
{
    if (lp_plain_encode(L, codec, first, count, out)) {
        if (info) *info = (lp_message_info){0};
        return LP_OK;
    }
    const lp_row row = {first, count, role};
    return encode_slowly(L, &row, out, info);
}
