/*
 * closure.c - upvalues, and their being shared.
 *
 * An _ENV does not travel: it is the globals, wherever the function arrives.
 * A closure that captures only that needs no body and no number.
 */
#include "codec/closure.h"

#include "codec/culprit.h"
#include "codec/environment.h"
#include "codec/factory.h"
#include "codec/names.h"
#include "codec/plain.h"
#include "codec/prototype.h"

#include <lauxlib.h>

#define SLOTS 24

static int encode_c_function(lua_State *L, lp_encoder *E, int top)
{
    bool added;
    lp_identity_entry *entry =
        lp_identity_note(&E->identity, lua_topointer(L, top), &added);

    if (!entry) return LP_NOMEM;
    if (!added) return lp_encode_known(E, entry);
    int status = lp_encode_number(E, entry);
    if (status != LP_OK) return status;
    if (!lp_names_push_path(L, E, top))
        return lp_culprit_blame_value(L, E, top);
    return lp_names_put(L, E, LP_TAG_NAMED, lua_gettop(L));
}

/* Put the value of upvalue i of function f, the closure of that number. */
static int encode_upvalue(lua_State *L, lp_encoder *E, int f, int i,
                          uint32_t number, int depth)
{
    bool added;
    lp_identity_entry *entry =
        lp_identity_note(&E->identity, lua_upvalueid(L, f, i), &added);

    if (!entry) return LP_NOMEM;
    if (!added) {
        uint8_t index = entry->index;
        E->flags |= LP_FLAG_REFERENCES;
        int status = lp_encoder_put_tag32(E, LP_TAG_JOIN, entry->number);
        if (status != LP_OK) return status;
        return lp_buffer_append(E->out, &index, sizeof(index));
    }
    entry->kind = LP_IDENTITY_UPVALUE;
    entry->number = number;
    entry->index = (uint8_t)i;

    int top = lua_gettop(L) + 1;
    const char *name = lua_getupvalue(L, f, i);
    lp_names_notice(L, E, top);
    int status = lp_encode_value(L, E, top, depth + 1);
    lua_settop(L, top - 1);
    return lp_culprit_add(E, status, "upvalue", name);
}

/* Put the body of closure f; its prototype is at f + 2. */
static int encode_body(lua_State *L, lp_encoder *E, int f,
                       const lp_prototype *prototype, int depth)
{
    const uint8_t count = (uint8_t)prototype->upvalues;
    const lp_identity_entry *entry =
        lp_identity_find(&E->identity, lua_topointer(L, f));
    uint32_t number = entry ? entry->number : 0;

    if (prototype->assigns) E->assigns = true;
    int status = lp_buffer_append(E->out, &count, sizeof(count));
    for (int i = 1; i <= count && status == LP_OK; i++) {
        status = prototype->environments[i]
                     ? lp_encoder_put_tag(E, LP_TAG_GLOBALS)
                     : encode_upvalue(L, E, f, i, number, depth);
    }
    if (status == LP_OK)
        status = lp_environment_encode(L, E, f, prototype, depth);
    if (status != LP_OK) return status;
    return lp_encoder_put_tag(E, LP_TAG_END);
}

/* A function with upvalues of its own. */
static int encode_closure(lua_State *L, lp_encoder *E, int f,
                          const lp_prototype *prototype, int depth)
{
    bool added;
    bool later = depth >= E->limit;
    lp_identity_entry *entry =
        lp_identity_note(&E->identity, lua_topointer(L, f), &added);

    if (!entry) return LP_NOMEM;
    if (!added) return lp_encode_known(E, entry);
    int status = lp_encode_number(E, entry);
    if (status != LP_OK) return status;
    status = lp_encoder_put_tag32(
        E, later ? LP_TAG_CLOSURE_LATER : LP_TAG_CLOSURE, prototype->number);
    if (status != LP_OK) return status;
    if (!later) return encode_body(L, E, f, prototype, depth);
    lua_settop(L, f);
    return lp_encode_put_off(L, E);
}

/* A function that captures nothing. Mostly, this is all there is to it. */
static int encode_plain(lua_State *L, lp_encoder *E, int f,
                        const lp_prototype *prototype, int depth)
{
    size_t start = E->out->length;
    int status = lp_encoder_put_tag32(E, LP_TAG_PLAIN, prototype->number);

    if (status == LP_OK && prototype->global_count == 0)
        lp_plain_sent(L, E->codec, E->base + LP_BASE_CONTEXT, f,
                      prototype->number);
    if (status != LP_OK || prototype->global_count == 0) return status;
    if (depth >= E->limit) {
        E->out->bytes[start] = LP_TAG_PLAIN_LATER;
        lua_settop(L, f);
        return lp_encode_put_off(L, E);
    }
    size_t before = E->out->length;
    status = lp_environment_encode(L, E, f, prototype, depth);
    if (status != LP_OK || E->out->length == before) return status;
    E->out->bytes[start] = LP_TAG_PLAIN_GLOBALS;
    return lp_encoder_put_tag(E, LP_TAG_END);
}

int lp_closure_encode(lua_State *L, lp_encoder *E, int top, int depth)
{
    const lp_prototype *prototype;

    luaL_checkstack(L, SLOTS, NULL);
    if (lua_iscfunction(L, top)) return encode_c_function(L, E, top);
    int status = lp_prototype_push(L, E, &prototype);
    if (status != LP_OK) return status;
    return prototype->captures ? encode_closure(L, E, top, prototype, depth)
                               : encode_plain(L, E, top, prototype, depth);
}

int lp_closure_encode_body(lua_State *L, lp_encoder *E, int top, int depth)
{
    const lp_prototype *prototype;

    luaL_checkstack(L, SLOTS, NULL);
    int status = lp_prototype_push(L, E, &prototype);
    if (status == LP_OK) {
        status = lp_encoder_put_tag(
            E, prototype->captures ? LP_TAG_BODY : LP_TAG_PLAIN_GLOBALS);
    }
    if (status != LP_OK) return status;
    if (prototype->captures) return encode_body(L, E, top, prototype, depth);
    status = lp_environment_encode(L, E, top, prototype, depth);
    return status == LP_OK ? lp_encoder_put_tag(E, LP_TAG_END) : status;
}

/* Let upvalue i of the closure at f be the same as another, named next. */
static int decode_join(lua_State *L, lp_decoder *D, int f, int i)
{
    uint32_t number;
    uint8_t index;

    if (lp_decode_u32(D, &number) != 0 || lp_decode_byte(D, &index) != 0)
        return LP_CORRUPT;
    if (!lua_istable(L, D->base + LP_INPUT_OBJECTS))
        return lp_decode_corrupt(D, "an upvalue of nothing");
    lua_rawgeti(L, D->base + LP_INPUT_OBJECTS, number);
    int other = lua_gettop(L);
    if (!lua_isfunction(L, other) || lua_iscfunction(L, other) ||
        !lua_upvalueid(L, other, index) || !lua_upvalueid(L, f, i))
        return lp_decode_corrupt(D, "an upvalue of nothing");
    lua_upvaluejoin(L, f, i, other, index);
    lua_pop(L, 1);
    return LP_OK;
}

/* Fill the closure at the top. [-0, +0, e] */
static int decode_body(lua_State *L, lp_decoder *D, int depth)
{
    int f = lua_gettop(L);
    uint8_t count = 0;
    int status = lp_decode_byte(D, &count);

    for (int i = 1; i <= count && status == LP_OK; i++) {
        if (lp_decode_left(D) > 0 && *D->at == LP_TAG_JOIN) {
            D->at++;
            status = decode_join(L, D, f, i);
            continue;
        }
        status = lp_decode_value(L, D, depth + 1);
        if (status == LP_OK && !lua_setupvalue(L, f, i))
            status = lp_decode_corrupt(D, "more upvalues than there are");
    }
    return status == LP_OK ? lp_environment_decode(L, D, depth) : status;
}

int lp_closure_decode(lua_State *L, lp_decoder *D, lp_tag tag, int depth)
{
    uint32_t library;
    int status = lp_decode_u32(D, &library);

    if (status != LP_OK) return status;
    luaL_checkstack(L, SLOTS, NULL);
    if (tag == LP_TAG_CLOSURE || tag == LP_TAG_CLOSURE_LATER) {
        uint32_t number = ++D->numbered;
        status = lp_factory_push_closure(L, D, library);
        if (status == LP_OK) lp_decode_number(L, D, number);
    } else {
        status = lp_factory_push_plain(L, D, library);
    }
    if (status != LP_OK) return status;
    if (tag == LP_TAG_PLAIN) lp_plain_received(L, D->codec, library);
    if (tag == LP_TAG_CLOSURE) return decode_body(L, D, depth);
    if (tag == LP_TAG_PLAIN_GLOBALS) return lp_environment_decode(L, D, depth);
    if (tag != LP_TAG_PLAIN) lp_decode_put_off(L, D);
    return LP_OK;
}

int lp_closure_fill(lua_State *L, lp_decoder *D, int depth)
{
    uint8_t tag;
    int status = lp_decode_byte(D, &tag);

    if (status != LP_OK) return status;
    luaL_checkstack(L, SLOTS, NULL);
    if (tag == LP_TAG_BODY) return decode_body(L, D, depth);
    if (tag == LP_TAG_PLAIN_GLOBALS) return lp_environment_decode(L, D, depth);
    return lp_decode_corrupt(D, "a body that is none");
}
