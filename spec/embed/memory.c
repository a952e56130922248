/*
 * memory.c - an allocator of one's own: one that counts, and gets all of it
 * back; and one that fails.
 */
#include "check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct pool {
    atomic_long bytes, most, blocks, calls, lines;
    atomic_long fails_at; /* this call fails; 0: none */
    atomic_bool goes_on;  /* and all after it */
} pool;

/* In front of each block, to see that the sizes told are right. */
typedef union head {
    size_t size;
    max_align_t align;
} head;

static bool must_fail(pool *self)
{
    long call = 1 + atomic_fetch_add(&self->calls, 1);
    long at = atomic_load(&self->fails_at);
    return at > 0 && (call == at || (call > at && atomic_load(&self->goes_on)));
}

static void *allocate(void *context, void *block, size_t before, size_t after)
{
    pool *self = context;
    head *old = block ? (head *)block - 1 : NULL;
    if (old) CHECK(old->size == before);
    if (!old) before = 0;
    if (after == 0) {
        atomic_fetch_sub(&self->bytes, (long)before);
        if (old) atomic_fetch_sub(&self->blocks, 1);
        free(old);
        return NULL;
    }
    if (after > before && must_fail(self)) return NULL;
    head *new = realloc(old, sizeof(head) + after);
    CHECK(new);
    new->size = after;
    if (!old) atomic_fetch_add(&self->blocks, 1);
    long bytes = atomic_fetch_add(&self->bytes, (long)(after - before)) +
                 (long)(after - before);
    long most = atomic_load(&self->most);
    while (bytes > most &&
           !atomic_compare_exchange_weak(&self->most, &most, bytes))
        continue;
    return new + 1;
}

/* The context is the allocator's, too. */
static void count_line(void *context, const char *line)
{
    pool *self = context;
    CHECK(line[0] != '\0');
    atomic_fetch_add(&self->lines, 1);
}

static lpool_config config_with(pool *self)
{
    lpool_config config;
    lpool_config_init(&config);
    config.context = self;
    config.allocate = allocate;
    config.log = count_line;
    return config;
}

static void add_modules(lua_State *state)
{
    pool *self = lpool_context(lpool_of(state));
    lua_pushlightuserdata(state, self);
    lua_setglobal(state, "pool");
}

static lpool_executor_config some_workers(lpool_kind kind)
{
    lpool_executor_config config;
    lpool_executor_config_init(&config);
    config.kind = kind;
    config.max_workers = 2;
    return config;
}

/* A bit of everything, in all kinds. */
static void work(lpool *host, pool *self, lpool_kind kind)
{
    lua_State *L = open_state(host);
    lpool_executor *executor;
    lpool_executor_config config = some_workers(kind);
    config.memory_limit = 8 << 20;
    luaL_loadstring(L, "ready = 'yes'");
    config.initializer = 1;
    CHECK(lpool_executor_open(L, &config, &executor) == LPOOL_OK);
    lua_pop(L, 1);
    CHECK(result(L, submit(L, executor, "return #ready")) == 3);
    if (kind != LPOOL_PROCESSES) {
        lpool_future *future =
            submit(L, executor, "return pool and 1 or 0, warn('@on')");
        CHECK(result(L, future) == 1);
    }
    CHECK(fails_with(L, submit(L, executor, "return #('x'):rep(20 << 20)"),
                     "memory_limit"));
    lpool_future *futures[300];
    for (int i = 0; i < 300; i++) {
        const lpool_task_options options = {.label = "one of many",
                                            .priority = i % 5};
        futures[i] = submit_with(L, executor, "return 1", &options);
    }
    CHECK(lpool_wait_all(L, futures, 300, -1) == LPOOL_OK);
    for (int i = 0; i < 300; i++)
        lpool_future_release(futures[i]);

    lpool_map *map;
    const lpool_map_config how = {.size = sizeof(how)};
    luaL_loadstring(L, "local n = ...; return { n, tostring(n) }");
    CHECK(lpool_map_open(L, executor, &how, &map) == LPOOL_OK);
    CHECK(lpool_map_add_range(map, 1, 1, 20000) == LPOOL_OK);
    uint64_t number = 1;
    while (number != 0) {
        int count;
        CHECK(lpool_map_next(L, map, -1, &number, &count) == LPOOL_OK);
        lua_settop(L, 0);
    }
    lpool_map_free(map);

    /* What is large goes through arenas; what is left behind is freed too. */
    luaL_loadstring(L, "return (...):upper()");
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "rep");
    lua_pushliteral(L, "x");
    lua_pushinteger(L, 1 << 20);
    lua_call(L, 2, 1);
    lua_replace(L, -2);
    lpool_future *future;
    CHECK(lpool_submit(L, executor, 1, NULL, &future) == LPOOL_OK);
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(atomic_load(&self->bytes) > (kind == LPOOL_PROCESSES ? 0 : 1 << 20));
    lpool_future_release(future);

    /* What nobody looks at is reported, to this host's log alone. */
    future = submit(L, executor, "error 'unseen'");
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    long before = atomic_load(&self->lines);
    lpool_report(L, future);
    CHECK(atomic_load(&self->lines) == before + 1);
    lpool_future_release(future);
    lpool_executor_release(executor);
    lua_close(L);
}

/* Two hosts at a time, each with a pool of its own. */
static void check_counts(void)
{
    static const lpool_kind kinds[] = {LPOOL_THREADS, LPOOL_SERIAL,
                                       LPOOL_PROCESSES};
    static pool pools[2];
    lpool *hosts[2];
    for (int i = 0; i < 2; i++) {
        lpool_config config = config_with(&pools[i]);
        config.open_state = add_modules;
        CHECK(lpool_open(&config, &hosts[i]) == LPOOL_OK);
        CHECK(lpool_context(hosts[i]) == &pools[i]);
    }
    long idle = atomic_load(&pools[1].bytes);
    CHECK(idle > 0);
    for (size_t i = 0; i < 3; i++)
        work(hosts[0], &pools[0], kinds[i]);
    CHECK(atomic_load(&pools[1].bytes) == idle); /* they know nothing of it */
    work(hosts[1], &pools[1], LPOOL_THREADS);
    for (int i = 0; i < 2; i++) {
        CHECK(lpool_close(hosts[i]) == LPOOL_OK);
        CHECK(atomic_load(&pools[i].bytes) == 0);
        CHECK(atomic_load(&pools[i].blocks) == 0);
    }
}

/* ---- failing ---- */

static bool is_expected(int status)
{
    return status == LPOOL_ENOMEM || status == LPOOL_EBROKEN ||
           status == LPOOL_EINVALID || status == LPOOL_ESYSTEM;
}

typedef struct attempt {
    lpool *host;
    lpool_kind kind;
    lpool_executor *executor;
    lpool_future *futures[4];
    lpool_map *map;
    long number; /* of the call that fails */
    int failures;
} attempt;

static bool came(attempt *try, int status)
{
    if (status == LPOOL_OK) return true;
    if (!is_expected(status))
        fprintf(stderr, "allocation %ld, kind %d: %s\n", try->number,
                (int)try->kind, lpool_strerror(status));
    CHECK(is_expected(status));
    try->failures++;
    return false;
}

static int body(lua_State *L)
{
    attempt *try = lua_touserdata(L, 1);
    lpool_executor_config config = some_workers(try->kind);
    lua_settop(L, 0);
    if (!came(try, lpool_attach(try->host, L))) return 0;
    if (!came(try, lpool_executor_open(L, &config, &try->executor))) return 0;
    for (int i = 0; i < 4; i++) {
        const lpool_task_options options = {.label = "x", .priority = i};
        luaL_loadstring(L, "local t = ...; return #t[1]");
        lua_createtable(L, 1, 0);
        lua_pushstring(L, "a few words");
        lua_rawseti(L, -2, 1);
        (void)came(
            try, lpool_submit(L, try->executor, 1, &options, &try->futures[i]));
        lua_settop(L, 0);
    }
    for (int i = 0; i < 4; i++) {
        int count;
        if (!try->futures[i]) continue;
        /* Nothing hangs for want of memory. */
        CHECK(lpool_future_wait(L, try->futures[i], 20000000000) == LPOOL_OK);
        if (lpool_future_push(L, try->futures[i], &count) == LPOOL_OK)
            CHECK(count == 1 && lua_tointeger(L, -1) == 11);
        lua_settop(L, 0);
    }
    const lpool_map_config how = {.size = sizeof(how), .ordered = true};
    luaL_loadstring(L, "return ...");
    if (!came(try, lpool_map_open(L, try->executor, &how, &try->map))) return 0;
    if (!came(try, lpool_map_add_range(try->map, 1, 1, 100))) return 0;
    uint64_t number = 1;
    while (number != 0) {
        int count;
        int status = lpool_map_next(L, try->map, 20000000000, &number, &count);
        lua_settop(L, 0);
        if (status == LPOOL_EFAILED) continue; /* the item's affair */
        if (!came(try, status)) break;
    }
    return 0;
}

/* True if nothing failed any more. */
static bool fail_at(long n, bool goes_on, lpool_kind kind)
{
    pool memory = {0};
    lpool_config config = config_with(&memory);
    attempt try = {.kind = kind, .number = n};
    atomic_store(&memory.goes_on, goes_on);
    atomic_store(&memory.fails_at, n);
    int status = lpool_open(&config, &try.host);
    if (status == LPOOL_OK) {
        lua_State *L = luaL_newstate();
        luaL_openlibs(L);
        lua_pushcfunction(L, body);
        lua_pushlightuserdata(L, &try);
        if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
            const char *text = lua_tostring(L, -1);
            if (!text || !strstr(text, "memory"))
                fprintf(stderr, "allocation %ld: %s\n", n, text ? text : "?");
            CHECK(text && strstr(text, "memory"));
        }
        lpool_map_free(try.map);
        for (int i = 0; i < 4; i++)
            lpool_future_release(try.futures[i]);
        lpool_executor_release(try.executor);
        lua_close(L);
        CHECK(lpool_close(try.host) == LPOOL_OK);
    } else {
        CHECK(status == LPOOL_ENOMEM);
    }
    if (atomic_load(&memory.blocks) != 0)
        fprintf(stderr, "%ld blocks are left after allocation %ld failed\n",
                atomic_load(&memory.blocks), n);
    CHECK(atomic_load(&memory.bytes) == 0);
    CHECK(atomic_load(&memory.blocks) == 0);
    return atomic_load(&memory.calls) < n;
}

static void check_failures(lpool_kind kind, bool quick)
{
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        long n = 1;
        /* One by one at first, then in larger steps: most are Lua's. */
        while (!fail_at(n, goes_on, kind))
            n += 1 + n / (quick ? 5 : kind == LPOOL_PROCESSES ? 20 : 200);
        CHECK(n > 20);
    }
}

int main(int argc, char **argv)
{
    static pool helpers;
    lpool_config config = config_with(&helpers);
    int code = lpool_helper_main(argc, argv, &config);
    if (code >= 0) return code;
    check_counts();
    bool quick = argc > 1; /* for slow machines, such as valgrind's */
    check_failures(LPOOL_THREADS, quick);
    check_failures(LPOOL_SERIAL, quick);
    check_failures(LPOOL_PROCESSES, quick);
    puts("fine");
    return 0;
}
