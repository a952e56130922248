/* check.h - what the programs that test lpool.h have in common. */
#ifndef CHECK_H
#define CHECK_H

#include <lauxlib.h>
#include <lpool.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CHECK_EXIT
#    define CHECK_EXIT exit(1)
#endif
#define CHECK(claim)                                                           \
    ((claim)                                                                   \
         ? (void)0                                                             \
         : (fprintf(stderr, "line %d: %s\n", __LINE__, #claim), CHECK_EXIT))

static inline lua_State *open_state(lpool *host)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    CHECK(lpool_attach(host, L) == LPOOL_OK);
    return L;
}

static inline lpool_future *submit_with(lua_State *L, lpool_executor *executor,
                                        const char *source,
                                        const lpool_task_options *options)
{
    lpool_future *future = NULL;
    CHECK(lpool_submit_source(L, executor, source, strlen(source), "=task", 0,
                              options, &future) == LPOOL_OK);
    return future;
}

static inline lpool_future *submit(lua_State *L, lpool_executor *executor,
                                   const char *source)
{
    return submit_with(L, executor, source, NULL);
}

/* Its one result, an integer; the future is released. */
static inline lua_Integer result(lua_State *L, lpool_future *future)
{
    int count = 0;
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(lpool_future_push(L, future, &count) == LPOOL_OK && count == 1);
    lua_Integer value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    lpool_future_release(future);
    return value;
}

/* Push the text of its error, then its traceback; the future is released. */
static inline void push_error(lua_State *L, lpool_future *future)
{
    int count = 0;
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(lpool_future_push(L, future, &count) == LPOOL_EFAILED);
    lpool_future_release(future);
    luaL_tolstring(L, -2, NULL);
    lua_replace(L, -3);
}

/* Whether its error has that text in it. */
static inline int fails_with(lua_State *L, lpool_future *future,
                             const char *text)
{
    push_error(L, future);
    int found = strstr(lua_tostring(L, -2), text) != NULL;
    if (!found) fprintf(stderr, "not so: %s\n", lua_tostring(L, -2));
    lua_pop(L, 2);
    return found;
}

#endif
