/* environment.c - see environment.h. */
#include "codec/environment.h"

#include "codec/culprit.h"
#include "codec/names.h"
#include "codec/scalar.h"

#include <lauxlib.h>
#include <string.h>

/* Where things are on the stack, from the function on. */
enum { RECORD = 2, NAMES, ENVIRONMENT, NAME, VALUE };

static int get_field(lua_State *L)
{
    lua_gettable(L, 1);
    return 1;
}

/*
 * Push the value of the global whose name is at f + NAME. Environments that
 * are not the globals may answer through metamethods. [-0, +1, m]
 */
static void push_global(lua_State *L, int f, bool foreign)
{
    lua_pushvalue(L, f + NAME);
    if (lua_rawget(L, f + ENVIRONMENT) != LUA_TNIL || !foreign) return;
    if (!luaL_getmetafield(L, f + ENVIRONMENT, "__index")) return;
    lua_settop(L, f + NAME);
    lua_pushcfunction(L, get_field);
    lua_pushvalue(L, f + ENVIRONMENT);
    lua_pushvalue(L, f + NAME);
    int failure = lua_pcall(L, 2, 1, 0);
    if (failure == LUA_ERRMEM) lua_error(L);
    if (failure != LUA_OK) { /* as strict environments do: it is not there */
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

/* Whether a new state has the value at f + VALUE under that name. */
static bool is_standard(lua_State *L, lp_encoder *E, int f,
                        const lp_global *global)
{
    if (lua_isnil(L, f + VALUE)) return true;
    if (global->standard && lua_topointer(L, f + VALUE) == global->standard)
        return true;
    if (!lua_iscfunction(L, f + VALUE) || !lp_names_push_path(L, E, f + VALUE))
        return false;
    size_t length;
    const char *name = lua_tolstring(L, f + NAME, &length);
    bool base = lp_names_is_base(L, name, length);
    lua_pop(L, 1);
    return base;
}

/* Whether the name at f + NAME has ever travelled. [-0, +0, -] */
static bool was_sent(lua_State *L, const lp_encoder *E, int f)
{
    if (!E->codec->has_sent_globals) return false;
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_SENT);
    lua_pushvalue(L, f + NAME);
    bool sent = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return sent;
}

/* Remember that the name at f + NAME travels. [-0, +0, m] */
static void note_sent(lua_State *L, lp_encoder *E, int f)
{
    if (was_sent(L, E, f)) return;
    lp_context_slot(L, E->base + LP_BASE_CONTEXT, LP_SLOT_SENT);
    lua_pushvalue(L, f + NAME);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    E->codec->has_sent_globals = true;
}

/* Encode the name and value at f + NAME and f + VALUE, or a reset. */
static int encode_global(lua_State *L, lp_encoder *E, int f, bool reset,
                         int depth)
{
    bool added;
    lp_identity_entry *entry =
        lp_identity_note(&E->identity, lua_topointer(L, f + NAME), &added);

    if (!entry) return LP_NOMEM;
    if (!added) return LP_OK;
    entry->kind = LP_IDENTITY_NAME;
    int status = lp_scalar_encode_string(L, E, f + NAME);
    if (status != LP_OK) return status;
    if (reset) return lp_encoder_put_tag(E, LP_TAG_RESET);

    note_sent(L, E, f);
    lp_names_notice(L, E, f + VALUE);
    status = lp_encode_value(L, E, f + VALUE, depth + 1);
    return lp_culprit_add(E, status, "global", lua_tostring(L, f + NAME));
}

/* A function that requires is to find what its sender would find. */
static bool names_require(lua_State *L, int f)
{
    const char *name = lua_tostring(L, f + NAME);
    return name[0] == 'r' && strcmp(name, "require") == 0;
}

int lp_environment_encode(lua_State *L, lp_encoder *E, int f,
                          const lp_prototype *prototype, int depth)
{
    if (prototype->environment == 0 || prototype->global_count == 0)
        return LP_OK;
    (void)lua_getiuservalue(L, f + RECORD, 1); /* a table */
    (void)lua_getupvalue(L, f, (int)prototype->environment);
    bool foreign = lua_topointer(L, f + ENVIRONMENT) != E->codec->globals;
    bool usable = lua_istable(L, f + ENVIRONMENT);

    for (uint32_t i = 0; usable && i < prototype->global_count; i++) {
        const lp_global *global = &prototype->globals[i];
        lua_rawgeti(L, f + NAMES, (lua_Integer)i + 1);
        push_global(L, f, foreign);
        bool standard = is_standard(L, E, f, global);
        if (global->assigned && !standard) E->assigns = true;
        if (standard && names_require(L, f)) E->needs_paths = true;
        if (global->read && (!standard || was_sent(L, E, f))) {
            int status = encode_global(L, E, f, standard, depth);
            if (status != LP_OK) return status;
        }
        lua_settop(L, f + ENVIRONMENT);
    }
    lua_settop(L, f + RECORD);
    return LP_OK;
}

/*
 * Take back the global whose name is at the top, if it still is what came
 * in. [-0, +0, m]
 */
static void reset_global(lua_State *L, const lp_decoder *D)
{
    int name = lua_gettop(L);
    int context = D->base + LP_INPUT_CONTEXT;

    lp_context_slot(L, context, LP_SLOT_ARRIVED);
    lua_pushglobaltable(L);
    lua_pushvalue(L, name);
    lua_rawget(L, name + 1);
    lua_pushvalue(L, name);
    lua_rawget(L, name + 2);
    if (!lua_isnil(L, -2) && lua_rawequal(L, -1, -2)) {
        lua_pushvalue(L, name);
        lp_context_slot(L, context, LP_SLOT_STANDARD);
        lua_pushvalue(L, name);
        lua_rawget(L, -2);
        lua_remove(L, -2);
        lua_rawset(L, name + 2);
    }
    lua_pushvalue(L, name);
    lua_pushnil(L);
    lua_rawset(L, name + 1);
    lua_settop(L, name);
}

/* Set the global whose name and value are at the top. [-0, +0, m] */
static void set_global(lua_State *L, const lp_decoder *D)
{
    int name = lua_gettop(L) - 1;

    lua_pushglobaltable(L);
    lua_pushvalue(L, name);
    bool absent = lua_rawget(L, name + 2) == LUA_TNIL;
    bool differs = !lua_rawequal(L, name + 3, name + 1);
    lua_settop(L, name + 2);
    if (differs && (absent || D->codec->config.worker)) {
        lua_pushvalue(L, name);
        lua_pushvalue(L, name + 1);
        lua_rawset(L, name + 2);
        lp_context_slot(L, D->base + LP_INPUT_CONTEXT, LP_SLOT_ARRIVED);
        lua_pushvalue(L, name);
        lua_pushvalue(L, name + 1);
        lua_rawset(L, name + 3);
    }
    lua_settop(L, name + 1);
}

int lp_environment_decode(lua_State *L, lp_decoder *D, int depth)
{
    int top = lua_gettop(L);

    for (;;) {
        if (lp_decode_left(D) == 0)
            return lp_decode_corrupt(D, "globals without end");
        if (*D->at == LP_TAG_END) break;
        int status = lp_decode_value(L, D, depth + 1);
        if (status != LP_OK) return status;
        if (lua_type(L, top + 1) != LUA_TSTRING)
            return lp_decode_corrupt(D, "a global without a name");

        if (lp_decode_left(D) > 0 && *D->at == LP_TAG_RESET) {
            D->at++;
            if (D->codec->config.worker) reset_global(L, D);
        } else {
            status = lp_decode_value(L, D, depth + 1);
            if (status != LP_OK) return status;
            set_global(L, D);
        }
        lua_settop(L, top);
    }
    D->at++;
    return LP_OK;
}
