/* submits.c - submitting: what a Lua state has, and what a C program has. */
#include "api/api.h"
#include "base/status.h"

/* ---- values of a state ---- */

/* What the caller and the executor say of a task. */
static lp_task_about about_tasks(const lp_executor *executor,
                                 const lpool_task_options *options)
{
    lp_task_about about = {.timeout = lp_executor_setup(executor)->timeout};
    if (!options) return about;
    about.label = options->label;
    about.retries = options->retries;
    about.priority = options->priority;
    if (options->timeout > 0) about.timeout = options->timeout;
    return about;
}

/* What was called wrongly leaves nothing of the call on the stack either. */
static int refuse(lua_State *L, int nargs)
{
    if (L && nargs >= 0 && lua_gettop(L) > nargs) lua_settop(L, -nargs - 2);
    return LP_INVALID;
}

/* Whether L's state runs tasks of executor: the caller is in one of them. */
static bool works_for(const lp_caller *caller, const lp_executor *executor)
{
    const lp_identity *identity = caller->identity;
    return identity && (identity->executor == executor ||
                        identity->stands_in_for == executor);
}

/*
 * Wait until one task more may be pending, if that is what the executor does
 * when it is full. 0, or why not: LP_FULL if it does not wait.
 */
static int await_room(lua_State *L, lp_caller *caller, lp_executor *executor)
{
    bool waits = lp_executor_setup(executor)->when_full == LPOOL_FULL_BLOCKS;
    for (;;) {
        int status = lp_executor_ask_for_room(executor);
        if (status != LP_FULL || !waits) return status;
        status = lp_caller_await_room(L, caller, executor);
        if (status == LP_DEADLOCK) return status;
        if (status == LP_INTERRUPTED) lp_caller_interrupted(L, caller);
        lpool_dispatch(L);
    }
}

/* Submit the count values from first on; LP_FULL leaves them where they are. */
static int submit_now(lua_State *L, lp_caller *caller, lp_executor *executor,
                      int first, int count, const lp_task_about *about,
                      lp_task **task)
{
    lp_buffer *buffer = lp_caller_open_buffer(L, caller);
    buffer->memory = lp_executor_memory(executor);
    int status = lp_caller_encode(L, caller, executor, first, count,
                                  LP_ROLE_CALL, buffer, NULL);
    if (status == LP_OK)
        status = lp_executor_submit(executor, buffer, about, task);
    lp_caller_close_buffer(L, caller, buffer);
    return status == LP_FULL ? status : lp_leave_text(L, first, status);
}

/* The same where a limit of pending tasks may be in the way. */
static int submit_with_limit(lua_State *L, lp_caller *caller,
                             lp_executor *executor, int first, int count,
                             lp_task_about *about, lp_task **task)
{
    int status;
    /* A worker that waited for room might wait for itself. */
    about->exceeds = works_for(caller, executor) &&
                     lp_executor_setup(executor)->when_full != LPOOL_FULL_FAILS;
    do {
        /* Before anything is encoded, which the wait could see or undo. */
        status = about->exceeds ? LP_OK : await_room(L, caller, executor);
        if (status == LP_FULL) return status;
        if (status != LP_OK) {
            lua_settop(L, first - 1);
            return status;
        }
        status = submit_now(L, caller, executor, first, count, about, task);
    } while (status == LP_FULL); /* another state was faster */
    return status;
}

int lpool_submit(lua_State *L, lpool_executor *executor, int nargs,
                 const lpool_task_options *options, lpool_future **future)
{
    lp_caller *caller;
    lp_executor *inner = lp_executor_inner(executor);
    int status = lp_caller_enter_for(L, inner, &caller);
    if (status == LP_THREAD) return status;
    if (status != LP_OK || !future || nargs < 0 || lua_gettop(L) <= nargs)
        return refuse(L, nargs);
    int first = lua_gettop(L) - nargs, count = nargs + 1;
    lp_task_about about = about_tasks(inner, options);
    lp_caller_collect(L, caller);
    about.origin = lp_caller_origin(L, caller, 1);
    lp_task *task = NULL;
    *future = NULL;
    if (lp_executor_max_queue(inner) > 0) {
        status =
            submit_with_limit(L, caller, inner, first, count, &about, &task);
    } else {
        status = submit_now(L, caller, inner, first, count, &about, &task);
    }
    *future = (lpool_future *)task;
    return status;
}

int lpool_broadcast(lua_State *L, lpool_executor *executor, int nargs,
                    const lpool_task_options *options, lpool_future **futures,
                    unsigned *count)
{
    lp_caller *caller;
    lp_executor *inner = lp_executor_inner(executor);
    int status = lp_caller_enter_for(L, inner, &caller);
    if (count) *count = 0;
    if (status == LP_THREAD) return status;
    if (status != LP_OK || !futures || !count || nargs < 0 ||
        lua_gettop(L) <= nargs)
        return refuse(L, nargs);
    int first = lua_gettop(L) - nargs;
    lp_task_about about = about_tasks(inner, options);
    about.origin = lp_caller_origin(L, caller, 1);
    lp_buffer *buffer = lp_caller_open_buffer(L, caller);
    status = lp_caller_encode(L, caller, inner, first, nargs + 1, LP_ROLE_CALL,
                              buffer, NULL);
    uint32_t made = 0;
    if (status == LP_OK)
        status = lp_executor_broadcast(inner, buffer, &about,
                                       (lp_task **)(void *)futures, &made);
    *count = made;
    lp_caller_close_buffer(L, caller, buffer);
    return lp_leave_text(L, first, status);
}

/* ---- source, and names ---- */

/* The address is the key of the function that calls by name. */
static const char caller_key;

/*
 * Runs in the worker. The search paths are those of the host, as for modules
 * that functions name.
 */
static const char call_by_name[] =
    "local path, cpath, module, name = ...\n"
    "package.path, package.cpath = path or package.path, cpath or "
    "package.cpath\n"
    "local found = require(module)[name]\n"
    "if found == nil then\n"
    "  error((\"module '%s' has no function '%s'\"):format(module, name), 0)\n"
    "end\n"
    "return found(select(5, ...))\n";

int lpool_submit_source(lua_State *L, lpool_executor *executor,
                        const char *source, size_t length, const char *name,
                        int nargs, const lpool_task_options *options,
                        lpool_future **future)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status == LP_THREAD) return status;
    if (!L || nargs < 0 || nargs > lua_gettop(L)) return LP_INVALID;
    int first = lua_gettop(L) - nargs + 1;
    if (status != LP_OK || !executor || !source || !future) {
        lua_settop(L, first - 1);
        return LP_INVALID;
    }
    luaL_checkstack(L, 1, "source");
    status =
        luaL_loadbufferx(L, source, length, name ? name : "=(source)", "t");
    lua_insert(L, first);
    if (status == LUA_OK) {
        status = lpool_submit(L, executor, nargs, options, future);
        if (status == LP_FULL) lua_remove(L, first); /* as it was */
        return status;
    }
    lua_settop(L, first); /* the message */
    return status == LUA_ERRMEM ? LP_NOMEM : LP_FAILED;
}

/* Push the function that calls by name. [-0, +1, e] */
static void push_caller(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &caller_key) == LUA_TFUNCTION) return;
    lua_pop(L, 1);
    if (luaL_loadbufferx(L, call_by_name, sizeof(call_by_name) - 1,
                         "=(call by name)", "t") != LUA_OK)
        lua_error(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &caller_key);
}

/* Push package.path and package.cpath, or nil. [-0, +2, e] */
static void push_paths(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "package") != LUA_TTABLE) {
        lua_settop(L, -3);
        lua_pushnil(L);
        lua_pushnil(L);
        return;
    }
    lua_replace(L, -2);
    lua_getfield(L, -1, "path");
    lua_getfield(L, -2, "cpath");
    lua_remove(L, -3);
}

int lpool_submit_named(lua_State *L, lpool_executor *executor,
                       const char *module, const char *function, int nargs,
                       const lpool_task_options *options, lpool_future **future)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status == LP_THREAD) return status;
    if (!L || nargs < 0 || nargs > lua_gettop(L)) return LP_INVALID;
    int first = lua_gettop(L) - nargs + 1;
    if (status != LP_OK || !executor || !module || !function || !future) {
        lua_settop(L, first - 1);
        return LP_INVALID;
    }
    luaL_checkstack(L, 8, "names");
    push_caller(L);
    lua_insert(L, first);
    push_paths(L);
    lua_pushstring(L, module);
    lua_pushstring(L, function);
    lua_rotate(L, first + 1, 4);
    status = lpool_submit(L, executor, nargs + 4, options, future);
    if (status != LP_FULL) return status;
    for (int i = 0; i < 5; i++) /* the stack is as it was */
        lua_remove(L, first);
    return status;
}
