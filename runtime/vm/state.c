/* state.c - opening a Lua state for tasks, and closing it. */
#include "vm/state.h"

#include "base/alloc.h"
#include "base/status.h"
#include "vm/blank.h"
#include "vm/console.h"
#include "vm/vm.h"

#include <lualib.h>
#include <stdio.h>
#include <string.h>

/* The address is the key of the state in its own registry. */
static const char state_key;

lp_state *lp_state_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
    lp_state *state = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return state;
}

/* Runs in protected mode. Arguments: the config, the state. */
static int open_body(lua_State *L)
{
    const lp_state_config *config = lua_touserdata(L, 1);
    lp_state *state = lua_touserdata(L, 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
    luaL_openlibs(L);
    lp_console_open(L);
    lp_exit_open(L, state);
    if (config->codec) lp_codec_open(L, config->codec);
    if (config->open) config->open(L, config->context);
    lp_engine_open(L, state, config);
    return 0;
}

static void copy_text(char *text, size_t size, const char *from)
{
    size_t length = strlen(from);
    if (length >= size) length = size - 1;
    memcpy(text, from, length);
    text[length] = '\0';
}

int lp_state_take_error(lua_State *L, char *text, size_t size)
{
    const char *message = lua_tostring(L, -1);
    copy_text(text, size, message ? message : "an error that is no string");
    lua_pop(L, 1);
    return LP_FAILED;
}

int lp_state_open(const lp_state_config *config, lp_state **out, char *text,
                  size_t size)
{
    lp_state *state = lp_calloc(config->allocator, 1, sizeof(*state));
    if (!state) return LP_NOMEM;
    lp_buffer_init(&state->buffer, config->allocator);
    lp_buffer_init(&state->results, config->allocator);
    state->L = lp_blank_open(config->allocator, &state->slabs);
    if (!state->L) {
        lp_state_close(state);
        return LP_NOMEM;
    }
    lua_State *L = state->L;
    state->traceback = LUA_NOREF;
    state->buffer.memory = state->outcomes = config->outcomes;
    state->has_allocator = lp_allocator_is_own(config->allocator);
    state->stop = config->stop;
    lp_stop_open(state);
    lua_pushcfunction(L, open_body);
    lua_pushlightuserdata(L, (void *)(uintptr_t)config);
    lua_pushlightuserdata(L, state);
    int status = lua_pcall(L, 2, 0, 0) == LUA_OK
                     ? LP_OK
                     : lp_state_take_error(L, text, size);
    if (status != LP_OK) {
        lp_state_close(state);
        return status;
    }
    state->codec = lp_codec_of(L);
    lua_pushcfunction(L, lp_failure_handler);
    lua_pushcfunction(L, lp_call_body);
    lua_pushcfunction(L, lp_items_body);
    lua_pushcfunction(L, lp_failure_body);
    lua_pushnil(L);
    *out = state;
    return LP_OK;
}

void lp_state_close(lp_state *state)
{
    if (!state) return;
    char text[sizeof(state->text)];
    if (state->L) {
        (void)lp_state_close_engine(state, text, sizeof(text)); /* too late */
        lp_blank_close(state->L, state->slabs);
    }
    lp_buffer_clear(&state->buffer);
    lp_buffer_clear(&state->results);
    lp_free(state);
}

void lp_state_recover(lp_state *state)
{
    lua_sethook(state->L, NULL, 0, 0);
    lua_settop(state->L, LP_AT_TOP);
    state->exited = false; /* it was stopped while os.exit unwound it */
}

/* Argument: the seed. */
static int seed_body(lua_State *L)
{
    const uint64_t *seed = lua_touserdata(L, 1);
    lua_getglobal(L, "math");
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, (lua_Integer)*seed);
    lua_pushinteger(L, (lua_Integer)(*seed >> 32));
    lua_call(L, 2, 0);
    return 0;
}

void lp_state_seed(lp_state *state, uint64_t seed)
{
    lua_State *L = state->L;
    lua_pushcfunction(L, seed_body);
    lua_pushlightuserdata(L, &seed);
    /* Without memory, or without math, they are what they were. */
    (void)lua_pcall(L, 1, 0, 0);
    lua_settop(L, LP_AT_TOP);
}

/* What one preload works with. */
typedef struct preload {
    const char *at;
    const char *end;
    const char *module; /* the one being required */
} preload;

/* The next string; "" past the end. */
static const char *next_string(preload *work)
{
    const char *text = work->at;
    if (work->at == work->end) return "";
    work->at += strlen(work->at) + 1;
    return text;
}

/* Argument: a preload. */
static int preload_body(lua_State *L)
{
    preload *work = lua_touserdata(L, 1);
    if (lua_getglobal(L, "package") == LUA_TTABLE) {
        lua_pushstring(L, next_string(work));
        lua_setfield(L, -2, "path");
        lua_pushstring(L, next_string(work));
        lua_setfield(L, -2, "cpath");
    }
    while (work->at < work->end) {
        lua_settop(L, 1);
        work->module = next_string(work);
        lua_getglobal(L, "require");
        lua_pushstring(L, work->module);
        lua_call(L, 1, 0);
    }
    return 0;
}

int lp_state_preload(lp_state *state, const void *bytes, size_t length,
                     char *module, size_t module_size, char *text, size_t size)
{
    lua_State *L = state->L;
    preload work = {.at = bytes, .end = (const char *)bytes + length};
    if (length == 0) return LP_OK;
    /* The last string ends as well. */
    if (work.end[-1] != '\0') return LP_INVALID;
    work.module = "";
    lua_pushcfunction(L, preload_body);
    lua_pushlightuserdata(L, &work);
    int status = LP_OK;
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        status = lp_state_take_error(L, text, size);
        copy_text(module, module_size, work.module);
    }
    lua_settop(L, LP_AT_TOP);
    return status;
}

static void collect(lua_State *L)
{
    /* What has a finalizer goes in the collection after the one it runs in. */
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);
}

int lp_state_limit(lp_state *state, size_t limit, char *text, size_t size)
{
    lp_heap_impose(&state->heap, state->L, limit);
    if (lp_heap_is_full(&state->heap)) collect(state->L);
    if (!lp_heap_is_full(&state->heap)) return LP_OK;
    snprintf(text, size,
             "its Lua state holds %zu bytes before the first task, too much "
             "for memory_limit = %zu; raise the limit, or preload less",
             state->heap.used, limit);
    return LP_FAILED;
}

void lp_state_lift_limit(lp_state *state)
{
    lp_heap_lift(&state->heap);
}

void lp_state_reclaim(lp_state *state)
{
    if (!lp_heap_has_refused(&state->heap)) return;
    collect(state->L);
    if (state->slabs) lp_slabs_give_back(state->slabs);
    if (!state->has_allocator) lp_alloc_give_back();
    lp_heap_reset(&state->heap);
    state->full = lp_heap_is_full(&state->heap);
}

bool lp_state_is_full(const lp_state *state)
{
    return state->full;
}
