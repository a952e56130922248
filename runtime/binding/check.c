/* check.c - arguments in, errors out. */
#include "binding/binding.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Raise: what is at index is not of this type, or not any more. */
static void refuse(lua_State *L, int index, const char *type, const char *why)
{
    (void)luaL_checkudata(L, index, type);
    luaL_argerror(L, index, why);
}

lpool_executor *lp_check_executor(lua_State *L, int index)
{
    lpool_executor *executor = lpool_test_executor(L, index);
    if (!executor)
        refuse(L, index, LPOOL_EXECUTOR_TYPE, "the executor was collected");
    return executor;
}

lpool_future *lp_check_future(lua_State *L, int index)
{
    lpool_future *future = lpool_test_future(L, index);
    if (!future)
        refuse(L, index, LPOOL_FUTURE_TYPE, "the future was collected");
    return future;
}

int64_t lp_check_timeout(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) return -1;
    if (lua_type(L, index) != LUA_TNUMBER) {
        luaL_typeerror(L, index, "number of seconds");
        return -1;
    }
    double seconds = lua_tonumber(L, index);
    luaL_argcheck(L, !isnan(seconds), index, "seconds expected, got nan");
    if (seconds < 0) return 0;
    double nanoseconds = seconds * 1e9;
    return nanoseconds >= 9.2e18 ? -1 : (int64_t)nanoseconds;
}

void lp_check_callable(lua_State *L, int index)
{
    if (lua_isfunction(L, index)) return;
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        luaL_typeerror(L, index, "function or callable object");
    lua_pop(L, 1);
}

int lp_raise(lua_State *L, const char *kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    lpool_push_error(L, kind, message);
    return lua_error(L);
}

int lp_raise_status(lua_State *L, int status, lpool_executor *executor)
{
    switch (status) {
    case LPOOL_ECLOSED:
        return lp_raise(L, "ShutdownError",
                        "cannot schedule new futures after shutdown");
    case LPOOL_EBROKEN:
        return lp_raise(L, lpool_executor_broken_kind(executor), "%s",
                        lpool_executor_broken(executor));
    case LPOOL_EUNSENDABLE:
        return lp_raise(L, "SerializationError", "cannot send %s",
                        lua_tostring(L, -1));
    case LPOOL_EFULL:
        return lp_raise(L, "FullError",
                        "the queue is full: %d tasks are pending (max_queue)",
                        (int)lpool_executor_max_queue(executor));
    case LPOOL_ECROWDED:
        return lp_raise(L, "FullError",
                        "the queue is full: tasks of more than %d different "
                        "priorities would be pending",
                        LPOOL_MAX_PRIORITIES);
    case LPOOL_EDEADLOCK:
        return lp_raise(
            L, "DeadlockError",
            "the tasks that this one would wait for, and all other "
            "tasks of its executor, wait for each other; let tasks "
            "wait for those of an executor that needs none of them");
    case LPOOL_ESYSTEM:
        return luaL_error(L, "cannot start a worker: %s", strerror(errno));
    default:
        return luaL_error(L, "%s", lpool_strerror(status));
    }
}

int lp_raise_failure(lua_State *L)
{
    int error = lua_gettop(L) - 1;
    lpool_keep_traceback(L, error);
    return lua_error(L);
}

double lp_seconds(int64_t nanoseconds)
{
    return (double)nanoseconds / 1e9;
}

void lp_new_type(lua_State *L, const char *name, const luaL_Reg *metamethods)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushliteral(L, "the metatable is private");
    lua_setfield(L, -2, "__metatable");
}

/* ---- shared objects ---- */

lpool_object *lp_check_object(lua_State *L, int index, lpool_object_kind kind)
{
    static const char *const types[] = {
        [LPOOL_CHANNEL] = LPOOL_CHANNEL_TYPE,
        [LPOOL_COUNTER] = LPOOL_COUNTER_TYPE,
        [LPOOL_DICT] = LPOOL_DICT_TYPE,
        [LPOOL_BUFFER] = LPOOL_BUFFER_TYPE,
    };
    lpool_object *object = lpool_test_object(L, index, kind);
    if (!object) refuse(L, index, types[kind], "the object was collected");
    return object;
}

void lp_open_object(lua_State *L, const luaL_Reg *metamethods,
                    const luaL_Reg *methods)
{
    lua_newtable(L);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushliteral(L, "the metatable is private");
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
}

int lp_push_new_object(lua_State *L, int status, lpool_object *object)
{
    if (status != LPOOL_OK) return lp_raise_status(L, status, NULL);
    lpool_push_object(L, object);
    lpool_object_release(object); /* the userdata has its own reference */
    return 1;
}

int lp_object_gc(lua_State *L)
{
    lpool_object_release(lpool_unbox(L, 1));
    return 0;
}
