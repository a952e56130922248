/*
 * arrival.c - classes are made empty, registered, and then filled.
 *
 * So they can refer to each other. What a class refers to is filled before
 * it, as far as there is no cycle: its objects may need a __gc or a
 * __deserialize. An explicit list of what waits takes the place of a stack.
 */
#include "codec/arrival.h"

#include "codec/class.h"
#include "codec/intake.h"

#include <lauxlib.h>

/* A class named in a message. */
typedef struct named {
    uint64_t key;
    uint32_t number;
} named;

static named read_name(const lp_decoder *D, uint32_t i)
{
    const uint8_t *at = D->classes + (size_t)i * LP_CLASS_BYTES;
    named found;

    memcpy(&found.key, at, sizeof(found.key));
    found.number = lp_format_get32(at + sizeof(found.key));
    return found;
}

/* What one call of lp_arrival_classes works with. */
typedef struct arrivals {
    lp_decoder *D; /* the message that started it */
    uint64_t call;
    int met;           /* stack index of a set: keeps classes alive */
    int waiting;       /* stack index of a list: classes to be filled */
    lua_Integer count; /* of those */
    bool inside;       /* the classes come from other classes */
} arrivals;

/*
 * Push the class that has the given name, made if need be, and let it wait
 * if it must be filled. [-0, +1, m]
 */
static int receive(lua_State *L, arrivals *a, named name)
{
    int top = lua_gettop(L);
    int context = a->D->base + LP_INPUT_CONTEXT;
    lp_codec *codec = a->D->codec;

    if (name.key == 0) return lp_decode_corrupt(a->D, "a class without a key");
    lp_context_slot(L, context, LP_SLOT_KEYS);
    if (lua_rawgeti(L, top + 1, (lua_Integer)name.key) != LUA_TTABLE) {
        lua_settop(L, top);
        lua_newtable(L);
    } else {
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
    }
    lp_class *class = lp_class_push(L, codec, context, top + 1, name.key);
    lua_pop(L, 1);
    if (!class->foreign || class->call == a->call) return LP_OK;
    if (a->inside) { /* nothing else may keep it alive */
        lua_pushvalue(L, top + 1);
        lua_pushboolean(L, true);
        lua_rawset(L, a->met);
    }

    uint32_t number = name.number;
    if (number == 0 && class->number == 0)
        number = lp_library_named(codec->config.library, name.key);
    class->call = a->call;
    if (number == 0 && class->number == 0)
        return lp_decode_corrupt(a->D, "a class without content");
    if (number == 0 || number == class->number) return LP_OK;
    class->arriving = number;
    if (a->count == 0 && lua_isnil(L, a->waiting)) {
        lua_newtable(L);
        lua_replace(L, a->waiting);
        lua_newtable(L);
        lua_replace(L, a->met);
    }
    lua_pushvalue(L, top + 1);
    lua_rawseti(L, a->waiting, ++a->count);
    return LP_OK;
}

/* Open the message with the content of class, in the library. */
static int open_content(lp_decoder *D, lp_decoder *inner, const lp_class *class)
{
    size_t length;
    const uint8_t *bytes =
        lp_library_find(D->codec->config.library, class->arriving, &length);

    if (!bytes || length == 0 || bytes[0] != LP_ENTRY_CLASS)
        return lp_decode_corrupt(D, "no such class");
    int status = lp_intake_open(inner, bytes + 1, length - 1);
    return status == LP_OK ? LP_OK : lp_decode_corrupt(D, inner->problem);
}

/* Remove all fields of the table at top, and its metatable. [-0, +0, -] */
static void empty(lua_State *L, int top)
{
    lua_pushnil(L);
    lua_setmetatable(L, top);
    lua_pushnil(L);
    while (lua_next(L, top)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, top);
    }
}

/* Fill the class at the top with what the open message has. [-0, +0, e] */
static int fill(lua_State *L, lp_decoder *D, lp_decoder *inner)
{
    int top = lua_gettop(L);

    empty(L, top);
    lua_pushvalue(L, D->base + LP_INPUT_CONTEXT);
    lp_intake_prepare(L, inner, D->codec);
    inner->paused = D->paused;
    for (uint32_t i = 0; i < inner->trailer.classes; i++) {
        lp_context_slot(L, inner->base + LP_INPUT_CONTEXT, LP_SLOT_KEYS);
        lua_rawgeti(L, -1, (lua_Integer)read_name(inner, i).key);
        lua_rawseti(L, inner->base + LP_INPUT_CLASSES, (lua_Integer)i + 1);
        lua_pop(L, 1);
    }
    lua_pushvalue(L, top);
    int status = lp_decode_inside(L, inner, 0);
    if (status == LP_OK) status = lp_decode_rest(L, inner, 0, 0);
    if (status == LP_CORRUPT) return lp_decode_corrupt(D, inner->problem);
    if (status == LP_OK) lua_settop(L, top);
    return status;
}

/*
 * Deal with the last class that waits: fill it, unless what it refers to
 * must be filled before. [-0, +0, e]
 */
static int fill_last(lua_State *L, arrivals *a)
{
    int top = lua_gettop(L);
    lua_Integer before = a->count;
    lp_decoder inner;

    lua_rawgeti(L, a->waiting, a->count);
    lp_class *class = lp_class_push(L, a->D->codec,
                                    a->D->base + LP_INPUT_CONTEXT, top + 1, 0);
    int status = open_content(a->D, &inner, class);
    if (status != LP_OK) return status;
    for (uint32_t i = 0; i < inner.trailer.classes; i++) {
        status = receive(L, a, read_name(&inner, i));
        if (status != LP_OK) return status;
        lua_settop(L, top + 2);
    }
    if (a->count > before) {
        lua_settop(L, top);
        return LP_OK;
    }

    lua_settop(L, top + 1);
    status = fill(L, a->D, &inner);
    if (status != LP_OK) return status;
    class->number = class->arriving;
    class->needs_paths = a->D->trailer.paths != 0;
    lua_pushnil(L);
    lua_rawseti(L, a->waiting, a->count--);
    lua_settop(L, top);
    return LP_OK;
}

int lp_arrival_classes(lua_State *L, lp_decoder *D)
{
    int list = D->base + LP_INPUT_CLASSES;
    int top = lua_gettop(L);
    arrivals a = {
        .D = D, .call = ++D->codec->calls, .met = top + 1, .waiting = top + 2};

    luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
    lua_settop(L, a.waiting);
    for (uint32_t i = 0; i < D->trailer.classes; i++) {
        int status = receive(L, &a, read_name(D, i));
        if (status != LP_OK) return status;
        lua_rawseti(L, list, (lua_Integer)i + 1);
    }
    a.inside = true;
    while (a.count > 0) {
        int status = fill_last(L, &a);
        if (status != LP_OK) return status;
    }
    lua_settop(L, top);
    return LP_OK;
}

int lp_arrival_decode_class(lua_State *L, lp_decoder *D)
{
    uint32_t index;
    int status = lp_decode_u32(D, &index);

    if (status != LP_OK) return status;
    if (index >= D->trailer.classes)
        return lp_decode_corrupt(D, "no such class");
    lua_rawgeti(L, D->base + LP_INPUT_CLASSES, (lua_Integer)index + 1);
    return LP_OK;
}

int lp_arrival_decode_serialized(lua_State *L, lp_decoder *D, int depth)
{
    uint32_t number = ++D->numbered;
    uint32_t later = D->later_count;
    int top = lua_gettop(L);
    int status = lp_decode_value(L, D, depth + 1);

    if (status != LP_OK) return status;
    if (!lua_istable(L, top + 1))
        return lp_decode_corrupt(D, "a metatable that is no table");
    lua_pushliteral(L, "__deserialize");
    lua_rawget(L, top + 1);
    lua_replace(L, top + 1);
    status = lp_decode_value(L, D, depth + 1);
    if (status == LP_OK) status = lp_decode_rest(L, D, depth + 1, later);
    if (status != LP_OK) return status;
    if (lua_isnil(L, top + 1)) {
        lua_pushliteral(L, "a metatable has __serialize but no __deserialize");
        return LP_FAILED;
    }
    status = lp_decode_call(L, D, 1, "__deserialize failed: ");
    if (status == LP_OK) lp_decode_number(L, D, number);
    return status;
}
