/*
 * handle.c - executors and futures as userdata, and as parts of a parcel.
 *
 * A state has one userdata for each future, so that a future that comes back
 * is the one that went: those that travel are noted in a weak table.
 */
#include "api/api.h"
#include "api/native.h"
#include "base/status.h"
#include "vm/blank.h"

#include <string.h>

/* The address is the key of the table of futures that have travelled. */
static const char travelled_key;

lpool_executor *lpool_test_executor(lua_State *L, int index)
{
    return lp_box_test(L, index, LP_MARK_EXECUTOR);
}

static void load_module(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lpool");
    lua_call(L, 1, 0);
}

/* Push the metatable of type, loading the module. */
static void push_type(lua_State *L, const char *type)
{
    if (luaL_getmetatable(L, type) == LUA_TTABLE) return;
    lua_pop(L, 1);
    load_module(L);
    luaL_getmetatable(L, type);
}

/*
 * An object is about to come to a state. If the last to load the module there
 * was stopped on the way, the types are there, but not all of their methods.
 */
static void complete_types(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "lpool");
    bool loaded = lua_toboolean(L, -1);
    lua_pop(L, 2);
    if (!loaded) load_module(L);
}

void lpool_push_executor(lua_State *L, lpool_executor *executor)
{
    /* User values for the binding: see executor_methods.c. */
    lpool_executor **box = lp_box_new(L, 2, LP_MARK_EXECUTOR);
    push_type(L, LPOOL_EXECUTOR_TYPE);
    lua_setmetatable(L, -2);
    lpool_executor_retain(executor);
    *box = executor;
}

void lpool_push_future(lua_State *L, lpool_future *future)
{
    push_type(L, LPOOL_FUTURE_TYPE);
    lp_box_future(L, future, -1, true);
    lua_remove(L, -2);
}

/* ---- in parcels ---- */

static void retain_executor(void *executor)
{
    lp_executor_retain(executor);
}

static void release_executor(void *executor)
{
    lp_executor_release(executor);
}

static void retain_task(void *task)
{
    lp_task_retain(task);
}

static void release_task(void *task)
{
    lp_task_release(task);
}

static const struct lp_handle_kind executor_handle = {
    .name = "an executor",
    .retain = retain_executor,
    .release = release_executor,
};
static const struct lp_handle_kind future_handle = {
    .name = "a future",
    .retain = retain_task,
    .release = release_task,
};

/* ---- strings that are lent ---- */

static void retain_loan(void *loan)
{
    lp_loan_retain(loan);
}

static void release_loan(void *loan)
{
    lp_loan_release(loan);
}

static const struct lp_handle_kind loan_handle = {
    .name = "a string",
    .retain = retain_loan,
    .release = release_loan,
};

bool lp_handle_lend(lua_State *L, const char *string, size_t length,
                    lp_handle *handle)
{
    if (length < LP_LENT || lp_caller_of(L)->to_process) return false;
    /* Only if Lua frees the string by the slabs: see lp_blank_slabs. */
    lp_slabs *slabs = lp_blank_slabs(L);
    lp_loan *loan = slabs ? lp_slabs_lend(slabs, string, length) : NULL;
    *handle = (lp_handle){&loan_handle, loan};
    return loan != NULL;
}

/* ---- futures that travel ---- */

/* Push the weak table of futures that have travelled. */
static void push_travelled(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &travelled_key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &travelled_key);
}

bool lp_handle_check(lua_State *L, int index, lp_handle *handle)
{
    int at = lua_absindex(L, index);
    lpool_executor *executor = lpool_test_executor(L, at);
    if (executor) {
        if (lpool_executor_kind(executor) != LPOOL_THREADS) return false;
        if (lp_caller_of(L)->to_process) return false;
        *handle = (lp_handle){&executor_handle, executor};
        return true;
    }
    if (lp_object_check(L, at, handle)) return true;
    if (lp_native_check(L, at, handle)) return !lp_caller_of(L)->to_process;
    lpool_future *future = lpool_test_future(L, at);
    if (!future || lp_task_inner(future)->manual) return false;
    if (lp_caller_of(L)->to_process) return false;
    push_travelled(L);
    lua_pushvalue(L, at);
    lua_rawsetp(L, -2, future);
    lua_pop(L, 1);
    *handle = (lp_handle){&future_handle, future};
    return true;
}

const char *lp_handle_explain(lua_State *L, int index)
{
    const char *why = lp_object_explain(L, index);
    if (why) return why;
    const lpool_future *future = lpool_test_future(L, index);
    if (future && lp_task_inner(future)->manual)
        return "a future made by lpool.Future, which stays in its state";
    if (future) return "a future, which cannot be sent to a process";
    lpool_executor *executor = lpool_test_executor(L, index);
    if (!executor) return NULL;
    if (lpool_executor_kind(executor) != LPOOL_THREADS)
        return "an executor that is no thread pool, which stays where it was "
               "made";
    return "an executor, which cannot be sent to a process";
}

void lp_handle_push(lua_State *L, const lp_handle *handle)
{
    if (handle->kind == &loan_handle) {
        size_t length;
        const char *bytes = lp_loan_bytes(handle->object, &length);
        lua_pushlstring(L, bytes, length);
        return;
    }
    complete_types(L);
    if (handle->kind == &executor_handle) {
        lpool_push_executor(L, handle->object);
        return;
    }
    if (handle->kind == &lp_native_handle) {
        lp_native_push(L, handle->object);
        return;
    }
    push_travelled(L);
    if (lua_rawgetp(L, -1, handle->object) == LUA_TUSERDATA) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    lpool_push_future(L, handle->object);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, handle->object);
    lua_remove(L, -2);
}
