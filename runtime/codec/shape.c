/*
 * shape.c - two small hash tables from keys to shapes.
 *
 * Collisions just overwrite: the worst that can happen is that a shape is
 * defined twice or a guess is wrong.
 */
#include "codec/shape.h"

#include "base/alloc.h"

#include <string.h>

static size_t hash_key(const void *key)
{
    uint64_t hash = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;

    return (size_t)(hash >> 58);
}

static size_t hash_keys(const lp_shape *shape)
{
    uint64_t hash = shape->count;

    for (unsigned i = 0; i < shape->count; i++) {
        hash =
            (hash ^ (uint64_t)(uintptr_t)shape->keys[i]) * 0x9e3779b97f4a7c15u;
    }
    return (size_t)(hash >> 56);
}

static bool equal(const lp_shape *a, const lp_shape *b)
{
    return a->count == b->count &&
           memcmp(a->keys, b->keys, a->count * sizeof(a->keys[0])) == 0;
}

static const char *const events[] = {
    "__index",       "__newindex", "__call", "__tostring",  "__name",
    "__gc",          "__close",    "__mode", "__metatable", "__len",
    "__eq",          "__lt",       "__le",   "__concat",    "__pairs",
    "__add",         "__sub",      "__mul",  "__div",       "__mod",
    "__pow",         "__unm",      "__idiv", "__band",      "__bor",
    "__bxor",        "__bnot",     "__shl",  "__shr",       "__serialize",
    "__deserialize",
};

/* Whether name is that of a metamethod. */
static bool is_event(const char *name)
{
    if (name[0] != '_' || name[1] != '_') return false;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (strcmp(name, events[i]) == 0) return true;
    return false;
}

void lp_shape_survey(lua_State *L, int top, lp_survey *survey)
{
    lp_shape *shape = &survey->shape;
    bool more;

    shape->count = 0;
    survey->has_function = false;
    survey->has_event = false;
    lua_pushnil(L);
    while ((more = lua_next(L, top))) {
        if (lua_type(L, top + 2) == LUA_TFUNCTION) survey->has_function = true;
        lua_pop(L, 1);
        if (shape->count == LP_SHAPE_KEYS ||
            lua_type(L, top + 1) != LUA_TSTRING)
            break;
        size_t length;
        const char *key = lua_tolstring(L, top + 1, &length);
        if (length > LP_SHAPE_NAME || strlen(key) != length) break;
        if (is_event(key)) survey->has_event = true;
        survey->names[shape->count] = key;
        shape->keys[shape->count++] = lua_topointer(L, top + 1);
    }
    survey->fits = !more;
    lua_settop(L, top);
    if (more && !survey->has_event)
        survey->has_event = lp_shape_has_index(L, top);
}

bool lp_shape_has_index(lua_State *L, int top)
{
    lua_pushliteral(L, "__index");
    bool found = lua_rawget(L, top) != LUA_TNIL;
    lua_pop(L, 1);
    return found;
}

const lp_shape *lp_shape_guess(const lp_encoder *E, const void *key)
{
    uint8_t guess = E->by_first_key[hash_key(key)];

    return guess ? &E->shapes[guess - 1] : NULL;
}

/* Let guesses and searches come to shape number at - 1. */
static void remember(lp_encoder *E, const lp_shape *shape, size_t hash,
                     uint8_t at)
{
    E->by_all_keys[hash] = at;
    E->by_first_key[hash_key(shape->keys[0])] = at;
}

const lp_shape *lp_shape_find(lp_encoder *E, const lp_shape *shape)
{
    size_t hash = hash_keys(shape);
    uint8_t at = E->by_all_keys[hash];

    if (at == 0 || !equal(&E->shapes[at - 1], shape)) return NULL;
    remember(E, shape, hash, at);
    return &E->shapes[at - 1];
}

int lp_shape_define(lp_encoder *E, const lp_survey *survey,
                    const lp_shape **defined)
{
    const lp_shape *shape = &survey->shape;

    *defined = NULL;
    if (E->shape_count == LP_SHAPES) return LP_OK;
    if (!E->shapes) {
        E->shapes = lp_alloc(E->codec->config.allocator,
                             LP_SHAPES * sizeof(*E->shapes));
        if (!E->shapes) return LP_NOMEM;
    }

    uint8_t *at =
        lp_encoder_room(E, 2 + LP_SHAPE_KEYS * (1 + (size_t)LP_SHAPE_NAME));
    if (!at) return LP_NOMEM;
    *at++ = LP_TAG_SHAPE;
    *at++ = (uint8_t)shape->count;
    for (unsigned i = 0; i < shape->count; i++) {
        size_t length = strlen(survey->names[i]);
        *at++ = (uint8_t)length;
        memcpy(at, survey->names[i], length);
        at += length;
    }
    E->out->length = (size_t)(at - E->out->bytes);

    E->shapes[E->shape_count] = *shape;
    remember(E, shape, hash_keys(shape), (uint8_t)(E->shape_count + 1));
    *defined = &E->shapes[E->shape_count++];
    return LP_OK;
}

void lp_shape_reset(lp_encoder *E)
{
    if (E->shape_count == 0) return;
    E->shape_count = 0;
    memset(E->by_first_key, 0, sizeof(E->by_first_key));
    memset(E->by_all_keys, 0, sizeof(E->by_all_keys));
}
