/* calls.c - the functions for C programs, used well and badly. */
#include "check.h"

#include <poll.h>
#include <stdatomic.h>

static lpool *host;
static lua_State *L;
static atomic_int released;

static int64_t twice(void *data)
{
    return 2 * *(int *)data;
}

static void release(void *data)
{
    (void)data;
    atomic_fetch_add(&released, 1);
}

static lpool_executor *open_executor(lpool_kind kind)
{
    lpool_executor *executor = NULL;
    lpool_executor_config config;
    lpool_executor_config_init(&config);
    config.kind = kind;
    config.max_workers = 2;
    CHECK(lpool_executor_open(L, &config, &executor) == LPOOL_OK);
    return executor;
}

static void check_submitting(lpool_executor *executor)
{
    lpool_future *future;
    int number = 21, top = lua_gettop(L);
    const char bad[] = "return +";
    lua_pushinteger(L, 1);
    CHECK(lpool_submit_source(L, executor, bad, strlen(bad), "=bad", 1, NULL,
                              &future) == LPOOL_EFAILED);
    CHECK(lua_gettop(L) == top + 1 && strstr(lua_tostring(L, -1), "bad:1:"));
    lua_settop(L, top);

    lua_pushliteral(L, "%d-%s");
    lua_pushinteger(L, 7);
    lua_pushliteral(L, "x");
    CHECK(lpool_submit_named(L, executor, "string", "format", 3, NULL,
                             &future) == LPOOL_OK);
    int count;
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(lpool_future_push(L, future, &count) == LPOOL_OK);
    CHECK(strcmp(lua_tostring(L, -1), "7-x") == 0);
    lua_settop(L, top);
    lpool_future_release(future);

    CHECK(lpool_submit_named(L, executor, "string", "nothing", 0, NULL,
                             &future) == LPOOL_OK);
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(lpool_future_push(L, future, &count) == LPOOL_EFAILED);
    CHECK(strstr(lua_tostring(L, -2), "has no function 'nothing'"));
    lua_settop(L, top);
    lpool_future_release(future);

    int status =
        lpool_submit_c(L, executor, twice, &number, release, NULL, &future);
    if (lpool_executor_kind(executor) == LPOOL_PROCESSES) {
        CHECK(status == LPOOL_EUNSENDABLE && lua_isstring(L, -1));
        lua_settop(L, top);
    } else {
        CHECK(status == LPOOL_OK && result(L, future) == 42);
    }
    CHECK(lua_gettop(L) == top);
}

/*
 * It takes memory, since the thread sanitizer holds signals back until a
 * thread calls something of the system's: while true do end never does.
 */
static const char endless[] = "while true do local _ = {} end";

static void check_waiting(lpool_executor *executor)
{
    lpool_future *futures[3];
    size_t which = 99;
    futures[0] = submit(L, executor, endless);
    futures[1] = submit(L, executor, "return 5");
    futures[2] = submit(L, executor, "return 6");
    CHECK(lpool_wait_any(L, futures, 3, -1, &which) == LPOOL_OK);
    CHECK(which == 1 || which == 2);
    CHECK(lpool_wait_all(L, futures, 3, 1000000) == LPOOL_ETIMEOUT);
    CHECK(lpool_wait_any(L, futures, 1, 1000000, &which) == LPOOL_ETIMEOUT);
    CHECK(lpool_wait_all(L, futures + 1, 2, -1) == LPOOL_OK);
    CHECK(lpool_wait_any(L, futures, 0, -1, &which) == LPOOL_EINVALID);
    CHECK(result(L, futures[1]) == 5 && result(L, futures[2]) == 6);
    CHECK(lpool_future_interrupt(futures[0]));
    CHECK(lpool_wait_all(L, futures, 1, -1) == LPOOL_OK);
    int count;
    CHECK(lpool_future_push(L, futures[0], &count) == LPOOL_EFAILED);
    lua_pop(L, 2);
    lpool_future_release(futures[0]);
}

static void check_interrupts(void)
{
    static const char *const texts[] = {"interrupted!", "a.lua:7: interrupted!",
                                        "interrupted! Not at the end", ""};
    for (int i = 0; i < 4; i++) {
        lua_pushstring(L, texts[i]);
        CHECK(lpool_is_interrupt(L, -1) == (i < 2));
        lua_pop(L, 1);
    }
    lua_pushinteger(L, 1);
    CHECK(!lpool_is_interrupt(L, -1) &&
          !lpool_is_interrupt(L, lua_gettop(L) + 1));
    lua_pop(L, 1);
}

/* One has ended when it is added, and one has not: their tags come back. */
static void check_tags(lpool_executor *executor)
{
    lpool_future *ended = submit(L, executor, "return 1"), *next;
    lpool_future *running = submit(L, executor, endless);
    lpool_waiter *waiter;
    size_t tag = 0;
    CHECK(lpool_future_wait(L, ended, -1) == LPOOL_OK);
    CHECK(lpool_waiter_open(L, &waiter) == LPOOL_OK);
    CHECK(lpool_waiter_add(waiter, running, 7) == LPOOL_OK);
    CHECK(lpool_waiter_add(waiter, ended, 8) == LPOOL_OK);
    CHECK(lpool_waiter_next(L, waiter, -1, &next, &tag) == LPOOL_OK);
    CHECK(next == ended && tag == 8);
    CHECK(lpool_waiter_next(L, waiter, 0, &next, &tag) == LPOOL_ETIMEOUT);
    CHECK(lpool_future_interrupt(running));
    CHECK(lpool_waiter_next(L, waiter, -1, &next, &tag) == LPOOL_OK);
    CHECK(next == running && tag == 7);
    CHECK(lpool_waiter_next(L, waiter, -1, &next, NULL) == LPOOL_EINVALID);
    lpool_waiter_close(waiter);
    lpool_future_release(ended);
    lpool_future_release(running);
}

static int count_call(lua_State *state)
{
    ++*(int *)lua_touserdata(state, 1);
    return 0;
}

/* An event loop of poll: each future's end makes the descriptor readable. */
static void check_polling(lpool_executor *executor)
{
    int calls = 0, fd = -1, again = -1;
    CHECK(lpool_fd(L, &fd) == LPOOL_OK && lpool_fd(L, &again) == LPOOL_OK);
    CHECK(fd == again && lpool_fd(L, NULL) == LPOOL_EINVALID);
    struct pollfd mail = {.fd = fd, .events = POLLIN};
    for (int i = 1; i <= 20; i++) {
        lpool_future *future = submit(L, executor, "return 1");
        /* Before and after its end: both must be heard of. */
        if (i % 2 == 0) CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
        lua_pushlightuserdata(L, &calls);
        lua_pushcfunction(L, count_call);
        lpool_future_on_done(L, future);
        while (calls < i) {
            CHECK(poll(&mail, 1, 20000) == 1);
            lpool_dispatch(L);
        }
        lpool_future_release(future);
    }
    CHECK(calls == 20 && poll(&mail, 1, 0) == 0);
}

/* A coroutine is as good as its main thread. */
static void check_coroutines(lpool_executor *executor)
{
    int calls = 0, top = lua_gettop(L);
    lua_State *thread = lua_newthread(L);
    lpool_future *future = submit(thread, executor, "return 11");
    lua_pushlightuserdata(thread, &calls);
    lua_pushcfunction(thread, count_call);
    CHECK(lpool_future_on_done(thread, future) == LPOOL_OK);
    lpool_future_retain(future);
    CHECK(result(thread, future) == 11);
    CHECK(lpool_dispatch(L) == LPOOL_OK && calls == 1);
    lpool_future_release(future);
    lua_settop(L, top);
}

/* A state that is closed while it has work, of which others still know. */
static void check_closing_early(lpool_executor *executor)
{
    const lpool_map_config how = {.size = sizeof(how)};
    lua_State *brief = open_state(host);
    lpool_future *future = submit(brief, executor, "return 12");
    lpool_map *map;
    lpool_waiter *waiter;
    int calls = 0, fd;
    luaL_loadstring(brief, "return ...");
    CHECK(lpool_map_open(brief, executor, &how, &map) == LPOOL_OK);
    CHECK(lpool_map_add_range(map, 1, 1, 1000) == LPOOL_OK);
    CHECK(lpool_waiter_open(brief, &waiter) == LPOOL_OK);
    CHECK(lpool_waiter_add(waiter, future, 0) == LPOOL_OK);
    CHECK(lpool_fd(brief, &fd) == LPOOL_OK);
    lua_pushlightuserdata(brief, &calls);
    lua_pushcfunction(brief, count_call);
    CHECK(lpool_future_on_done(brief, future) == LPOOL_OK);
    lua_close(brief);
    CHECK(result(L, future) == 12 && calls == 0);
    lpool_waiter_close(waiter);
    lpool_map_free(map);
}

static void check_misuse(lpool_executor *executor)
{
    lpool_config config;
    lpool_executor_config options;
    lpool_future *future = NULL;
    lpool_executor *none = NULL;
    lpool *other = NULL;
    lua_State *foreign = luaL_newstate();
    int count, top = lua_gettop(L);
    CHECK(lpool_abi_check() == LPOOL_OK);
    CHECK(lpool_check_version(99, 0, LUA_VERSION_NUM) == LPOOL_EVERSION);
    CHECK(lpool_open(NULL, &other) == LPOOL_EINVALID);
    lpool_config_init(&config);
    CHECK(lpool_open(&config, NULL) == LPOOL_EINVALID);
    config.size--;
    CHECK(lpool_open(&config, &other) == LPOOL_EVERSION);
    config.size++;
    CHECK(lpool_open(&config, &other) == LPOOL_OK);
    CHECK(lpool_attach(other, L) == LPOOL_EINVALID);
    CHECK(lpool_attach(NULL, foreign) == LPOOL_EINVALID);
    CHECK(lpool_attach(host, NULL) == LPOOL_EINVALID);
    CHECK(lpool_close(host) == LPOOL_EINVALID); /* L is attached */

    lpool_executor_config_init(&options);
    CHECK(lpool_executor_open(foreign, &options, &none) == LPOOL_EINVALID);
    options.kind = (lpool_kind)77;
    CHECK(lpool_executor_open(L, &options, &none) == LPOOL_EINVALID);
    CHECK(lpool_executor_open(L, NULL, &none) == LPOOL_EINVALID);
    luaL_loadstring(foreign, "return 1");
    CHECK(lpool_submit(foreign, executor, 0, NULL, &future) == LPOOL_EINVALID);
    CHECK(lua_gettop(foreign) == 0);
    CHECK(lpool_attach(other, foreign) == LPOOL_OK);
    luaL_loadstring(foreign, "return 1"); /* the executor of another host */
    CHECK(lpool_submit(foreign, executor, 0, NULL, &future) == LPOOL_EINVALID);
    CHECK(lpool_submit(L, executor, 0, NULL, &future) == LPOOL_EINVALID);
    CHECK(lpool_submit(L, NULL, 0, NULL, &future) == LPOOL_EINVALID);
    CHECK(lpool_submit_c(L, executor, NULL, NULL, NULL, NULL, &future) ==
          LPOOL_EINVALID);
    CHECK(lpool_future_wait(L, NULL, -1) == LPOOL_EINVALID);
    CHECK(lpool_future_push(L, NULL, &count) == LPOOL_EINVALID);
    CHECK(lpool_executor_join(L, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_executor_check(NULL) == LPOOL_EINVALID);
    CHECK(!lpool_future_cancel(NULL) && !lpool_future_label(NULL));
    lpool_executor_retain(NULL);
    lpool_executor_release(NULL);
    lpool_future_release(NULL);
    lpool_map_free(NULL);
    lua_close(foreign);
    CHECK(lpool_close(other) == LPOOL_OK && lpool_close(NULL) == LPOOL_OK);
    CHECK(lua_gettop(L) == top);
}

/* A state with memory of its own grows and shrinks, and submits. */
static void check_newstate(void)
{
    static const char grows[] =
        "for _ = 1, 3 do\n"
        "  local list = {}\n"
        "  for i = 1, 100000 do list[i] = { i, tostring(i) } end\n"
        "  assert(list[77777][2] == '77777')\n"
        "  list = nil\n"
        "  collectgarbage()\n"
        "end\n"
        "return ('x'):rep(100):rep(1000):len()";
    lua_State *own = lpool_newstate();
    CHECK(own != NULL);
    luaL_openlibs(own);
    CHECK(!luaL_dostring(own, grows));
    CHECK(lua_tointeger(own, -1) == 100000);
    lua_settop(own, 0);
    CHECK(luaL_dostring(own, "error 'no'"));
    CHECK(lpool_attach(host, own) == LPOOL_OK);
    lpool_executor *executor;
    lpool_executor_config options;
    lpool_executor_config_init(&options);
    options.kind = LPOOL_THREADS;
    CHECK(lpool_executor_open(own, &options, &executor) == LPOOL_OK);
    CHECK(result(own, submit(own, executor, "return 12")) == 12);
    lpool_executor_shutdown(executor, 0);
    CHECK(lpool_executor_join(own, executor, -1) == LPOOL_OK);
    lpool_executor_release(executor);
    lpool_closestate(own);
    lpool_closestate(luaL_newstate());
    lpool_closestate(NULL);
}

int main(int argc, char **argv)
{
    static const lpool_kind kinds[] = {LPOOL_THREADS, LPOOL_SERIAL,
                                       LPOOL_PROCESSES};
    lpool_config config;
    lpool_config_init(&config);
    int code = lpool_helper_main(argc, argv, &config);
    if (code >= 0) return code;
    CHECK(lpool_open(&config, &host) == LPOOL_OK);
    L = open_state(host);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        lpool_executor *executor = open_executor(kinds[i]);
        check_submitting(executor);
        if (kinds[i] != LPOOL_SERIAL) {
            check_waiting(executor);
            check_tags(executor);
        }
        check_interrupts();
        check_polling(executor);
        check_coroutines(executor);
        check_closing_early(executor);
        check_misuse(executor);
        lpool_executor_shutdown(executor, 0);
        lpool_future *future;
        luaL_loadstring(L, "return 1");
        CHECK(lpool_submit(L, executor, 0, NULL, &future) == LPOOL_ECLOSED);
        lpool_executor_release(executor);
    }
    check_newstate();
    lua_close(L);
    CHECK(lpool_close(host) == LPOOL_OK);
    CHECK(atomic_load(&released) == 2);
    puts("fine");
    return 0;
}
