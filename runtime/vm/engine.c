/* engine.c - functions run in a way that somebody else has chosen. */
#include "base/status.h"
#include "vm/vm.h"

/* From a signal handler. */
static void tell(void *listener)
{
    const lp_state *state = listener;
    state->engine.interrupt(state->self);
}

void lp_engine_open(lua_State *L, lp_state *state,
                    const lp_state_config *config)
{
    const lp_engine *engine = &config->engine;
    void *self = engine->context;
    if (engine->open) {
        int status = engine->open(engine->context, L, config->index, &self);
        if (status != LP_OK) {
            lua_pushstring(L, lp_status_text(status));
            lua_error(L); /* without a place: it has none */
        }
    }
    state->engine = *engine;
    state->self = self;
    state->engaged = true;
    if (!engine->interrupt || !state->stop) return;
    state->stop->listener = state;
    state->stop->tell = tell;
}

/* Raise the error below the traceback on top. */
static int raise_told(lua_State *L, lp_state *state)
{
    lp_failure_keep_traceback(L, state);
    state->has_told = true;
    return lua_error(L);
}

int lp_engine_body(lua_State *L)
{
    lp_state *state = lp_state_of(L);
    int count = state->engine.execute(state->self, L, lua_gettop(L) - 1);
    if (count > lua_gettop(L) || (count == LP_FAILED && lua_gettop(L) < 2))
        return luaL_error(L,
                          "the worker's kind says that %d values are on "
                          "the stack, which has %d",
                          count < 0 ? 2 : count, lua_gettop(L));
    if (count >= 0) return count;
    if (count == LP_FAILED) return raise_told(L, state);
    return luaL_error(L, "the worker's kind failed: %s", lp_status_text(count));
}

/* Argument: the state. */
static int close_body(lua_State *L)
{
    lp_state *state = lua_touserdata(L, 1);
    lua_settop(L, 0);
    state->engine.close(state->self, L);
    return 0;
}

int lp_state_close_engine(lp_state *state, char *text, size_t size)
{
    lua_State *L = state->L;
    if (!state->engaged) return LP_OK;
    state->engaged = false;
    /* The state that takes this one's place may be open already. */
    if (state->stop && state->stop->listener == state) state->stop->tell = NULL;
    if (!state->engine.close) return LP_OK;
    lua_settop(L, LP_AT_TOP);
    lua_pushcfunction(L, close_body);
    lua_pushlightuserdata(L, state);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return LP_OK;
    return lp_state_take_error(L, text, size);
}
