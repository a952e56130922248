/* factory.c - functions out of the library, each loaded once per state. */
#include "codec/factory.h"

typedef struct source {
    const uint8_t *bytes;
    size_t length;
} source;

static const char *read_source(lua_State *L, void *data, size_t *length)
{
    source *s = data;

    (void)L;
    *length = s->length;
    s->length = 0;
    return (const char *)s->bytes;
}

/* Load the library entry number of a kind, and push it. [-0, +1, m] */
static int load(lua_State *L, lp_decoder *D, uint32_t number, lp_entry kind)
{
    source s = {0};

    s.bytes = lp_library_find(D->codec->config.library, number, &s.length);
    if (!s.bytes || s.length == 0 || s.bytes[0] != kind)
        return lp_decode_corrupt(D, "no such function");
    s.bytes++;
    s.length--;
    int status = lua_load(L, read_source, &s, "=lpool", "b");
    if (status == LUA_ERRMEM) return lua_error(L);
    return status == LUA_OK ? LP_OK : LP_FAILED;
}

/* Let all upvalues of the function at index be the globals. [-0, +0, -] */
static void bind_environments(lua_State *L, int index)
{
    for (int i = 1; lua_getupvalue(L, index, i); i++) {
        lua_pushglobaltable(L);
        (void)lua_setupvalue(L, index, i); /* it was there just now */
        lua_pop(L, 1);
    }
}

/* Push what slot has for number, loading it if need be. [-0, +1, m] */
static int push_loaded(lua_State *L, lp_decoder *D, uint32_t number,
                       lp_slot slot, lp_entry kind)
{
    int top = lua_gettop(L);

    lp_context_slot(L, D->base + LP_INPUT_CONTEXT, slot);
    if (lua_rawgeti(L, top + 1, number) == LUA_TNIL) {
        lua_settop(L, top + 1);
        int status = load(L, D, number, kind);
        if (status != LP_OK) return status;
        if (kind == LP_ENTRY_PLAIN) bind_environments(L, top + 2);
        lua_pushvalue(L, top + 2);
        lua_rawseti(L, top + 1, number);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return LP_OK;
}

int lp_factory_push_plain(lua_State *L, lp_decoder *D, uint32_t number)
{
    return push_loaded(L, D, number, LP_SLOT_PLAIN, LP_ENTRY_PLAIN);
}

int lp_factory_push_closure(lua_State *L, lp_decoder *D, uint32_t number)
{
    size_t length;
    int top = lua_gettop(L);

    lp_context_slot(L, D->base + LP_INPUT_CONTEXT, LP_SLOT_FACTORIES);
    if (lua_rawgeti(L, top + 1, number) == LUA_TNIL) {
        lua_settop(L, top);
        const uint8_t *bytes =
            lp_library_find(D->codec->config.library, number, &length);
        if (bytes && length > 0 && bytes[0] == LP_ENTRY_DUMP)
            return load(L, D, number, LP_ENTRY_DUMP);
        int status =
            push_loaded(L, D, number, LP_SLOT_FACTORIES, LP_ENTRY_FACTORY);
        if (status != LP_OK) return status;
    } else {
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
    }
    lua_call(L, 0, 1);
    return LP_OK;
}
