/* native.c - lpool_submit_c. */
#include "api/native.h"

#include "api/api.h"
#include "base/alloc.h"
#include "base/status.h"

#include <stdatomic.h>

#define NATIVE_TYPE "lpool.native"

typedef struct native {
    atomic_uint references;
    lpool_function function;
    void *data;
    void (*release)(void *data);
} native;

static void retain_native(void *object)
{
    native *shared = object;
    atomic_fetch_add(&shared->references, 1);
}

static void release_native(void *object)
{
    native *shared = object;
    if (!shared || atomic_fetch_sub(&shared->references, 1) != 1) return;
    if (shared->release) shared->release(shared->data);
    lp_free(shared);
}

const struct lp_handle_kind lp_native_handle = {
    .name = "a C function",
    .retain = retain_native,
    .release = release_native,
};

static int native_call(lua_State *L)
{
    native **box = luaL_checkudata(L, 1, NATIVE_TYPE);
    luaL_argcheck(L, *box, 1, "the C function was collected");
    lua_pushinteger(L, (lua_Integer)(*box)->function((*box)->data));
    return 1;
}

static int native_gc(lua_State *L)
{
    native **box = luaL_checkudata(L, 1, NATIVE_TYPE);
    native *shared = *box;
    *box = NULL;
    release_native(shared);
    return 0;
}

/* Push an empty userdata. [-0, +1, m] */
static native **push_box(lua_State *L)
{
    native **box = lua_newuserdatauv(L, sizeof(native *), 0);
    *box = NULL;
    if (luaL_newmetatable(L, NATIVE_TYPE)) {
        lua_pushcfunction(L, native_call);
        lua_setfield(L, -2, "__call");
        lua_pushcfunction(L, native_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushliteral(L, "the metatable is private");
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return box;
}

bool lp_native_check(lua_State *L, int index, lp_handle *handle)
{
    native **box = luaL_testudata(L, index, NATIVE_TYPE);
    if (!box || !*box) return false;
    *handle = (lp_handle){&lp_native_handle, *box};
    return true;
}

void lp_native_push(lua_State *L, void *object)
{
    native **box = push_box(L);
    retain_native(object);
    *box = object;
}

int lpool_submit_c(lua_State *L, lpool_executor *executor,
                   lpool_function function, void *data,
                   void (*release)(void *data),
                   const lpool_task_options *options, lpool_future **future)
{
    lp_caller *caller;
    int status = lp_caller_enter_for(L, lp_executor_inner(executor), &caller);
    if (status != LP_OK) return status;
    if (!function || !future) return LP_INVALID;
    if (lpool_executor_kind(executor) == LPOOL_PROCESSES) {
        lua_pushliteral(L, "a C function to another process; see "
                           "lpool_submit_named");
        return LP_UNSENDABLE;
    }
    native **box = push_box(L);
    int self = lua_gettop(L);
    native *shared =
        lp_alloc(lp_executor_host(lp_executor_inner(executor))->allocator,
                 sizeof(*shared));
    if (!shared) {
        lua_settop(L, self - 1);
        return LP_NOMEM;
    }
    *shared = (native){.function = function, .data = data};
    atomic_init(&shared->references, 1);
    *box = shared;
    lua_pushvalue(L, self);
    status = lpool_submit(L, executor, 0, options, future);
    /* Only from here on the data is not the caller's any more. */
    if (status == LP_OK) shared->release = release;
    *box = NULL;
    release_native(shared);
    if (status == LP_FULL) lua_settop(L, self); /* the call stays there */
    lua_remove(L, self);
    return status;
}
