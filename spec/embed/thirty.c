/* thirty.c - the smallest host: the squares of ten numbers, on all cores. */
#include <lauxlib.h>
#include <lpool.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    static const char source[] = "local n = ...\n return n * n";
    lpool_config config;
    lpool_config_init(&config);
    lpool *host;
    if (lpool_abi_check() || lpool_open(&config, &host)) return 1;
    lua_State *L = luaL_newstate();
    lpool_attach(host, L);

    lpool_executor_config options;
    lpool_executor_config_init(&options);
    lpool_executor *executor;
    if (lpool_executor_open(L, &options, &executor)) return 1;
    lpool_future *futures[10];
    for (int i = 0; i < 10; i++) {
        lua_pushinteger(L, i);
        if (lpool_submit_source(L, executor, source, strlen(source), "=square",
                                1, NULL, &futures[i]))
            return 1;
    }
    for (int i = 0, count; i < 10; i++) {
        lpool_future_wait(L, futures[i], -1);
        if (lpool_future_push(L, futures[i], &count) == LPOOL_OK)
            printf("%d\n", (int)lua_tointeger(L, -1));
        lua_settop(L, 0);
        lpool_future_release(futures[i]);
    }
    lpool_executor_release(executor);
    lua_close(L);
    return lpool_close(host);
}
