/* codec.c - gives a state its context. */
#include "codec/codec.h"

#include "codec/context.h"
#include "codec/encoder.h"
#include "codec/prototype.h"
#include "codec/standard.h"

#include <lauxlib.h>
#include <string.h>

/* Its address is the key of the context in the registry. */
static const char context_key;

lp_codec *lp_context_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
    return lua_touserdata(L, -1);
}

lp_codec *lp_codec_of(lua_State *L)
{
    lp_codec *codec = lp_context_push(L);
    lua_pop(L, 1);
    return codec;
}

static int collect_context(lua_State *L)
{
    lp_codec *codec = lua_touserdata(L, 1);

    codec->closed = true;
    /* Lua does not finalize what was made while the state closed. */
    if (codec->anchored) lp_encoder_clear(codec->anchored);
    codec->spare = NULL;
    codec->last_sent = NULL;
    codec->last_received = 0;
    return 0;
}

/* Give the slot of the context at index a table. [-0, +0, m] */
static void open_slot(lua_State *L, int context, lp_slot slot, const char *mode)
{
    lua_newtable(L);
    if (mode) {
        lua_createtable(L, 0, 1);
        lua_pushstring(L, mode);
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
    }
    (void)lua_setiuservalue(L, context, (int)slot); /* there are as many */
}

static void open_slots(lua_State *L, int context)
{
    open_slot(L, context, LP_SLOT_FUNCTIONS, "k");
    open_slot(L, context, LP_SLOT_PROTOTYPES, "v");
    open_slot(L, context, LP_SLOT_PLAIN, NULL);
    open_slot(L, context, LP_SLOT_FACTORIES, NULL);
    open_slot(L, context, LP_SLOT_NAMES, "k");
    open_slot(L, context, LP_SLOT_VALUES, NULL);
    open_slot(L, context, LP_SLOT_STANDARD, NULL);
    open_slot(L, context, LP_SLOT_SENT, NULL);
    open_slot(L, context, LP_SLOT_ARRIVED, NULL);
    open_slot(L, context, LP_SLOT_CLASSES, "k");
    open_slot(L, context, LP_SLOT_KEYS, "v");
    open_slot(L, context, LP_SLOT_PATHS, NULL);
}

void lp_codec_open(lua_State *L, const lp_codec_config *config)
{
    int context = lua_gettop(L) + 1;

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    /* Workers run the same Lua as the state that opened the host. */
    if (!config->worker) lp_prototype_check(L, config->allocator);

    lp_codec *codec = lua_newuserdatauv(L, sizeof(*codec), LP_SLOT_COUNT);
    memset(codec, 0, sizeof(*codec));
    codec->config = *config;
    codec->last_received_at = LUA_NOREF;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_context);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, context);
    open_slots(L, context);

    lua_pushglobaltable(L);
    codec->globals = lua_topointer(L, -1);
    lp_context_mark(codec, codec->globals);
    lua_pop(L, 1);
    lp_standard_record(L, context);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}
