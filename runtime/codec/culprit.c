/* culprit.c - a sentence from three buffers: trail, fields and reason. */
#include "codec/culprit.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Longer keys are cut off in messages. */
#define LONGEST_KEY 80

static int prepend(lp_buffer *buffer, const char *text, size_t length)
{
    if (lp_buffer_reserve(buffer, length) != 0) return LP_NOMEM;
    if (length == 0) return LP_OK;
    if (buffer->length > 0)
        memmove(buffer->bytes + length, buffer->bytes, buffer->length);
    memcpy(buffer->bytes, text, length);
    buffer->length += length;
    return LP_OK;
}

static int prepend_text(lp_buffer *buffer, const char *text)
{
    return prepend(buffer, text, strlen(text));
}

int lp_culprit_blame(lp_encoder *E, const char *what, const char *detail)
{
    E->fields.length = 0;
    E->trail.length = 0;
    E->reason.length = 0;
    if (prepend_text(&E->reason, detail) != 0 ||
        prepend_text(&E->reason, what) != 0)
        return LP_NOMEM;
    return LP_UNSENDABLE;
}

int lp_culprit_blame_value(lua_State *L, lp_encoder *E, int index)
{
    char name[LONGEST_KEY + 4];

    switch (lua_type(L, index)) {
    case LUA_TTHREAD:
        return lp_culprit_blame(E, "a coroutine", "");
    case LUA_TFUNCTION:
        return lp_culprit_blame(E, "a C function", "");
    case LUA_TUSERDATA:
        break;
    default:
        return lp_culprit_blame(E, "a ", luaL_typename(L, index));
    }
    if (luaL_testudata(L, index, LUA_FILEHANDLE))
        return lp_culprit_blame(E, "a file", "");

    name[0] = '\0';
    if (lua_getmetatable(L, index)) {
        lua_pushliteral(L, "__name");
        if (lua_rawget(L, -2) == LUA_TSTRING) {
            (void)snprintf(name, sizeof(name), " (%.*s)", LONGEST_KEY,
                           lua_tostring(L, -1));
        }
        lua_pop(L, 2);
    }
    return lp_culprit_blame(E, "a userdata", name);
}

/* Move the fields, if any, to the trail, which then starts with a step. */
static int settle_fields(lp_encoder *E)
{
    if (E->fields.length == 0) return LP_OK;

    int status = prepend_text(&E->fields, "field '");
    if (status == LP_OK) status = lp_buffer_append(&E->fields, "'", 1);
    if (status == LP_OK && E->trail.length > 0)
        status = prepend_text(&E->trail, ", ");
    if (status == LP_OK) {
        status =
            prepend(&E->trail, (const char *)E->fields.bytes, E->fields.length);
    }
    E->fields.length = 0;
    return status;
}

int lp_culprit_add(lp_encoder *E, int status, const char *step,
                   const char *name)
{
    if (status != LP_UNSENDABLE) return status;
    if (settle_fields(E) != 0) return LP_NOMEM;
    if (E->trail.length > 0 && prepend_text(&E->trail, ", ") != 0)
        return LP_NOMEM;
    if (name && (prepend_text(&E->trail, "'") != 0 ||
                 prepend(&E->trail, name, strnlen(name, LONGEST_KEY)) != 0 ||
                 prepend_text(&E->trail, " '") != 0))
        return LP_NOMEM;
    return prepend_text(&E->trail, step) == 0 ? status : LP_NOMEM;
}

int lp_culprit_add_position(lp_encoder *E, int status, lp_role role, int i)
{
    char step[32];

    switch (role) {
    case LP_ROLE_CALL:
        if (i == 0) return lp_culprit_add(E, status, "the function", NULL);
        i--;
        /* fall through */
    case LP_ROLE_ARGUMENTS:
        (void)snprintf(step, sizeof(step), "argument %d", i + 1);
        break;
    case LP_ROLE_RESULTS:
        (void)snprintf(step, sizeof(step), "result %d", i + 1);
        break;
    case LP_ROLE_ERROR:
        return lp_culprit_add(E, status, "the error", NULL);
    case LP_ROLE_VALUE:
        return lp_culprit_add(E, status, "the value", NULL);
    }
    return lp_culprit_add(E, status, step, NULL);
}

/* Whether text could stand after a dot in Lua. */
static bool is_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return length > 0;
}

/* The key at index as it stands in a path. */
static void describe_key(lua_State *L, int index, char *text, size_t size)
{
    size_t length;
    const char *string;

    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        string = lua_tolstring(L, index, &length);
        (void)snprintf(text, size,
                       is_name(string, length) ? "%.*s" : "[\"%.*s\"]",
                       LONGEST_KEY, string);
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            (void)snprintf(text, size, "[" LUA_INTEGER_FMT "]",
                           lua_tointeger(L, index));
        } else {
            (void)snprintf(text, size, "[" LUA_NUMBER_FMT "]",
                           lua_tonumber(L, index));
        }
        break;
    case LUA_TBOOLEAN:
        (void)snprintf(text, size, "[%s]",
                       lua_toboolean(L, index) ? "true" : "false");
        break;
    default:
        (void)snprintf(text, size, "[a %s]", luaL_typename(L, index));
        break;
    }
}

int lp_culprit_add_key(lua_State *L, lp_encoder *E, int status, int key)
{
    char text[LONGEST_KEY + 8];

    if (status != LP_UNSENDABLE) return status;
    describe_key(L, key, text, sizeof(text));
    if (E->fields.length > 0 && E->fields.bytes[0] != '[' &&
        prepend_text(&E->fields, ".") != 0)
        return LP_NOMEM;
    return prepend_text(&E->fields, text) == 0 ? status : LP_NOMEM;
}

void lp_culprit_push(lua_State *L, const lp_encoder *E)
{
    lua_pushlstring(L, (const char *)E->trail.bytes, E->trail.length);
    lua_pushliteral(L, ": ");
    lua_pushlstring(L, (const char *)E->reason.bytes, E->reason.length);
    lua_concat(L, 3);
}
