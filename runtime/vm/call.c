/* call.c - one task, from parcel to outcome, in protected mode. */
#include "vm/call.h"

#include "base/status.h"
#include "vm/vm.h"

typedef struct call {
    lp_state *state;
    lp_reader reader;
    lp_cause cause; /* set if it gave up: the text is on the stack */
} call;

/* Leave text on the stack as the call's one result. */
static int give_up(call *work, lp_cause cause)
{
    work->cause = cause;
    return 1;
}

/* Argument: a call. Results: none, or the text if it gave up. */
int lp_call_body(lua_State *L)
{
    call *work = lua_touserdata(L, 1);
    lp_state *state = work->state;
    int count;
    int status = lp_decode(L, work->state->codec, &work->reader, &count);
    if (status != LP_OK) return give_up(work, LP_CAUSE_UNREADABLE);

    lp_engine_call(L, state, count - 1);
    if (state->exited) return luaL_error(L, "os.exit was called");
    status = lp_encode(L, work->state->codec, 2, lua_gettop(L) - 1,
                       LP_ROLE_RESULTS, &state->buffer, NULL);
    if (status == LP_UNSENDABLE) return give_up(work, LP_CAUSE_UNSENDABLE);
    if (status != LP_OK) {
        lua_pushliteral(L, "not enough memory");
        return give_up(work, LP_CAUSE_MEMORY);
    }
    return 0;
}

void lp_call_run(lp_state *state, const uint8_t *bytes, size_t length,
                 const lp_handle *handles, size_t handle_count,
                 lp_call_outcome *outcome)
{
    lua_State *L = state->L;
    call work = {
        .state = state,
        .reader = {bytes, bytes + length, handles, handle_count},
    };
    lp_buffer_reset(&state->buffer);
    lp_heap_reset(&state->heap);
    lua_pushvalue(L, LP_AT_CALL);
    lua_pushlightuserdata(L, &work);
    int status = lua_pcall(L, 1, LUA_MULTRET, LP_AT_HANDLER);
    if (status != LUA_OK) {
        lp_buffer_reset(&state->buffer);
        outcome->ending = lp_failure_encode(state, status, &state->buffer);
    } else if (work.cause) {
        lp_buffer_reset(&state->buffer);
        outcome->ending = lp_failure_reason(
            state, work.cause, 0, lua_tostring(L, -1), &state->buffer);
    } else {
        outcome->ending = LP_RETURNED;
    }
    lua_settop(L, LP_AT_TOP);
    lp_state_reclaim(state);
    /* An executor that only the garbage here holds could never end. */
    if (handle_count > 0) lua_gc(L, LUA_GCCOLLECT);
    outcome->bytes = state->buffer.bytes;
    outcome->length = state->buffer.length;
    outcome->place = lp_buffer_take_place(&state->buffer);
}

const char *lp_call_text(lp_state *state)
{
    return state->text;
}

bool lp_call_exited(const lp_state *state)
{
    return state->has_exited;
}
