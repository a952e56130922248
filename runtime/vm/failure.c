/*
 * failure.c - errors of tasks: the value itself, and where it was raised.
 */
#include "base/status.h"
#include "vm/vm.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

void lp_failure_keep_traceback(lua_State *L, lp_state *state)
{
    if (state->traceback == LUA_NOREF) {
        state->traceback = luaL_ref(L, LUA_REGISTRYINDEX);
    } else {
        lua_rawseti(L, LUA_REGISTRYINDEX, state->traceback);
    }
}

int lp_failure_handler(lua_State *L)
{
    lp_state *state = lp_state_of(L);
    if (state->has_told) {
        state->has_told = false;
        return 1;
    }
    luaL_traceback(L, L, NULL, 1);
    lp_failure_keep_traceback(L, state);
    return 1; /* the error value, unchanged */
}

/* Keep a line about the failure for people. */
static void note_text(lp_state *state, const char *text)
{
    snprintf(state->text, sizeof(state->text), "%s", text);
}

static bool ends_with(const char *text, const char *words)
{
    size_t length = strlen(text), end = strlen(words);
    return length >= end && strcmp(text + length - end, words) == 0;
}

/*
 * Whether an error with that text, perhaps behind a place, says that the
 * task has passed the limit: Lua was refused memory; or it did not even ask,
 * since what was wanted is larger than INT_MAX or than an address space.
 */
static bool passed_limit(const lp_state *state, const char *text)
{
    const lp_heap *heap = &state->heap;
    if (lp_heap_has_refused(heap)) return ends_with(text, "not enough memory");
    return heap->limit > 0 && heap->limit <= INT_MAX &&
           (ends_with(text, "resulting string too large") ||
            ends_with(text, "buffer too large") ||
            ends_with(text, "block too big"));
}

/* Say so in words. */
static void describe_limit(const lp_state *state, char *text, size_t size)
{
    if (state->heap.starved) {
        snprintf(text, size,
                 "the process of the worker has no more memory, though its "
                 "Lua state is within its memory_limit of %zu bytes",
                 state->heap.limit);
    } else {
        snprintf(text, size,
                 "the task passed memory_limit, %zu bytes for the Lua state "
                 "of its worker; raise the limit, or let a task hold less at "
                 "a time",
                 state->heap.limit);
    }
}

lp_ending lp_failure_reason(lp_state *state, lp_cause cause, int number,
                            const char *text, lp_buffer *out)
{
    char limit[256];
    if (passed_limit(state, text)) {
        cause = LP_CAUSE_LIMIT;
        describe_limit(state, limit, sizeof(limit));
        text = limit;
    }
    lp_reason reason = {.cause = cause, .number = number};
    size_t before = out->length;
    note_text(state, text);
    if (lp_buffer_append(out, &reason, sizeof(reason)) == LP_OK &&
        lp_buffer_append(out, text, strlen(text)) == LP_OK)
        return LP_GAVE_UP;
    out->length = before; /* the reader takes an empty reason for memory */
    return LP_GAVE_UP;
}

typedef struct failure {
    lp_state *state;
    lp_buffer *out;
    lp_ending ending;
} failure;

static void note_error(lua_State *L, lp_state *state)
{
    /* No __tostring here: it would be one more thing that can go wrong. */
    if (lua_type(L, 2) == LUA_TSTRING) {
        note_text(state, lua_tostring(L, 2));
    } else if (lua_type(L, 2) == LUA_TTABLE) {
        lua_pushliteral(L, "message");
        lua_rawget(L, 2);
        if (lua_type(L, -1) == LUA_TSTRING) {
            note_text(state, lua_tostring(L, -1));
        } else {
            note_text(state, "an error that is a table");
        }
        lua_pop(L, 1);
    } else {
        lua_pushfstring(L, "an error that is a %s", luaL_typename(L, 2));
        note_text(state, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

/* Arguments: a failure, the error value. Runs in protected mode. */
int lp_failure_body(lua_State *L)
{
    failure *work = lua_touserdata(L, 1);
    lp_state *state = work->state;
    size_t before = work->out->length;
    note_error(L, state);
    int status =
        lp_encode(L, state->codec, 2, 1, LP_ROLE_ERROR, work->out, NULL);
    if (status == LP_UNSENDABLE) {
        work->out->length = before;
        work->ending = lp_failure_reason(state, LP_CAUSE_UNSENDABLE, 0,
                                         lua_tostring(L, -1), work->out);
        return 0;
    }
    if (status == LP_OK) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, state->traceback);
        if (lua_type(L, -1) != LUA_TSTRING) {
            lua_pop(L, 1);
            lua_pushliteral(L, "stack traceback:\n\t(none)");
        }
        status =
            lp_encode(L, state->codec, 3, 1, LP_ROLE_ERROR, work->out, NULL);
    }
    if (status != LP_OK) {
        work->out->length = before;
        work->ending = lp_failure_reason(state, LP_CAUSE_MEMORY, 0,
                                         "not enough memory", work->out);
        return 0;
    }
    work->ending = LP_THREW;
    return 0;
}

lp_ending lp_failure_encode(lp_state *state, int status, lp_buffer *out)
{
    lua_State *L = state->L;
    size_t before = out->length;
    if (lp_stop_is_set(state->stop)) {
        lua_pop(L, 1);
        lp_cause cause = (lp_cause)atomic_load(&state->stop->words->cause);
        return lp_failure_reason(state, cause, 0, "", out);
    }
    if (state->exited) {
        lua_pop(L, 1);
        lua_sethook(L, NULL, 0, 0);
        state->exited = false;
        char text[64];
        snprintf(text, sizeof(text), "os.exit(%d) was called",
                 state->exit_code);
        return lp_failure_reason(state, LP_CAUSE_EXIT, state->exit_code, text,
                                 out);
    }
    if (status == LUA_ERRMEM || status == LUA_ERRERR) {
        /* The handler did not run, or not to its end. */
        luaL_unref(L, LUA_REGISTRYINDEX, state->traceback);
        state->traceback = LUA_NOREF;
    }
    if (lua_type(L, -1) == LUA_TSTRING &&
        passed_limit(state, lua_tostring(L, -1))) {
        lp_ending ending = lp_failure_reason(state, LP_CAUSE_LIMIT, 0,
                                             lua_tostring(L, -1), out);
        lua_pop(L, 1);
        return ending;
    }
    failure work = {.state = state, .out = out, .ending = LP_GAVE_UP};
    lua_pushvalue(L, LP_AT_FAILURE);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, &work);
    lua_insert(L, -2);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        out->length = before;
        return lp_failure_reason(state, LP_CAUSE_MEMORY, 0, "not enough memory",
                                 out);
    }
    return work.ending;
}
