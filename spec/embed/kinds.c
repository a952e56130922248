/*
 * kinds.c - a kind of worker of one's own, which counts all calls, and does
 * those of strings in a way of its own.
 */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct counts {
    atomic_int opened, closed, calls, told;
    int open_status; /* what the next open is to return */
    const char *open_error, *close_error;
    lpool_executor *other; /* where "forward" goes */
} counts;

/* One worker. */
typedef struct worker {
    counts *all;
    int bell[2]; /* a pipe, for interrupts */
    lpool_future *forwarded;
    unsigned index;
} worker;

static lpool *host;
static lua_State *L;

static int open_worker(void *context, lua_State *state, unsigned index,
                       void **self)
{
    counts *all = context;
    lpool_worker_info info;
    CHECK(lpool_worker(state, &info) && info.index == index);
    CHECK(strcmp(info.kind, "counting") == 0);
    CHECK(lua_getglobal(state, "added") == LUA_TBOOLEAN); /* by open_state */
    if (all->open_error) luaL_error(state, "%s", all->open_error);
    if (all->open_status) return all->open_status;
    worker *new = calloc(1, sizeof(*new));
    CHECK(new &&pipe(new->bell) == 0);
    new->all = all;
    new->index = index;
    atomic_fetch_add(&all->opened, 1);
    *self = new;
    return LPOOL_OK;
}

/* Wait as for an answer that never comes. */
static int hang(worker *self, lua_State *state)
{
    struct pollfd bell = {.fd = self->bell[0], .events = POLLIN};
    char byte;
    while (poll(&bell, 1, 60000) < 0 && errno == EINTR)
        continue;
    CHECK(read(self->bell[0], &byte, 1) == 1);
    CHECK(lpool_is_stopped(state));
    return luaL_error(state, "gave up");
}

/* The rest of the arguments is a call for the other executor. */
static int forward(worker *self, lua_State *state)
{
    int count;
    lpool_future_release(self->forwarded); /* of a call that was stopped */
    self->forwarded = NULL;
    CHECK(lpool_submit(state, self->all->other, lua_gettop(state) - 3, NULL,
                       &self->forwarded) == LPOOL_OK);
    CHECK(lpool_future_wait(state, self->forwarded, -1) == LPOOL_OK);
    int status = lpool_future_push(state, self->forwarded, &count);
    return status == LPOOL_OK ? count : status;
}

static int execute(void *context, lua_State *state, int nargs)
{
    worker *self = context;
    CHECK(lua_isfunction(state, 1) && lua_gettop(state) == nargs + 1);
    CHECK(!lpool_is_stopped(state));
    atomic_fetch_add(&self->all->calls, 1);
    const char *order =
        lua_type(state, 2) == LUA_TSTRING ? lua_tostring(state, 2) : "call";
    if (strcmp(order, "hang") == 0) return hang(self, state);
    if (strcmp(order, "forward") == 0) return forward(self, state);
    if (strcmp(order, "nothing") == 0) return 0;
    if (strcmp(order, "pair") == 0) {
        lua_pushnil(state);
        lua_pushinteger(state, 42);
        return 2;
    }
    if (strcmp(order, "raise") == 0) return luaL_error(state, "raised in C");
    if (strcmp(order, "told") == 0) {
        lua_pushliteral(state, "told");
        lua_pushliteral(state, "a traceback from far away");
        return LPOOL_EFAILED;
    }
    if (strcmp(order, "status") == 0) return LPOOL_ESYSTEM;
    if (strcmp(order, "liar") == 0) return 99;
    lua_call(state, nargs, LUA_MULTRET);
    return lua_gettop(state);
}

static void interrupt_worker(void *context)
{
    worker *self = context;
    int before = errno;
    /* It is called again and again; one byte is enough. */
    if (atomic_fetch_add(&self->all->told, 1) == 0)
        (void)!write(self->bell[1], "!", 1);
    errno = before;
}

static void close_worker(void *context, lua_State *state)
{
    worker *self = context;
    counts *all = self->all;
    lpool_future_release(self->forwarded);
    close(self->bell[0]);
    close(self->bell[1]);
    free(self);
    atomic_fetch_add(&all->closed, 1);
    if (all->close_error) luaL_error(state, "%s", all->close_error);
}

static lpool_executor *open_executor(counts *all, lpool_executor_config *config)
{
    const lpool_worker_kind kind = {.size = sizeof(kind),
                                    .name = "counting",
                                    .context = all,
                                    .open = open_worker,
                                    .execute = execute,
                                    .interrupt = interrupt_worker,
                                    .close = close_worker};
    lpool_executor *executor = NULL;
    CHECK(lpool_executor_open_kind(L, config, &kind, &executor) == LPOOL_OK);
    return executor;
}

static lpool_executor_config config_of(lpool_kind kind)
{
    lpool_executor_config config;
    lpool_executor_config_init(&config);
    config.kind = kind;
    config.max_workers = 2;
    return config;
}

static void end(lpool_executor *executor)
{
    lpool_executor_shutdown(executor, 0);
    CHECK(lpool_executor_join(L, executor, -1) == LPOOL_OK);
    lpool_executor_release(executor);
}

/* A task whose first argument is an order to the worker. */
static lpool_future *order(lpool_executor *executor, const char *what,
                           const lpool_task_options *options)
{
    lpool_future *future = NULL;
    luaL_loadstring(L, "return 'called'");
    lua_pushstring(L, what);
    CHECK(lpool_submit(L, executor, 1, options, &future) == LPOOL_OK);
    return future;
}

static void check_calls(lpool_kind kind)
{
    counts all = {0};
    lpool_executor_config config = config_of(kind);
    lpool_executor *executor = open_executor(&all, &config);
    CHECK(lpool_executor_kind(executor) == kind);
    CHECK(atomic_load(&all.opened) == 0); /* an unused one starts nothing */
    CHECK(result(L, submit(L, executor, "return 7")) == 7);
    CHECK(atomic_load(&all.calls) == 1);

    int count, top = lua_gettop(L);
    lpool_future *future = order(executor, "pair", NULL);
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(lpool_future_push(L, future, &count) == LPOOL_OK && count == 2);
    CHECK(lua_isnil(L, -2) && lua_tointeger(L, -1) == 42);
    lpool_future_release(future);
    future = order(executor, "nothing", NULL);
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(lpool_future_push(L, future, &count) == LPOOL_OK && count == 0);
    lpool_future_release(future);
    lua_settop(L, top);

    push_error(L, submit(L, executor, "error('in Lua')"));
    CHECK(strcmp(lua_tostring(L, -2), "task:1: in Lua") == 0);
    CHECK(strstr(lua_tostring(L, -1), "task:1: in main chunk"));
    push_error(L, order(executor, "told", NULL));
    CHECK(strcmp(lua_tostring(L, -2), "told") == 0);
    CHECK(strcmp(lua_tostring(L, -1), "a traceback from far away") == 0);
    push_error(L, order(executor, "raise", NULL));
    CHECK(strcmp(lua_tostring(L, -2), "raised in C") == 0);
    CHECK(strstr(lua_tostring(L, -1), "stack traceback:"));
    lua_settop(L, top);
    CHECK(fails_with(L, order(executor, "status", NULL), "the system refused"));
    CHECK(fails_with(L, order(executor, "liar", NULL), "99 values"));
    CHECK(fails_with(L, submit(L, executor, "os.exit(3)"), "os.exit(3)"));
    CHECK(result(L, submit(L, executor, "return 8")) == 8);
    end(executor);
    CHECK(atomic_load(&all.opened) > 0);
    CHECK(atomic_load(&all.opened) == atomic_load(&all.closed));
}

static void check_map(lpool_kind kind)
{
    counts all = {0};
    lpool_executor_config config = config_of(kind);
    lpool_executor *executor = open_executor(&all, &config);
    const lpool_map_config how = {.size = sizeof(how), .ordered = true};
    lpool_map *map;
    uint64_t number;
    int count;
    luaL_loadstring(L, "local x = ...; return x * 2");
    CHECK(lpool_map_open(L, executor, &how, &map) == LPOOL_OK);
    CHECK(lpool_map_add_range(map, 1, 1, 1000) == LPOOL_OK);
    for (int i = 1; i <= 1000; i++) {
        CHECK(lpool_map_next(L, map, -1, &number, &count) == LPOOL_OK);
        CHECK(count == 1 && lua_tointeger(L, -1) == 2 * i);
        lua_pop(L, 1);
    }
    lpool_map_free(map);
    CHECK(atomic_load(&all.calls) == 1000);

    static const char *const orders[] = {"pair", "told", "21", "raise"};
    luaL_loadstring(L, "local x = ...; return tonumber(x)");
    CHECK(lpool_map_open(L, executor, &how, &map) == LPOOL_OK);
    for (int i = 0; i < 4; i++) {
        lua_pushstring(L, orders[i]);
        CHECK(lpool_map_add(L, map, 1) == LPOOL_OK);
    }
    CHECK(lpool_map_flush(map) == LPOOL_OK);
    int top = lua_gettop(L);
    CHECK(lpool_map_next(L, map, -1, &number, &count) == LPOOL_OK);
    CHECK(count == 2 && lua_tointeger(L, -1) == 42);
    CHECK(lpool_map_next(L, map, -1, &number, &count) == LPOOL_EFAILED);
    CHECK(strcmp(lua_tostring(L, -2), "told") == 0);
    CHECK(strcmp(lua_tostring(L, -1), "a traceback from far away") == 0);
    CHECK(lpool_map_next(L, map, -1, &number, &count) == LPOOL_OK);
    CHECK(count == 1 && lua_tointeger(L, -1) == 21);
    CHECK(lpool_map_next(L, map, -1, &number, &count) == LPOOL_EFAILED);
    CHECK(strcmp(lua_tostring(L, -2), "raised in C") == 0);
    lua_settop(L, top);
    lpool_map_free(map);
    end(executor);
}

/* Interrupts, timeouts, retries and limits are lpool's, as ever. */
static void check_stopping(void)
{
    counts all = {0};
    lpool_executor_config config = config_of(LPOOL_THREADS);
    config.max_workers = 1;
    lpool_executor *executor = open_executor(&all, &config);
    lpool_future *future = order(executor, "hang", NULL);
    while (lpool_future_state(future) == LPOOL_PENDING)
        CHECK(lpool_sleep(L, 1000000) == LPOOL_OK);
    while (atomic_load(&all.calls) == 0)
        CHECK(lpool_sleep(L, 1000000) == LPOOL_OK);
    CHECK(lpool_future_interrupt(future));
    CHECK(fails_with(L, future, "the task was cancelled"));
    CHECK(atomic_load(&all.told) > 0);

    const lpool_task_options brief = {.timeout = 20000000};
    atomic_store(&all.told, 0);
    CHECK(fails_with(L, order(executor, "hang", &brief), "0.02 seconds"));
    const lpool_task_options thrice = {.retries = 2};
    atomic_store(&all.calls, 0);
    CHECK(fails_with(L, order(executor, "raise", &thrice), "raised in C"));
    CHECK(atomic_load(&all.calls) == 3);
    CHECK(result(L, submit(L, executor, "return 9")) == 9);
    CHECK(atomic_load(&all.opened) == 1); /* the same worker all the time */
    end(executor);
    CHECK(atomic_load(&all.closed) == 1);
}

static void check_setup(void)
{
    counts all = {0};
    lpool_executor_config config = config_of(LPOOL_THREADS);
    config.max_workers = 1;
    config.memory_limit = 4 << 20;
    config.max_tasks = 2;
    luaL_loadstring(L, "ready = 1");
    config.initializer = lua_gettop(L);
    luaL_loadstring(L, "ready = nil");
    config.finalizer = lua_gettop(L);
    lpool_executor *executor = open_executor(&all, &config);
    lua_pop(L, 2);
    CHECK(fails_with(L, submit(L, executor, "return #('x'):rep(8 << 20)"),
                     "memory_limit"));
    CHECK(result(L, submit(L, executor, "return ready")) == 1);
    CHECK(result(L, submit(L, executor, "return ready")) == 1);
    end(executor);
    CHECK(atomic_load(&all.opened) == 2 && atomic_load(&all.closed) == 2);
    CHECK(atomic_load(&all.calls) == 3 + 2 + 2);
}

static void check_forwarding(lpool_kind kind)
{
    counts all = {0};
    lpool_executor_config config = config_of(kind),
                          own = config_of(LPOOL_THREADS);
    CHECK(lpool_executor_open(L, &config, &all.other) == LPOOL_OK);
    lpool_executor *executor = open_executor(&all, &own);
    lpool_future *future;
    luaL_loadstring(L, "return 'called'");
    lua_pushliteral(L, "forward");
    luaL_loadstring(L, "local x = ...; return x and x * 2 or error 'far away'");
    lua_pushinteger(L, 21);
    CHECK(lpool_submit(L, executor, 3, NULL, &future) == LPOOL_OK);
    CHECK(result(L, future) == 42);
    luaL_loadstring(L, "return 'called'");
    lua_pushliteral(L, "forward");
    luaL_loadstring(L, "error 'far away'");
    CHECK(lpool_submit(L, executor, 2, NULL, &future) == LPOOL_OK);
    CHECK(fails_with(L, future, "far away"));
    end(executor);
    lpool_executor_release(all.other);
}

/* A worker that cannot begin breaks its executor, which says why. */
static void check_failing_open(void)
{
    counts all = {.open_status = LPOOL_ENOMEM};
    lpool_executor_config config = config_of(LPOOL_THREADS);
    lpool_executor *executor = open_executor(&all, &config);
    CHECK(fails_with(L, submit(L, executor, "return 1"), "not enough memory"));
    CHECK(lpool_executor_check(executor) == LPOOL_EBROKEN);
    end(executor);
    all.open_error = "no such device";
    executor = open_executor(&all, &config);
    CHECK(fails_with(L, submit(L, executor, "return 1"), "no such device"));
    CHECK(strstr(lpool_executor_broken(executor), "no such device"));
    end(executor);
    CHECK(atomic_load(&all.closed) == 0);
}

/* What does nothing of its own is the thread kind. */
static void check_defaults(void)
{
    const lpool_worker_kind plain = {.size = sizeof(plain)};
    lpool_worker_kind other = plain;
    lpool_executor_config config = config_of(LPOOL_THREADS);
    lpool_executor *executor = NULL;
    CHECK(lpool_executor_open_kind(L, &config, &plain, &executor) == LPOOL_OK);
    CHECK(result(L, submit(L, executor, "return 1")) == 1);
    end(executor);
    CHECK(lpool_executor_open_kind(L, &config, NULL, &executor) ==
          LPOOL_EINVALID);
    other.size--;
    CHECK(lpool_executor_open_kind(L, &config, &other, &executor) ==
          LPOOL_EVERSION);
    config.kind = LPOOL_PROCESSES;
    CHECK(lpool_executor_open_kind(L, &config, &plain, &executor) ==
          LPOOL_EUNSENDABLE);
    CHECK(strstr(lua_tostring(L, -1), "threads"));
    lua_pop(L, 1);
}

static void add(lua_State *state)
{
    lua_pushboolean(state, 1);
    lua_setglobal(state, "added");
}

static char last_line[512];

static void keep_line(void *context, const char *line)
{
    snprintf(context, sizeof(last_line), "%s", line);
}

static void check_failing_close(void)
{
    counts all = {.close_error = "the device is gone"};
    lpool_executor_config config = config_of(LPOOL_THREADS);
    lpool_executor *executor = open_executor(&all, &config);
    CHECK(result(L, submit(L, executor, "return 1")) == 1);
    end(executor);
    CHECK(strstr(last_line, "the device is gone"));
    CHECK(strstr(last_line, "close of counting-"));
}

int main(int argc, char **argv)
{
    lpool_config config;
    lpool_config_init(&config);
    config.open_state = add;
    config.log = keep_line;
    config.context = last_line;
    int code = lpool_helper_main(argc, argv, &config);
    if (code >= 0) return code;
    CHECK(lpool_open(&config, &host) == LPOOL_OK);
    L = open_state(host);
    check_calls(LPOOL_THREADS);
    check_calls(LPOOL_SERIAL);
    check_map(LPOOL_THREADS);
    check_map(LPOOL_SERIAL);
    check_stopping();
    check_setup();
    check_forwarding(LPOOL_THREADS);
    check_forwarding(LPOOL_PROCESSES);
    check_failing_open();
    check_failing_close();
    check_defaults();
    CHECK(lua_gettop(L) == 0);
    lua_close(L);
    CHECK(lpool_close(host) == LPOOL_OK);
    puts("fine");
    return 0;
}
