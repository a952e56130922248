/*
 * misuse_test.c - lpool.h used badly: a status with words, never a crash.
 *
 * The library of the C specs is a debug build, which also knows whose thread
 * a Lua state is.
 */
#include "../embed/check.h"

#include <pthread.h>

static lpool *host;
static lua_State *L;
static lpool_executor *executor;

static lpool_executor *open_threads(lua_State *state)
{
    lpool_executor *opened;
    lpool_executor_config config;
    lpool_executor_config_init(&config);
    config.max_workers = 1;
    CHECK(lpool_executor_open(state, &config, &opened) == LPOOL_OK);
    return opened;
}

/* ---- null pointers ---- */

static void test_null_for_hosts(void)
{
    lpool_config config;
    lpool_config_init(NULL);
    lpool_executor_config_init(NULL);
    lpool_config_init(&config);
    CHECK(lpool_open(NULL, &host) == LPOOL_EINVALID);
    CHECK(lpool_open(&config, NULL) == LPOOL_EINVALID);
    CHECK(lpool_close(NULL) == LPOOL_OK);
    CHECK(lpool_attach(NULL, L) == LPOOL_EINVALID);
    CHECK(lpool_attach(host, NULL) == LPOOL_EINVALID);
    CHECK(!lpool_of(NULL) && !lpool_context(NULL));
    CHECK(!lpool_worker(NULL, NULL) && !lpool_worker(L, NULL));
    CHECK(!lpool_is_stopped(NULL) && !lpool_interrupt(NULL));
    CHECK(!lpool_is_interrupt(NULL, 1));
    CHECK(lpool_finish(NULL) == LPOOL_EINVALID);
    CHECK(lpool_dispatch(NULL) == LPOOL_EINVALID);
    CHECK(lpool_sleep(NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_fd(NULL, NULL) == LPOOL_EINVALID);
    CHECK(lpool_fd(L, NULL) == LPOOL_EINVALID);
    CHECK(lpool_dump(NULL) == LPOOL_EINVALID);
    CHECK(lpool_trace_open(NULL, "") == LPOOL_EINVALID);
    CHECK(lpool_trace_open(host, NULL) == LPOOL_EINVALID);
    lpool_trace_close(NULL);
    lpool_trace_close(host); /* it has none */
}

static void test_null_for_executors(void)
{
    const lpool_worker_kind kind = {.size = sizeof(kind)};
    lpool_executor_config config;
    lpool_executor *none = NULL;
    lpool_executor_config_init(&config);
    CHECK(lpool_executor_open(NULL, &config, &none) == LPOOL_EINVALID);
    CHECK(lpool_executor_open(L, NULL, &none) == LPOOL_EINVALID);
    CHECK(lpool_executor_open(L, &config, NULL) == LPOOL_EINVALID);
    CHECK(lpool_executor_open_kind(L, NULL, &kind, &none) == LPOOL_EINVALID);
    CHECK(lpool_executor_open_kind(L, &config, NULL, &none) == LPOOL_EINVALID);
    CHECK(lpool_executor_stand_in(L, NULL, &none) == LPOOL_EINVALID);
    CHECK(lpool_executor_stand_in(L, executor, NULL) == LPOOL_EINVALID);
    lpool_executor_retain(NULL);
    lpool_executor_release(NULL);
    lpool_executor_shutdown(NULL, LPOOL_KILL);
    CHECK(lpool_executor_kind(NULL) == 0 && !lpool_executor_broken(NULL));
    CHECK(lpool_executor_max_workers(NULL) == 0);
    CHECK(lpool_executor_max_queue(NULL) == 0);
    CHECK(lpool_executor_when_full(NULL) == LPOOL_FULL_BLOCKS);
    CHECK(lpool_executor_broken_kind(NULL) != NULL);
    CHECK(lpool_executor_check(NULL) == LPOOL_EINVALID);
    CHECK(lpool_executor_join(L, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_executor_stats(NULL, NULL) == LPOOL_EINVALID);
    CHECK(lpool_executor_dump(L, NULL) == LPOOL_EINVALID);
    char text[80] = "untouched";
    lpool_executor_describe(NULL, text, 0);
    CHECK(strcmp(text, "untouched") == 0);
    lpool_executor_describe(NULL, text, sizeof(text));
    CHECK(*text == '\0');
}

static int64_t nothing(void *data)
{
    (void)data;
    return 0;
}

static void test_null_for_submits(void)
{
    lpool_future *future = NULL;
    unsigned count;
    luaL_loadstring(L, "return 1");
    CHECK(lpool_submit(L, executor, 0, NULL, NULL) == LPOOL_EINVALID);
    CHECK(lpool_submit(L, executor, 0, NULL, &future) == LPOOL_EINVALID);
    CHECK(lpool_submit(L, executor, -1, NULL, &future) == LPOOL_EINVALID);
    CHECK(lpool_submit(NULL, executor, 0, NULL, &future) == LPOOL_EINVALID);
    CHECK(lpool_submit_source(L, executor, NULL, 0, NULL, 0, NULL, &future) ==
          LPOOL_EINVALID);
    CHECK(lpool_submit_source(L, NULL, "", 0, NULL, 0, NULL, &future) ==
          LPOOL_EINVALID);
    CHECK(lpool_submit_named(L, executor, NULL, "f", 0, NULL, &future) ==
          LPOOL_EINVALID);
    CHECK(lpool_submit_named(L, executor, "m", NULL, 0, NULL, &future) ==
          LPOOL_EINVALID);
    CHECK(lpool_submit_c(L, executor, NULL, NULL, NULL, NULL, &future) ==
          LPOOL_EINVALID);
    CHECK(lpool_submit_c(L, NULL, nothing, NULL, NULL, NULL, &future) ==
          LPOOL_EINVALID);
    luaL_loadstring(L, "return 1");
    CHECK(lpool_broadcast(L, executor, 0, NULL, NULL, &count) ==
          LPOOL_EINVALID);
    CHECK(lua_gettop(L) == 0 && !future);
}

static void test_null_for_futures(void)
{
    size_t which;
    int count;
    lpool_waiter *waiter = NULL;
    lpool_future *none = NULL;
    lpool_future_retain(NULL);
    lpool_future_release(NULL);
    lpool_future_forget(L, NULL);
    lpool_report(L, NULL);
    CHECK(lpool_future_state(NULL) == LPOOL_CANCELLED);
    CHECK(!lpool_future_cancel(NULL) && !lpool_future_interrupt(NULL));
    CHECK(lpool_future_wait(L, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_future_push(L, NULL, &count) == LPOOL_EINVALID);
    CHECK(lpool_future_outcome_type(L, NULL) != NULL);
    CHECK(lpool_future_number(NULL) == 0 && lpool_future_pid(NULL) == 0);
    CHECK(!lpool_future_label(NULL) && !lpool_future_worker(NULL, NULL, 0));
    lua_pushboolean(L, 1);
    lua_pushboolean(L, 1);
    CHECK(lpool_future_on_done(L, NULL) == LPOOL_EINVALID);
    lua_settop(L, 0);
    CHECK(lpool_future_new(L, NULL) == LPOOL_EINVALID);
    CHECK(!lpool_future_is_manual(NULL));
    CHECK(lpool_future_set_running(NULL) == LPOOL_EINVALID);
    CHECK(lpool_future_set_result(L, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_future_set_error(L, NULL) == LPOOL_EINVALID);
    CHECK(lpool_wait_any(L, NULL, 1, 0, &which) == LPOOL_EINVALID);
    CHECK(lpool_wait_any(L, &none, 1, 0, &which) == LPOOL_EINVALID);
    CHECK(lpool_wait_all(L, &none, 1, 0) == LPOOL_EINVALID);
    CHECK(lpool_waiter_open(L, NULL) == LPOOL_EINVALID);
    CHECK(lpool_waiter_add(NULL, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_waiter_next(L, NULL, 0, &none, NULL) == LPOOL_EINVALID);
    CHECK(lpool_waiter_open(L, &waiter) == LPOOL_OK);
    CHECK(lpool_waiter_add(waiter, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_waiter_next(L, waiter, 0, NULL, NULL) == LPOOL_EINVALID);
    CHECK(lpool_waiter_next(L, waiter, 0, &none, NULL) == LPOOL_EINVALID);
    lpool_waiter_close(waiter);
    lpool_waiter_close(NULL);
}

static void test_null_for_maps(void)
{
    const lpool_map_config how = {.size = sizeof(how)};
    lpool_map *map;
    uint64_t number;
    int64_t value;
    int count;
    luaL_loadstring(L, "return 1");
    CHECK(lpool_map_open(L, executor, NULL, &map) == LPOOL_EINVALID);
    CHECK(lpool_map_open(L, executor, &how, NULL) == LPOOL_EINVALID);
    CHECK(lpool_map_open(L, NULL, &how, &map) == LPOOL_EINVALID);
    CHECK(lpool_map_open(L, executor, &how, &map) == LPOOL_OK);
    CHECK(lpool_map_next(L, map, 0, NULL, &count) == LPOOL_EINVALID);
    CHECK(lpool_map_next(NULL, map, 0, &number, &count) == LPOOL_EINVALID);
    CHECK(lpool_map_take_integers(NULL, &value, 1, &number) == 0);
    CHECK(lpool_map_take_integers(map, NULL, 1, &number) == 0);
    CHECK(lpool_map_take_integers(map, &value, 1, NULL) == 0);
    CHECK(lpool_map_take_integers(map, &value, 1, &number) == 0); /* none */
    CHECK(lpool_map_add(NULL, map, 0) == LPOOL_EINVALID);
    CHECK(lpool_map_add_list(L, map, 1, 1, 1, false) == LPOOL_EINVALID);
    lpool_map_close(map, true);
    CHECK(lpool_map_add_range(map, 1, 1, 5) == LPOOL_EINVALID); /* closed */
    CHECK(lpool_map_add(L, map, 0) == LPOOL_EINVALID);
    CHECK(lpool_map_next(L, map, 0, &number, &count) == LPOOL_EINVALID);
    CHECK(lpool_map_flush(map) == LPOOL_OK && lpool_map_is_ready(map));
    lpool_map_free(map);
    lpool_map_free(NULL);
    lpool_map_close(NULL, true);
    CHECK(lpool_map_add_range(NULL, 1, 1, 1) == LPOOL_EINVALID);
    CHECK(lpool_map_flush(NULL) == LPOOL_EINVALID);
    CHECK(lpool_map_pending(NULL) == 0 && !lpool_map_is_ready(NULL));
    CHECK(lua_gettop(L) == 0);
}

static void push_two(void)
{
    lua_settop(L, 0);
    lua_pushinteger(L, 1);
    luaL_loadstring(L, "return 1");
}

/* Each function is given one that it is not for; NULL is for none. */
static void use_wrongly(lpool_object *object)
{
    lpool_object_kind kind = lpool_object_kind_of(object);
    lpool_number type = LPOOL_F32;
    uint64_t count = 5;
    if (kind != LPOOL_CHANNEL) {
        push_two();
        CHECK(lpool_channel_send(L, object, 0) == LPOOL_EINVALID);
        CHECK(lpool_channel_receive(L, object, 0) == LPOOL_EINVALID);
        CHECK(lpool_channel_close(object) == LPOOL_EINVALID);
        CHECK(lpool_channel_count(object) == 0 && lua_gettop(L) == 1);
    }
    if (kind != LPOOL_COUNTER) {
        lpool_counter_set(object, 5);
        CHECK(lpool_counter_add(object, 5) == 0);
        CHECK(lpool_counter_get(object) == 0);
        CHECK(!lpool_counter_swap(object, 0, 1));
    }
    if (kind != LPOOL_DICT) {
        push_two();
        CHECK(lpool_dict_get(L, object) == LPOOL_EINVALID);
        push_two();
        CHECK(lpool_dict_set(L, object) == LPOOL_EINVALID);
        push_two();
        CHECK(lpool_dict_update(L, object) == LPOOL_EINVALID);
        CHECK(lpool_dict_copy(L, object) == LPOOL_EINVALID);
        CHECK(lua_gettop(L) == 0);
    }
    if (kind != LPOOL_BUFFER) {
        CHECK(!lpool_buffer_numbers(object, &type, &count));
        CHECK(type == LPOOL_F32 && count == 5);
    }
    lua_settop(L, 0);
}

static void test_null_for_objects(void)
{
    lpool_object *none = NULL;
    CHECK(lpool_channel_open(NULL, 1, &none) == LPOOL_EINVALID);
    CHECK(lpool_channel_open(L, 1, NULL) == LPOOL_EINVALID);
    CHECK(lpool_counter_open(L, 1, NULL) == LPOOL_EINVALID);
    CHECK(lpool_dict_open(L, NULL) == LPOOL_EINVALID);
    CHECK(lpool_buffer_open(L, LPOOL_U8, 1, NULL) == LPOOL_EINVALID && !none);
    lpool_object_retain(NULL);
    lpool_object_release(NULL);
    use_wrongly(NULL);
    CHECK(lpool_channel_send(NULL, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_channel_receive(NULL, NULL, 0) == LPOOL_EINVALID);
    CHECK(lpool_dict_get(NULL, NULL) == LPOOL_EINVALID);
    CHECK(lpool_dict_set(NULL, NULL) == LPOOL_EINVALID);
    CHECK(lpool_dict_update(NULL, NULL) == LPOOL_EINVALID);
    CHECK(lpool_dict_copy(NULL, NULL) == LPOOL_EINVALID);
}

static void test_objects_of_other_kinds(void)
{
    lpool_object *objects[4];
    CHECK(lpool_channel_open(L, 1, &objects[0]) == LPOOL_OK);
    CHECK(lpool_counter_open(L, 1, &objects[1]) == LPOOL_OK);
    CHECK(lpool_dict_open(L, &objects[2]) == LPOOL_OK);
    CHECK(lpool_buffer_open(L, LPOOL_U8, 1, &objects[3]) == LPOOL_OK);
    for (int i = 0; i < 4; i++) {
        use_wrongly(objects[i]);
        lpool_object_release(objects[i]);
    }
}

/* ---- what belongs to another host, or to none ---- */

static void test_other_hosts(void)
{
    lpool *other;
    lpool_config config;
    lpool_config_init(&config);
    CHECK(lpool_open(&config, &other) == LPOOL_OK);
    lua_State *stranger = luaL_newstate(); /* attached to none */
    lua_State *guest = open_state(other);
    lpool_future *future = submit(L, executor, "return {}"), *made = NULL;
    int count;
    CHECK(lpool_future_wait(L, future, -1) == LPOOL_OK);
    CHECK(lpool_future_push(stranger, future, &count) == LPOOL_EINVALID);
    CHECK(lpool_future_push(guest, future, &count) == LPOOL_EINVALID);
    CHECK(lpool_submit_source(stranger, executor, "", 0, NULL, 0, NULL,
                              &made) == LPOOL_EINVALID);
    CHECK(lpool_submit_source(guest, executor, "", 0, NULL, 0, NULL, &made) ==
          LPOOL_EINVALID);
    CHECK(lpool_executor_join(guest, executor, 0) == LPOOL_EINVALID);
    lpool_waiter *waiter;
    CHECK(lpool_waiter_open(guest, &waiter) == LPOOL_OK);
    CHECK(lpool_waiter_add(waiter, future, 0) == LPOOL_EINVALID);
    lpool_waiter_close(waiter);
    lpool_future_release(future);
    future = submit(L, executor, "while true do end");
    CHECK(lpool_future_wait(guest, future, 0) == LPOOL_EINVALID);
    lpool_future_interrupt(future);
    lpool_future_release(future);
    CHECK(lpool_attach(other, L) == LPOOL_EINVALID);
    CHECK(lua_gettop(stranger) == 0 && lua_gettop(guest) == 0);

    /* What a future without a worker holds is of one state alone. */
    lua_State *second = open_state(host);
    CHECK(lpool_future_new(L, &made) == LPOOL_OK);
    CHECK(lpool_future_set_result(L, made, 0) == LPOOL_OK);
    CHECK(lpool_future_push(second, made, &count) == LPOOL_EINVALID);
    lpool_future_forget(L, made);
    lpool_future_release(made);
    lua_close(second);

    CHECK(lpool_close(other) == LPOOL_EINVALID); /* guest is attached */
    lua_close(guest);
    lua_close(stranger);
    CHECK(lpool_close(other) == LPOOL_OK);
}

static void test_after_shutdown(void)
{
    lpool_executor *closed = open_threads(L);
    lpool_future *future = NULL;
    lpool_map *map;
    const lpool_map_config how = {.size = sizeof(how)};
    lpool_executor_shutdown(closed, 0);
    luaL_loadstring(L, "return 1");
    CHECK(lpool_submit(L, closed, 0, NULL, &future) == LPOOL_ECLOSED);
    luaL_loadstring(L, "return 1");
    if (lpool_map_open(L, closed, &how, &map) == LPOOL_OK) {
        CHECK(lpool_map_add_range(map, 1, 1, 3) == LPOOL_ECLOSED);
        lpool_map_free(map);
    }
    CHECK(lpool_executor_check(closed) == LPOOL_ECLOSED);
    CHECK(lpool_executor_join(L, closed, -1) == LPOOL_OK);
    lpool_executor_release(closed);
    lua_settop(L, 0);
}

/* ---- threads ---- */

static lpool_object *channel, *dict;

static void *use_foreign(void *unused)
{
    lpool_executor_config config;
    lpool_executor *opened;
    lpool_future *future = NULL;
    const lpool_map_config how = {.size = sizeof(how)};
    lpool_map *map;
    lpool_waiter *waiter;
    size_t which;
    int fd;
    lpool_object *made;
    (void)unused;
    lpool_executor_config_init(&config);
    CHECK(strstr(lpool_strerror(LPOOL_ETHREAD), "another thread"));
    CHECK(lpool_executor_open(L, &config, &opened) == LPOOL_ETHREAD);
    CHECK(lpool_executor_stand_in(L, executor, &opened) == LPOOL_ETHREAD);
    CHECK(lpool_executor_join(L, executor, 0) == LPOOL_ETHREAD);
    CHECK(lpool_executor_dump(L, executor) == LPOOL_ETHREAD);
    CHECK(lpool_submit(L, executor, 0, NULL, &future) == LPOOL_ETHREAD);
    CHECK(lpool_submit_source(L, executor, "", 0, NULL, 0, NULL, &future) ==
          LPOOL_ETHREAD);
    CHECK(lpool_submit_named(L, executor, "m", "f", 0, NULL, &future) ==
          LPOOL_ETHREAD);
    CHECK(lpool_submit_c(L, executor, nothing, NULL, NULL, NULL, &future) ==
          LPOOL_ETHREAD);
    CHECK(lpool_map_open(L, executor, &how, &map) == LPOOL_ETHREAD);
    CHECK(lpool_waiter_open(L, &waiter) == LPOOL_ETHREAD);
    CHECK(lpool_wait_any(L, &future, 1, 0, &which) == LPOOL_ETHREAD);
    CHECK(lpool_wait_all(L, &future, 1, 0) == LPOOL_ETHREAD);
    CHECK(lpool_future_new(L, &future) == LPOOL_ETHREAD);
    CHECK(lpool_dispatch(L) == LPOOL_ETHREAD);
    CHECK(lpool_finish(L) == LPOOL_ETHREAD);
    CHECK(lpool_sleep(L, 0) == LPOOL_ETHREAD);
    CHECK(lpool_fd(L, &fd) == LPOOL_ETHREAD);
    CHECK(lpool_counter_open(L, 1, &made) == LPOOL_ETHREAD);
    CHECK(lpool_channel_send(L, channel, 0) == LPOOL_ETHREAD);
    CHECK(lpool_channel_receive(L, channel, 0) == LPOOL_ETHREAD);
    CHECK(lpool_dict_get(L, dict) == LPOOL_ETHREAD);
    CHECK(lpool_dict_set(L, dict) == LPOOL_ETHREAD);
    CHECK(lpool_dict_update(L, dict) == LPOOL_ETHREAD);
    CHECK(lpool_dict_copy(L, dict) == LPOOL_ETHREAD);
    CHECK(lua_gettop(L) == 1 && lua_isfunction(L, 1)); /* untouched */
    return NULL;
}

/* What takes no state may be called by any thread. */
static void *move(void *unused)
{
    (void)unused;
    CHECK(lpool_executor_check(executor) == LPOOL_OK);
    CHECK(lpool_attach(host, L) == LPOOL_OK); /* it has moved here */
    CHECK(result(L, submit(L, executor, "return 5")) == 5);
    return NULL;
}

static void in_thread(void *(*body)(void *))
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void test_wrong_thread(void)
{
    CHECK(lpool_channel_open(L, 1, &channel) == LPOOL_OK);
    CHECK(lpool_dict_open(L, &dict) == LPOOL_OK);
    luaL_loadstring(L, "return 1");
    in_thread(use_foreign);
    lua_settop(L, 0);
    lpool_object_release(channel);
    lpool_object_release(dict);
    in_thread(move);
    CHECK(lpool_sleep(L, 0) == LPOOL_ETHREAD);
    CHECK(lpool_attach(host, L) == LPOOL_OK); /* and back again */
    CHECK(lpool_sleep(L, 0) == LPOOL_OK);
}

static void run(const char *name, void (*test)(void))
{
    static int tests;
    if (test) {
        test();
        printf("ok %d - misuse: %s\n", ++tests, name);
    } else {
        printf("1..%d\n", tests);
    }
    fflush(stdout);
}

int main(void)
{
    lpool_config config;
    lpool_config_init(&config);
    CHECK(lpool_open(&config, &host) == LPOOL_OK);
    L = open_state(host);
    executor = open_threads(L);
    run("null pointers for hosts", test_null_for_hosts);
    run("null pointers for executors", test_null_for_executors);
    run("null pointers for submits", test_null_for_submits);
    run("null pointers for futures", test_null_for_futures);
    run("null pointers and closed maps", test_null_for_maps);
    run("null pointers for shared objects", test_null_for_objects);
    run("shared objects of other kinds", test_objects_of_other_kinds);
    run("another host's executors, futures and states", test_other_hosts);
    run("executors that were shut down", test_after_shutdown);
    run("another thread's state", test_wrong_thread);
    run(NULL, NULL);
    lpool_executor_release(executor);
    CHECK(lpool_close(host) == LPOOL_EINVALID); /* L is attached */
    lua_close(L);
    CHECK(lpool_close(host) == LPOOL_OK);
    return 0;
}
