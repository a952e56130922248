/*
 * encode.c - values to bytes.
 *
 * One pass over the values. lp_encode_value calls itself for what is nested,
 * but only LP_NEST_HARD deep at most, so a little of the C stack is enough:
 * deeper tables are put off (see format.h) and the pass goes on with them
 * when the rest is done.
 *
 * Tables are where time goes. Their identity is noted in a hash outside Lua,
 * and a table of the same keys as one before costs no more than its values:
 * encode_record() follows the guess of shape.c, and as long as nothing but
 * scalars were written it can still turn back.
 */
#include "codec/encoder.h"

#include "codec/class.h"
#include "codec/closure.h"
#include "codec/culprit.h"
#include "codec/names.h"
#include "codec/scalar.h"
#include "codec/shape.h"

#include <lauxlib.h>
#include <string.h>

/* Stack slots that one level of nesting may use, helpers included. */
#define LEVEL_SLOTS 24

/* Second thoughts about a table. Positive, so that they pass as a status. */
enum {
    MISFIT = LP_NO_SCALAR + 1, /* the table has not the guessed shape */
    IS_CLASS,                  /* it travels as a class */
    IS_MODULE,  /* it travels by name; the name is on the stack */
    IS_GLOBALS, /* it is the table of globals */
};

int lp_encode_number(lp_encoder *E, lp_identity_entry *entry)
{
    if (E->numbered == UINT32_MAX)
        return lp_culprit_blame(E, "one object more than fits", "");
    entry->kind = LP_IDENTITY_OBJECT;
    entry->number = ++E->numbered;
    return LP_OK;
}

int lp_encode_known(lp_encoder *E, const lp_identity_entry *entry)
{
    if (entry->kind == LP_IDENTITY_PENDING) {
        return lp_culprit_blame(
            E, "an object inside what its own __serialize returned", "");
    }
    if (entry->kind == LP_IDENTITY_GLOBALS)
        return lp_encoder_put_tag(E, LP_TAG_GLOBALS);
    if (entry->kind == LP_IDENTITY_CLASS)
        return lp_encoder_put_tag32(E, LP_TAG_CLASS, entry->number);
    E->flags |= LP_FLAG_REFERENCES;
    return lp_encoder_put_tag32(E, LP_TAG_REFERENCE, entry->number);
}

/* Whether the table at top is a module or class, by what is in it. */
static int second_thoughts(lua_State *L, lp_encoder *E, int top,
                           const lp_survey *survey)
{
    if (survey->has_function && lp_names_push_module(L, E, top))
        return IS_MODULE;
    return survey->has_event ? IS_CLASS : LP_OK;
}

/* NOLINTBEGIN(misc-no-recursion): no deeper than LP_NEST_HARD */

/* Whether the keys after number i are those of shape too. [-0, +0, -] */
static bool rest_fits(lua_State *L, int t, const lp_shape *shape, unsigned i)
{
    int top = lua_gettop(L);
    bool more;

    lua_pushvalue(L, t + 1);
    while ((more = lua_next(L, t))) {
        lua_pop(L, 1);
        if (++i == shape->count || lua_topointer(L, -1) != shape->keys[i])
            break;
    }
    lua_settop(L, top);
    return !more && i + 1 == shape->count;
}

/*
 * Encode the values of the table at t, whose first pair is above it, as
 * those of a shape. MISFIT: it has others; then nothing was noted yet, and
 * it was not committed to this shape.
 */
static int encode_record(lua_State *L, lp_encoder *E, int t, int depth,
                         const lp_shape *shape, bool committed)
{
    for (unsigned i = 0;; i++) {
        if (i == shape->count || lua_topointer(L, t + 1) != shape->keys[i])
            break;
        int status = lp_scalar_encode(L, E, t + 2, lua_type(L, t + 2));
        if (status == LP_NO_SCALAR) {
            if (!committed && !rest_fits(L, t, shape, i)) break;
            committed = true;
            status = lp_encode_value(L, E, t + 2, depth + 1);
        }
        if (status != LP_OK) return lp_culprit_add_key(L, E, status, t + 1);
        lua_settop(L, t + 1);
        if (lua_next(L, t)) continue;
        if (i + 1 == shape->count) return LP_OK;
        break;
    }
    if (!committed) return MISFIT;
    return lp_culprit_blame(E, "a table that changes meanwhile", "");
}

/* Encode a key at t + 1, value at t + 2. */
static int encode_pair(lua_State *L, lp_encoder *E, int t, int depth)
{
    int status = lp_scalar_encode(L, E, t + 1, lua_type(L, t + 1));
    if (status == LP_NO_SCALAR) {
        lua_pushvalue(L, t + 1);
        status = lp_encode_value(L, E, t + 3, depth + 1);
        if (status != LP_OK) return lp_culprit_add(E, status, "a key", NULL);
        lua_settop(L, t + 2);
    }
    if (status != LP_OK) return status;
    status = lp_encode_value(L, E, t + 2, depth + 1);
    return lp_culprit_add_key(L, E, status, t + 1);
}

/* Encode a table at t, of whatever keys; its first pair is above it. */
static int encode_pairs(lua_State *L, lp_encoder *E, int t, int depth)
{
    size_t head = E->out->length;
    uint32_t items = 0;
    uint32_t pairs = 0;
    bool more = true;

    if (!lp_encoder_room(E, 1 + 2 * sizeof(uint32_t))) return LP_NOMEM;
    E->out->length += 1 + 2 * sizeof(uint32_t);

    while (more && lua_isinteger(L, t + 1) &&
           lua_tointeger(L, t + 1) == (lua_Integer)items + 1) {
        int status = lp_encode_value(L, E, t + 2, depth + 1);
        if (status != LP_OK) return lp_culprit_add_key(L, E, status, t + 1);
        items++;
        lua_settop(L, t + 1);
        more = lua_next(L, t);
    }
    while (more) {
        int status = encode_pair(L, E, t, depth);
        if (status != LP_OK) return status;
        pairs++;
        lua_settop(L, t + 1);
        more = lua_next(L, t);
    }

    uint8_t *at = E->out->bytes + head;
    at[0] = LP_TAG_TABLE;
    lp_format_put32(at + 1, items);
    lp_format_put32(at + 1 + sizeof(uint32_t), pairs);
    return LP_OK;
}

/*
 * Encode the table at t, which fits no guessed shape: find it another. With
 * ask, also find out whether it should not travel by value.
 */
static int encode_surveyed(lua_State *L, lp_encoder *E, int t, int depth,
                           bool ask)
{
    lp_survey survey;
    lp_shape_survey(L, t, &survey);
    int status = ask ? second_thoughts(L, E, t, &survey) : LP_OK;
    if (status != LP_OK) return status;

    const lp_shape *shape = NULL;
    if (survey.fits) {
        shape = lp_shape_find(E, &survey.shape);
        if (shape) {
            status = lp_encoder_put_tag(E, LP_TAG_RECORD);
            uint8_t *at = status == LP_OK ? lp_encoder_room(E, 1) : NULL;
            if (!at) return LP_NOMEM;
            *at = lp_shape_number(E, shape);
            E->out->length++;
        } else {
            status = lp_shape_define(E, &survey, &shape);
            if (status != LP_OK) return status;
        }
    }

    lua_pushnil(L);
    if (!lua_next(L, t)) return lp_encoder_put_tag(E, LP_TAG_EMPTY);
    if (shape) return encode_record(L, E, t, depth, shape, true);
    return encode_pairs(L, E, t, depth);
}

/* Encode the fields of the table at t, which is the top. */
static int encode_fields(lua_State *L, lp_encoder *E, int t, int depth,
                         bool ask)
{
    lua_pushnil(L);
    if (!lua_next(L, t)) return lp_encoder_put_tag(E, LP_TAG_EMPTY);

    const void *key = lua_topointer(L, t + 1);
    if (key) { /* a string, or at least no number */
        const lp_shape *shape = lp_shape_guess(E, key);
        if (shape) {
            size_t start = E->out->length;
            uint8_t *at = lp_encoder_room(E, 2);
            if (!at) return LP_NOMEM;
            at[0] = LP_TAG_RECORD;
            at[1] = lp_shape_number(E, shape);
            E->out->length += 2;
            int status = encode_record(L, E, t, depth, shape, false);
            if (status != MISFIT) return status;
            E->out->length = start;
        }
        lua_settop(L, t);
        return encode_surveyed(L, E, t, depth, ask);
    }
    if (ask && lp_shape_has_index(L, t)) return IS_CLASS;
    return encode_pairs(L, E, t, depth);
}

int lp_encode_inside(lua_State *L, lp_encoder *E, int top, int depth)
{
    luaL_checkstack(L, LEVEL_SLOTS, NULL);
    if (lua_getmetatable(L, top)) {
        int status = lp_encoder_put_tag(E, LP_TAG_OBJECT);
        if (status == LP_OK) status = lp_class_encode_metatable(L, E, top + 1);
        if (status != LP_OK)
            return lp_culprit_add(E, status, "metatable", NULL);
        lua_settop(L, top);
    }
    return encode_fields(L, E, top, depth, false);
}

int lp_encode_put_off(lua_State *L, lp_encoder *E)
{
    int list = E->base + LP_BASE_LATER;

    if (E->later_count == UINT32_MAX) return LP_NOMEM;
    if (lua_isnil(L, list)) {
        lua_newtable(L);
        lua_replace(L, list);
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, list, (lua_Integer)++E->later_count);
    return LP_OK;
}

int lp_encode_rest(lua_State *L, lp_encoder *E, int depth, uint32_t first)
{
    int top = lua_gettop(L);

    for (uint32_t next = first; next < E->later_count; next++) {
        lua_rawgeti(L, E->base + LP_BASE_LATER, (lua_Integer)next + 1);
        int status = lua_istable(L, top + 1)
                         ? lp_encode_inside(L, E, top + 1, depth)
                         : lp_closure_encode_body(L, E, top + 1, depth);
        if (status != LP_OK) return lp_culprit_add(E, status, "...", NULL);
        lua_settop(L, top);
    }
    E->later_count = first;
    return LP_OK;
}

/* Whether the table at top is a module or class, before anything is done. */
static int look_inside(lua_State *L, lp_encoder *E, int top)
{
    lp_survey survey;

    lp_shape_survey(L, top, &survey);
    return second_thoughts(L, E, top, &survey);
}

/* Encode the table at t, whose metatable is above it. */
static int encode_object(lua_State *L, lp_encoder *E, int t, int depth)
{
    const void *metatable = lua_topointer(L, t + 1);
    bool serializes = lp_class_serializes(L, E, t + 1);
    int status;

    lua_settop(L, t);
    if (metatable == lua_topointer(L, t)) return IS_CLASS;
    if (serializes || !lp_identity_find(&E->identity, metatable)) {
        status = look_inside(L, E, t);
        if (status != LP_OK) return status;
    }
    if (serializes) return lp_class_encode_serialized(L, E, t, depth);
    if (depth < E->limit) return lp_encode_inside(L, E, t, depth);

    status = lp_encoder_put_tag(E, LP_TAG_LATER_TABLE);
    return status == LP_OK ? lp_encode_put_off(L, E) : status;
}

/* Encode the table at t for the first time. */
static int encode_new_table(lua_State *L, lp_encoder *E, int t, int depth)
{
    if (E->parent < 0) E->tables = true;
    luaL_checkstack(L, LEVEL_SLOTS, NULL);
    if (lua_getmetatable(L, t)) return encode_object(L, E, t, depth);
    if (depth < E->limit) return encode_fields(L, E, t, depth, true);

    int status = look_inside(L, E, t);
    if (status == LP_OK) status = lp_encoder_put_tag(E, LP_TAG_LATER_TABLE);
    return status == LP_OK ? lp_encode_put_off(L, E) : status;
}

/* What is known of the table at t, whose address was marked. */
static int look_up(lua_State *L, lp_encoder *E, int t)
{
    if (lua_topointer(L, t) == E->codec->globals) return IS_GLOBALS;
    if (lp_names_push_module(L, E, t)) return IS_MODULE;
    return lp_class_is_known(L, E, t) ? IS_CLASS : LP_OK;
}

static int encode_table(lua_State *L, lp_encoder *E, int t, int depth)
{
    const void *address = lua_topointer(L, t);
    bool added;
    lp_identity_entry *entry = lp_identity_note(&E->identity, address, &added);

    if (!entry) return LP_NOMEM;
    if (!added) return lp_encode_known(E, entry);
    int status = lp_encode_number(E, entry);
    if (status != LP_OK) return status;

    size_t start = E->out->length;
    if (lp_context_marked(E->codec, address)) status = look_up(L, E, t);
    if (status == LP_OK) status = encode_new_table(L, E, t, depth);
    if (status <= LP_OK) return status;

    /* It travels otherwise, and nothing else was numbered since. */
    E->out->length = start;
    if (status == IS_MODULE)
        return lp_names_put(L, E, LP_TAG_MODULE, lua_gettop(L));
    E->numbered--;
    lua_settop(L, t);
    entry = lp_identity_note(&E->identity, address, &added);
    if (status == IS_CLASS) return lp_class_refer(L, E, t, entry);
    entry->kind = LP_IDENTITY_GLOBALS;
    return lp_encode_known(E, entry);
}

static int put_shared(lp_encoder *E, uint64_t number)
{
    uint8_t *at = lp_encoder_room(E, 1 + sizeof(number));
    if (!at) return LP_NOMEM;
    *at = LP_TAG_SHARED;
    memcpy(at + 1, &number, sizeof(number));
    E->out->length += 1 + sizeof(number);
    return LP_OK;
}

static int encode_userdata(lua_State *L, lp_encoder *E, int top, int depth)
{
    lp_handle handle;
    bool added;
    lp_identity_entry *entry =
        lp_identity_note(&E->identity, lua_topointer(L, top), &added);

    if (!entry) return LP_NOMEM;
    if (!added) return lp_encode_known(E, entry);
    int status = lp_encode_number(E, entry);
    if (status != LP_OK) return status;

    const lp_codec_config *config = &E->codec->config;
    if (config->check_handle && config->check_handle(L, top, &handle)) {
        if (E->parent >= 0) {
            return lp_culprit_blame(
                E, "a shared object in a class: ", handle.kind->name);
        }
        if (!E->takes_handles) {
            return lp_culprit_blame(E, handle.kind->name,
                                    ", which travels to workers only");
        }
        status = handle.kind->number
                     ? put_shared(E, handle.kind->number(handle.object))
                     : lp_encoder_put_tag32(E, LP_TAG_HANDLE,
                                            (uint32_t)E->out->handle_count);
        return status == LP_OK ? lp_buffer_add_handle(E->out, handle) : status;
    }
    luaL_checkstack(L, LEVEL_SLOTS, NULL);
    if (lua_getmetatable(L, top)) {
        bool serializes = lp_class_serializes(L, E, top + 1);
        lua_settop(L, top);
        if (serializes) return lp_class_encode_serialized(L, E, top, depth);
    }
    const char *why =
        config->explain_handle ? config->explain_handle(L, top) : NULL;
    if (why) return lp_culprit_blame(E, why, "");
    return lp_culprit_blame_value(L, E, top);
}

int lp_encode_value(lua_State *L, lp_encoder *E, int top, int depth)
{
    int type = lua_type(L, top);

    if (type <= LUA_TSTRING) {
        int status = lp_scalar_encode(L, E, top, type);
        if (status != LP_NO_SCALAR) return status;
    }
    switch (type) {
    case LUA_TTABLE:
        return encode_table(L, E, top, depth);
    case LUA_TFUNCTION:
        return lp_closure_encode(L, E, top, depth);
    case LUA_TSTRING:
        return lp_scalar_encode_string(L, E, top);
    case LUA_TUSERDATA:
        return encode_userdata(L, E, top, depth);
    default:
        return lp_culprit_blame_value(L, E, top);
    }
}

/* NOLINTEND(misc-no-recursion) */
