/*
 * objects.c - channels, counters, dicts and buffers, used from C and by tasks
 * of all kinds of executors at the same time.
 */
#include "check.h"

#include <pthread.h>

#define SECOND INT64_C(1000000000)

static lpool *host;
static lua_State *L;

/* A state that can have objects on its stack. */
static lua_State *open_full_state(lpool *of)
{
    lua_State *state = luaL_newstate();
    luaL_openlibs(state);
    lpool_openlibs(state);
    CHECK(lpool_attach(of, state) == LPOOL_OK);
    return state;
}

/* Submit a chunk with these objects as its arguments; NULL: no more. */
static lpool_future *submit_objects(lpool_executor *executor,
                                    const char *source, lpool_object *first,
                                    lpool_object *second)
{
    lpool_future *future = NULL;
    lpool_push_object(L, first);
    if (second) lpool_push_object(L, second);
    CHECK(lpool_submit_source(L, executor, source, strlen(source), "=task",
                              second ? 2 : 1, NULL, &future) == LPOOL_OK);
    return future;
}

/* ---- all kinds ---- */

static void check_userdata(void)
{
    lpool_object *objects[5] = {NULL};
    CHECK(lpool_channel_open(L, 0, &objects[LPOOL_CHANNEL]) == LPOOL_OK);
    CHECK(lpool_counter_open(L, 7, &objects[LPOOL_COUNTER]) == LPOOL_OK);
    CHECK(lpool_dict_open(L, &objects[LPOOL_DICT]) == LPOOL_OK);
    CHECK(lpool_buffer_open(L, LPOOL_I32, 3, &objects[LPOOL_BUFFER]) ==
          LPOOL_OK);
    static const char *const types[] = {NULL, LPOOL_CHANNEL_TYPE,
                                        LPOOL_COUNTER_TYPE, LPOOL_DICT_TYPE,
                                        LPOOL_BUFFER_TYPE};
    for (int kind = LPOOL_CHANNEL; kind <= LPOOL_BUFFER; kind++) {
        lpool_object *object = objects[kind];
        CHECK(lpool_object_kind_of(object) == (lpool_object_kind)kind);
        lpool_push_object(L, object);
        CHECK(luaL_testudata(L, -1, types[kind]) != NULL);
        for (int other = LPOOL_CHANNEL; other <= LPOOL_BUFFER; other++)
            CHECK(lpool_test_object(L, -1, (lpool_object_kind)other) ==
                  (other == kind ? object : NULL));
        lpool_object_retain(object);
        lpool_object_release(object);
        lpool_object_release(object); /* the userdata has one of its own */
    }
    CHECK(!luaL_dostring(L, "return 1"));
    CHECK(!lpool_test_object(L, -1, LPOOL_COUNTER));
    lua_pop(L, 1);
    lua_setglobal(L, "numbers");
    lua_pop(L, 1);
    lua_setglobal(L, "counter");
    CHECK(!luaL_dostring(L, "numbers[2] = counter:add(3); return numbers[2]"));
    CHECK(lua_tointeger(L, -1) == 10);
    lua_settop(L, 0);
    CHECK(!luaL_dostring(L, "numbers, counter = nil; collectgarbage()"));
    lpool_object_release(NULL);
}

/* ---- channels ---- */

static void check_timeouts(void)
{
    lpool_object *channel;
    CHECK(lpool_channel_open(L, 1, &channel) == LPOOL_OK);
    CHECK(lpool_channel_receive(L, channel, 0) == LPOOL_ETIMEOUT);
    CHECK(lpool_channel_receive(L, channel, 3000000) == LPOOL_ETIMEOUT);
    lua_pushliteral(L, "below");
    lua_pushinteger(L, 1);
    CHECK(lpool_channel_send(L, channel, 0) == LPOOL_OK);
    CHECK(lua_gettop(L) == 1);
    for (int64_t timeout = 0; timeout < 4000000; timeout += 3000000) {
        lua_pushinteger(L, 2);
        CHECK(lpool_channel_send(L, channel, timeout) == LPOOL_ETIMEOUT);
        CHECK(lua_gettop(L) == 1);
    }
    CHECK(lpool_channel_count(channel) == 1);
    CHECK(lpool_channel_receive(L, channel, -1) == LPOOL_OK);
    CHECK(lua_gettop(L) == 2 && lua_tointeger(L, -1) == 1);
    lua_pop(L, 1);

    lua_newthread(L);
    CHECK(lpool_channel_send(L, channel, 0) == LPOOL_EUNSENDABLE);
    CHECK(lua_gettop(L) == 2 && strstr(lua_tostring(L, -1), "a coroutine"));
    lua_pop(L, 1);
    lpool_push_object(L, channel); /* they hold no objects themselves */
    CHECK(lpool_channel_send(L, channel, 0) == LPOOL_EUNSENDABLE);
    CHECK(lua_gettop(L) == 2 && lua_isstring(L, -1));
    lua_settop(L, 1);

    lua_pushinteger(L, 3);
    CHECK(lpool_channel_send(L, channel, -1) == LPOOL_OK);
    CHECK(lpool_channel_close(channel) == LPOOL_OK);
    CHECK(lpool_channel_close(channel) == LPOOL_OK);
    lua_pushinteger(L, 4);
    CHECK(lpool_channel_send(L, channel, -1) == LPOOL_ECLOSED);
    CHECK(lpool_channel_receive(L, channel, -1) == LPOOL_OK);
    CHECK(lua_gettop(L) == 2 && lua_tointeger(L, -1) == 3);
    lua_pop(L, 1);
    CHECK(lpool_channel_receive(L, channel, -1) == LPOOL_ECLOSED);
    CHECK(lua_gettop(L) == 1);
    lua_pop(L, 1);
    lpool_object_release(channel);
}

/* Tasks square what comes until the channel is closed. */
static void check_pipeline(lpool_executor *executor)
{
    static const char square[] = "local numbers, squares = ...\n"
                                 "local count = 0\n"
                                 "for n in numbers do\n"
                                 "  squares:send { n = n, square = n * n }\n"
                                 "  count = count + 1\n"
                                 "end\n"
                                 "return count";
    enum { MANY = 200 };
    lpool_object *numbers, *squares;
    lpool_future *futures[2];
    lua_Integer sum = 0;
    CHECK(lpool_channel_open(L, 3, &numbers) == LPOOL_OK);
    CHECK(lpool_channel_open(L, 0, &squares) == LPOOL_OK);
    for (int i = 0; i < 2; i++)
        futures[i] = submit_objects(executor, square, numbers, squares);
    for (int i = 1; i <= MANY; i++) {
        lua_pushinteger(L, i);
        CHECK(lpool_channel_send(L, numbers, 60 * SECOND) == LPOOL_OK);
    }
    CHECK(lpool_channel_close(numbers) == LPOOL_OK);
    for (int i = 1; i <= MANY; i++) {
        CHECK(lpool_channel_receive(L, squares, 60 * SECOND) == LPOOL_OK);
        CHECK(lua_getfield(L, -1, "n") == LUA_TNUMBER);
        CHECK(lua_getfield(L, -2, "square") == LUA_TNUMBER);
        lua_Integer n = lua_tointeger(L, -2);
        CHECK(lua_tointeger(L, -1) == n * n);
        sum += n;
        lua_settop(L, 0);
    }
    CHECK(sum == MANY * (MANY + 1) / 2);
    CHECK(result(L, futures[0]) + result(L, futures[1]) == MANY);
    CHECK(lpool_channel_count(squares) == 0);
    lpool_object_release(numbers);
    lpool_object_release(squares);
}

/* The task's own reference keeps the channel that nobody else has. */
static void check_last_reference(lpool_executor *executor)
{
    lpool_object *channel;
    CHECK(lpool_channel_open(L, 0, &channel) == LPOOL_OK);
    lua_pushinteger(L, 5);
    CHECK(lpool_channel_send(L, channel, 0) == LPOOL_OK);
    lpool_future *future =
        submit_objects(executor, "return (...):receive()", channel, NULL);
    lua_gc(L, LUA_GCCOLLECT);
    lpool_object_release(channel);
    CHECK(result(L, future) == 5);
}

/* A thread of the host's own, with a state of its own. */
static void *answer(void *argument)
{
    lpool_object **channels = argument;
    lua_State *state = open_full_state(host);
    int status;
    while ((status = lpool_channel_receive(state, channels[0], -1)) ==
           LPOOL_OK) {
        lua_pushinteger(state, -lua_tointeger(state, -1));
        CHECK(lpool_channel_send(state, channels[1], -1) == LPOOL_OK);
        lua_settop(state, 0);
    }
    CHECK(status == LPOOL_ECLOSED);
    lua_close(state);
    return NULL;
}

static void check_threads(void)
{
    lpool_object *channels[2];
    pthread_t thread;
    CHECK(lpool_channel_open(L, 1, &channels[0]) == LPOOL_OK);
    CHECK(lpool_channel_open(L, 1, &channels[1]) == LPOOL_OK);
    CHECK(pthread_create(&thread, NULL, answer, channels) == 0);
    for (int i = 1; i <= 500; i++) {
        lua_pushinteger(L, i);
        CHECK(lpool_channel_send(L, channels[0], -1) == LPOOL_OK);
        CHECK(lpool_channel_receive(L, channels[1], -1) == LPOOL_OK);
        CHECK(lua_tointeger(L, -1) == -i);
        lua_settop(L, 0);
    }
    CHECK(lpool_channel_close(channels[0]) == LPOOL_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    lpool_object_release(channels[0]);
    lpool_object_release(channels[1]);
}

/* ---- counters ---- */

static void check_counter(lpool_executor *executor)
{
    lpool_object *counter;
    lpool_future *futures[4];
    CHECK(lpool_counter_open(L, -3, &counter) == LPOOL_OK);
    CHECK(lpool_counter_get(counter) == -3);
    CHECK(lpool_counter_add(counter, 5) == 2);
    lpool_counter_set(counter, INT64_MAX);
    CHECK(lpool_counter_add(counter, 1) == INT64_MIN); /* as Lua's integers */
    CHECK(!lpool_counter_swap(counter, 5, 6));
    CHECK(lpool_counter_swap(counter, INT64_MIN, 0));
    for (int i = 0; i < 4; i++)
        futures[i] = submit_objects(
            executor, "for _ = 1, 1000 do (...):add() end return 0", counter,
            NULL);
    for (int i = 0; i < 1000; i++)
        lpool_counter_add(counter, 1);
    for (int i = 0; i < 4; i++)
        CHECK(result(L, futures[i]) == 0);
    CHECK(lpool_counter_get(counter) == 5000);
    CHECK(result(L, submit_objects(executor, "return (...):get()", counter,
                                   NULL)) == 5000);
    lpool_object_release(counter);
}

/* ---- dicts ---- */

/* Push the value of the key on top, and take the key. */
static void push_value(lpool_object *dict)
{
    CHECK(lpool_dict_get(L, dict) == LPOOL_OK);
}

static void check_dict_values(lpool_object *dict)
{
    lua_pushliteral(L, "below");
    lua_pushliteral(L, "key");
    push_value(dict);
    CHECK(lua_gettop(L) == 2 && lua_isnil(L, -1));
    lua_settop(L, 1);
    CHECK(!luaL_dostring(L, "return 'key', { deep = { 1, 2 } }"));
    CHECK(lpool_dict_set(L, dict) == LPOOL_OK && lua_gettop(L) == 1);
    CHECK(!luaL_dostring(L, "return 1.0, 'one'")); /* the key is 1 */
    CHECK(lpool_dict_set(L, dict) == LPOOL_OK);
    CHECK(!luaL_dostring(L, "return false, 'no'"));
    CHECK(lpool_dict_set(L, dict) == LPOOL_OK);
    lua_pushinteger(L, 1);
    push_value(dict);
    CHECK(strcmp(lua_tostring(L, -1), "one") == 0);
    lua_settop(L, 1);

    CHECK(lpool_dict_copy(L, dict) == LPOOL_OK && lua_gettop(L) == 2);
    lua_setglobal(L, "copy");
    CHECK(!luaL_dostring(L, "assert(copy.key.deep[2] == 2)\n"
                            "assert(copy[1] == 'one' and copy[false] == 'no')\n"
                            "copy.key, copy[1], copy[false] = nil\n"
                            "assert(next(copy) == nil); copy = nil"));
    lua_pushboolean(L, 0);
    lua_pushnil(L);
    CHECK(lpool_dict_set(L, dict) == LPOOL_OK && lua_gettop(L) == 1);
    lua_pushboolean(L, 0);
    push_value(dict);
    CHECK(lua_isnil(L, -1));
    lua_settop(L, 0);
}

static void check_dict_refusals(lpool_object *dict)
{
    lua_pushliteral(L, "below");
    CHECK(!luaL_dostring(L, "return 0/0, {}, print"));
    for (int i = 2; i <= 4; i++)
        CHECK(!lpool_dict_is_key(L, i));
    CHECK(lpool_dict_is_key(L, 1));
    CHECK(lpool_dict_get(L, dict) == LPOOL_EINVALID && lua_gettop(L) == 3);
    CHECK(lpool_dict_set(L, dict) == LPOOL_EINVALID && lua_gettop(L) == 1);
    lua_pushinteger(L, 1);
    lua_newthread(L);
    CHECK(lpool_dict_set(L, dict) == LPOOL_EUNSENDABLE);
    CHECK(lua_gettop(L) == 2 && strstr(lua_tostring(L, -1), "a coroutine"));
    lua_settop(L, 1);
    CHECK(!luaL_dostring(L, "return {}, function() end"));
    CHECK(lpool_dict_update(L, dict) == LPOOL_EINVALID && lua_gettop(L) == 1);
    CHECK(!luaL_dostring(L, "return 1, function() return io.stdout end"));
    CHECK(lpool_dict_update(L, dict) == LPOOL_EUNSENDABLE);
    CHECK(lua_gettop(L) == 2 && lua_isstring(L, -1));
    lua_settop(L, 0);
}

static int update(lua_State *state)
{
    lpool_object *dict = lpool_test_object(state, 1, LPOOL_DICT);
    lua_pushinteger(state, lpool_dict_update(state, dict));
    return 1;
}

static void check_dict_updates(lpool_executor *executor, lpool_object *dict)
{
    static const char task[] =
        "for _ = 1, 200 do\n"
        "  (...):update('sum', function(n) return (n or 0) + 1 end)\n"
        "end\n"
        "return 0";
    lpool_future *futures[2];
    for (int i = 0; i < 2; i++)
        futures[i] = submit_objects(executor, task, dict, NULL);
    for (int i = 0; i < 200; i++) {
        CHECK(!luaL_dostring(
            L, "return 'sum', function(n) return (n or 0) + 1 end"));
        CHECK(lpool_dict_update(L, dict) == LPOOL_OK);
        CHECK(lua_gettop(L) == 1 && lua_tointeger(L, -1) > i);
        lua_pop(L, 1);
    }
    CHECK(result(L, futures[0]) == 0 && result(L, futures[1]) == 0);
    lua_pushliteral(L, "sum");
    push_value(dict);
    CHECK(lua_tointeger(L, -1) == 600);
    lua_settop(L, 0);

    /* Its function raises, or changes what it is to change. */
    lpool_push_object(L, dict);
    lua_setglobal(L, "dict");
    lua_pushcfunction(L, update);
    lpool_push_object(L, dict);
    CHECK(!luaL_dostring(L, "return 'sum', function() error('no', 0) end"));
    CHECK(lua_pcall(L, 3, 1, 0) == LUA_ERRRUN);
    CHECK(strcmp(lua_tostring(L, -1), "no") == 0);
    lua_settop(L, 0);
    CHECK(!luaL_dostring(L, "return 'sum', function(n)\n"
                            "  dict:set('sum', n + 1)\n"
                            "  return n\n"
                            "end"));
    CHECK(lpool_dict_update(L, dict) == LPOOL_EDEADLOCK);
    CHECK(lua_gettop(L) == 0);
    CHECK(!luaL_dostring(L, "dict = nil"));
}

static void check_dict(lpool_executor *executor)
{
    lpool_object *dict;
    CHECK(lpool_dict_open(L, &dict) == LPOOL_OK);
    check_dict_values(dict);
    check_dict_refusals(dict);
    check_dict_updates(executor, dict);
    lpool_object_release(dict);
}

/* ---- buffers ---- */

static void check_buffer(lpool_executor *executor)
{
    static const size_t sizes[] = {1, 4, 8, 4, 8};
    lpool_object *buffer = NULL;
    lpool_number type;
    uint64_t count;
    for (int i = LPOOL_U8; i <= LPOOL_F64; i++) {
        CHECK(lpool_buffer_open(L, (lpool_number)i, 9, &buffer) == LPOOL_OK);
        const unsigned char *bytes =
            lpool_buffer_numbers(buffer, &type, &count);
        CHECK((int)type == i && count == 9);
        for (size_t at = 0; at < 9 * sizes[i]; at++)
            CHECK(bytes[at] == 0);
        lpool_object_release(buffer);
    }
    CHECK(lpool_buffer_open(L, (lpool_number)5, 9, &buffer) == LPOOL_EINVALID);
    CHECK(lpool_buffer_open(L, (lpool_number)-1, 9, &buffer) == LPOOL_EINVALID);
    CHECK(lpool_buffer_open(L, LPOOL_F64, UINT64_MAX / 8 + 2, &buffer) ==
          LPOOL_ENOMEM);

    CHECK(lpool_buffer_open(L, LPOOL_F64, 1000, &buffer) == LPOOL_OK);
    double *numbers = lpool_buffer_numbers(buffer, NULL, NULL);
    for (int i = 0; i < 1000; i++)
        numbers[i] = i;
    CHECK(result(L, submit_objects(executor,
                                   "local b = ...\n"
                                   "for i = 1, #b do b[i] = b[i] / 2 end\n"
                                   "return #b",
                                   buffer, NULL)) == 1000);
    for (int i = 0; i < 1000; i++)
        CHECK(numbers[i] == i / 2.0);
    lpool_object_release(buffer);
}

/* ---- other hosts ---- */

static void check_other_host(lpool_executor *executor)
{
    lpool *other;
    lpool_config config;
    lpool_object *object, *channel, *dict;
    lpool_future *future = NULL;
    lpool_config_init(&config);
    lpool_config_lua(&config);
    CHECK(lpool_open(&config, &other) == LPOOL_OK);
    lua_State *guest = open_full_state(other);
    CHECK(lpool_channel_open(guest, 0, &channel) == LPOOL_OK);
    CHECK(lpool_dict_open(guest, &dict) == LPOOL_OK);
    lua_pushinteger(L, 1);
    CHECK(lpool_channel_send(L, channel, 0) == LPOOL_EINVALID);
    CHECK(lua_gettop(L) == 0);
    CHECK(lpool_channel_receive(L, channel, 0) == LPOOL_EINVALID);
    lua_pushinteger(L, 1);
    CHECK(lpool_dict_get(L, dict) == LPOOL_EINVALID && lua_gettop(L) == 0);
    lua_pushinteger(L, 1);
    lua_pushinteger(L, 1);
    CHECK(lpool_dict_set(L, dict) == LPOOL_EINVALID && lua_gettop(L) == 0);
    CHECK(!luaL_dostring(L, "return 1, function() return 1 end"));
    CHECK(lpool_dict_update(L, dict) == LPOOL_EINVALID && lua_gettop(L) == 0);
    CHECK(lpool_dict_copy(L, dict) == LPOOL_EINVALID && lua_gettop(L) == 0);
    CHECK(lpool_channel_count(channel) == 0);

    lpool_push_object(L, channel);
    CHECK(lpool_submit_source(L, executor, "", 0, "=task", 1, NULL, &future) ==
          LPOOL_EUNSENDABLE);
    CHECK(strstr(lua_tostring(L, -1), "a shared object of another host"));
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);

    lua_State *stranger = luaL_newstate(); /* attached to none */
    CHECK(lpool_channel_open(stranger, 0, &object) == LPOOL_EINVALID);
    CHECK(lpool_channel_receive(stranger, channel, 0) == LPOOL_EINVALID);
    CHECK(lpool_dict_copy(stranger, dict) == LPOOL_EINVALID);
    lua_close(stranger);
    lpool_object_release(channel);
    lpool_object_release(dict);
    lua_close(guest);
    CHECK(lpool_close(other) == LPOOL_OK);
}

int main(int argc, char **argv)
{
    static const lpool_kind kinds[] = {LPOOL_THREADS, LPOOL_PROCESSES};
    lpool_config config;
    lpool_config_init(&config);
    lpool_config_lua(&config);
    int code = lpool_helper_main(argc, argv, &config);
    if (code >= 0) return code;
    CHECK(lpool_open(&config, &host) == LPOOL_OK);
    L = open_full_state(host);
    check_userdata();
    check_timeouts();
    check_threads();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        lpool_executor *executor;
        lpool_executor_config options;
        lpool_executor_config_init(&options);
        options.kind = kinds[i];
        options.max_workers = 2;
        CHECK(lpool_executor_open(L, &options, &executor) == LPOOL_OK);
        check_pipeline(executor);
        check_last_reference(executor);
        check_counter(executor);
        check_dict(executor);
        check_buffer(executor);
        check_other_host(executor);
        lpool_executor_release(executor);
    }
    CHECK(lua_gettop(L) == 0);
    lua_close(L);
    CHECK(lpool_close(host) == LPOOL_OK);
    puts("fine");
    return 0;
}
