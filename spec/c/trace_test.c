/*
 * trace_test.c - texts as JSON, the file that is whole at any time, and
 * events on their way there, without memory, and with a trace that is closed
 * under the threads that add to it.
 */
#include "check.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/json_file.h"
#include "base/lock.h"
#include "base/status.h"
#include "base/thread.h"
#include "core/trace_events.h"

#include "lpool.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int tests;

/* ---- texts ---- */

static void check_text(const char *text, const char *wanted)
{
    char made[256];
    CHECK(strlen(wanted) <= LP_JSON_GROWTH * strlen(text));
    *lp_json_text(made, text) = '\0';
    CHECK(strcmp(made, wanted) == 0);
}

static void test_texts(void)
{
    check_text("", "");
    check_text("plain", "plain");
    check_text("\"\\/", "\\\"\\\\/");
    check_text("\n\x01\x1f\x7f", "\\u000a\\u0001\\u001f\x7f");
    check_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
               "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    check_text("\x80\xff", "\\u0080\\u00ff");
    check_text("\xc0\x80", "\\u00c0\\u0080");
    check_text("\xe0\x80\x80", "\\u00e0\\u0080\\u0080");
    check_text("\xed\xa0\x80", "\\u00ed\\u00a0\\u0080");
    check_text("\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080");
    check_text("\xf5\x80\x80\x80", "\\u00f5\\u0080\\u0080\\u0080");
    /* What ends too soon. */
    check_text("\xc3", "\\u00c3");
    check_text("\xe2\x82", "\\u00e2\\u0082");
    check_text("\xf0\x9f\x98", "\\u00f0\\u009f\\u0098");
    check_text("\xe2\x82x", "\\u00e2\\u0082x");
}

static void check_time(int64_t nanoseconds, const char *wanted)
{
    char made[64];
    *lp_json_microseconds(made, nanoseconds) = '\0';
    CHECK(strcmp(made, wanted) == 0);
}

static void test_times(void)
{
    check_time(0, "0.000");
    check_time(7, "0.007");
    check_time(1234567, "1234.567");
    check_time(1000010, "1000.010");
    check_time(INT64_MAX, "9223372036854775.807");
    check_time(-1, "0.000");
}

/* ---- the file ---- */

static char path[] = "/tmp/lpool-trace-XXXXXX";

static void check_file(const char *wanted)
{
    char found[128];
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    if (!file) return;
    found[fread(found, 1, sizeof(found) - 1, file)] = '\0';
    (void)fclose(file); /* it was only read */
    CHECK(strcmp(found, wanted) == 0);
}

static void test_file(void)
{
    lp_json_file file;
    CHECK(lp_json_file_open(&file, path) == LP_OK);
    check_file("[\n]\n");
    CHECK(lp_json_file_append(&file, ",\n1", 3) == LP_OK);
    check_file("[\n1\n]\n");
    CHECK(lp_json_file_append(&file, ",\n2,\n3", 6) == LP_OK);
    check_file("[\n1,\n2,\n3\n]\n");
    CHECK(lp_json_file_append(&file, "", 0) == LP_OK);
    check_file("[\n1,\n2,\n3\n]\n");
    lp_json_file_close(&file);
    lp_json_file_close(&file);
    CHECK(lp_json_file_open(&file, path) == LP_OK);
    check_file("[\n]\n");
    lp_json_file_close(&file);
}

/* What does not fit, or only a part of which does, is not in the file. */
static void test_full_disk(void)
{
    struct rlimit before, small;
    lp_json_file file;
    CHECK(lp_json_file_open(&file, path) == LP_OK);
    CHECK(lp_json_file_append(&file, ",\n1", 3) == LP_OK);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t size = 6; size < 12; size++) {
        small = (struct rlimit){size, before.rlim_max};
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        CHECK(lp_json_file_append(&file, ",\n\"two\"", 7) == LP_SYSTEM);
        CHECK(errno == EFBIG || errno == ENOSPC);
        CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        check_file("[\n1\n]\n");
    }
    CHECK(lp_json_file_append(&file, ",\n2", 3) == LP_OK);
    check_file("[\n1,\n2\n]\n");
    lp_json_file_close(&file);
}

static void test_files_that_cannot_be_made(void)
{
    lp_json_file file;
    CHECK(lp_json_file_open(&file, "/no/such/folder") == LP_SYSTEM);
    CHECK(errno == ENOENT);
    CHECK(lp_json_file_open(&file, "/dev/full") == LP_SYSTEM);
    CHECK(errno == ENOSPC);
}

/* ---- traces ---- */

#define THREADS 4
#define EVENTS  20000

/* What a sink has been given, event by event. */
typedef struct drain {
    uint32_t next[THREADS]; /* the event of each that is due */
    uint32_t others;
    uint32_t calls;
    uint32_t fails_at; /* this call; 0: none */
    uint32_t failures;
} drain;

/* One event of test_threads, or another; gives what follows it. */
static const char *take_event(drain *self, const char *at, const char *end)
{
    unsigned thread, number;
    CHECK(at[0] == ',' && at[1] == '\n' && at[2] == '{');
    if (sscanf(at, ",\n{%u:%u}", &thread, &number) == 2) {
        CHECK(thread < THREADS && self->next[thread] == number);
        if (thread < THREADS) self->next[thread] = number + 1;
    } else {
        self->others++;
    }
    const char *next = memchr(at + 1, ',', (size_t)(end - at - 1));
    while (next && next[1] != '\n')
        next = memchr(next + 1, ',', (size_t)(end - next - 1));
    const char *stop = next ? next : end;
    CHECK(stop[-1] == '}');
    return stop;
}

static int put(void *context, const char *events, size_t length)
{
    drain *self = context;
    const char *end = events + length;
    if (++self->calls == self->fails_at) {
        errno = EIO;
        return LP_SYSTEM;
    }
    /* With a zero behind it, for sscanf. */
    char *copy = malloc(length + 1);
    CHECK(copy != NULL);
    if (!copy) return LP_OK;
    memcpy(copy, events, length);
    copy[length] = '\0';
    for (const char *at = copy; at < copy + (end - events);)
        at = take_event(self, at, copy + length);
    free(copy);
    return LP_OK;
}

static void failed(void *context, int error)
{
    drain *self = context;
    CHECK(error == EIO);
    self->failures++;
}

typedef struct adder {
    lp_thread thread;
    lp_trace *trace;
    uint32_t number;
} adder;

static void *add_events(void *argument)
{
    const adder *self = argument;
    char event[64];
    lp_track *track =
        lp_track_new(self->trace, (lp_track_id){1, self->number}, "a", "b");
    CHECK(track != NULL);
    for (int i = 0; i < EVENTS; i++) {
        int length =
            snprintf(event, sizeof(event), ",\n{%u:%d}", self->number, i);
        lp_track_add(track, event, (size_t)length);
        if (i % 100 == 0) lp_track_tick(track, i * INT64_C(100000));
    }
    lp_track_free(track);
    return NULL;
}

static void run_adders(lp_trace *trace, bool closes)
{
    adder adders[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        adders[i] = (adder){.trace = trace, .number = i};
        CHECK(lp_thread_start(&adders[i].thread, add_events, &adders[i]) ==
              LP_OK);
    }
    if (closes) lp_trace_close(trace);
    for (int i = 0; i < THREADS; i++)
        lp_thread_join(&adders[i].thread);
}

static void test_threads(void)
{
    drain all = {0};
    const lp_trace_sink sink = {put, failed, &all};
    lp_trace *trace = lp_trace_new(NULL, &sink, 0);
    run_adders(trace, false);
    lp_trace_close(trace);
    for (int i = 0; i < THREADS; i++)
        CHECK(all.next[i] == EVENTS);
    CHECK(all.others == 3 * THREADS); /* the name, the begin, the end */
    CHECK(all.failures == 0);
    lp_trace_free(trace);
}

/* What comes after the close is not put out, and nothing is torn. */
static void test_close_under_threads(void)
{
    for (int i = 0; i < 20; i++) {
        drain all = {0};
        const lp_trace_sink sink = {put, failed, &all};
        lp_trace *trace = lp_trace_new(NULL, &sink, 0);
        run_adders(trace, true);
        uint32_t calls = all.calls;
        lp_trace_put(trace, ",\n{}", 4);
        lp_trace_close(trace);
        CHECK(all.calls == calls);
        lp_trace_free(trace);
    }
    lp_trace_close(NULL);
    lp_trace_free(NULL);
}

static void test_failing_sink(void)
{
    for (uint32_t n = 1; n < 10; n++) {
        drain all = {.fails_at = n};
        const lp_trace_sink sink = {put, failed, &all};
        lp_trace *trace = lp_trace_new(NULL, &sink, 0);
        run_adders(trace, false);
        lp_trace_close(trace);
        CHECK(all.calls == n);
        CHECK(all.failures == 1);
        lp_trace_free(trace);
    }
}

/* Names and labels as long as they can be, of bytes that grow most. */
static void test_long_texts(void)
{
    drain all = {0};
    char name[2 * LP_TRACE_NAME];
    lp_note note = {.number = UINT64_MAX / 2};
    const lp_trace_sink sink = {put, failed, &all};
    const lp_run run = {.id = {INT32_MAX, UINT32_MAX},
                        .began = INT64_MAX - 1,
                        .ended = INT64_MAX,
                        .ending = "finished"};
    const lp_run_items items = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    memset(name, 1, sizeof(name));
    name[sizeof(name) - 1] = '\0';
    memcpy(note.origin, name, sizeof(note.origin));
    memcpy(note.label, name, sizeof(note.label));
    note.origin[sizeof(note.origin) - 1] = '\0';
    note.label[sizeof(note.label) - 1] = '\0';
    lp_trace *trace = lp_trace_new(NULL, &sink, 0);
    lp_trace_name_process(trace, INT32_MAX, name);
    lp_track *track = lp_track_new(trace, run.id, name, name);
    for (int i = 0; i < 100; i++) {
        lp_trace_task(track, &note, &run);
        lp_trace_items(track, &note, &items, &run);
    }
    lp_trace_death(track, run.id, name);
    lp_track_free(track);
    CHECK(all.others == 205);
    lp_trace_free(trace);
}

/* ---- without memory ---- */

static int run_traced(lua_State *L, lpool *host)
{
    lpool_executor *executor = NULL;
    lpool_executor_config config;
    lpool_future *future = NULL;
    const lpool_task_options options = {.label = "l"};
    lpool_executor_config_init(&config);
    config.kind = LPOOL_SERIAL;
    int status = lpool_trace_open(host, path);
    if (status != LPOOL_OK) return status;
    CHECK(lpool_trace_open(host, path) == LPOOL_EINVALID);
    status = lpool_executor_open(L, &config, &executor);
    if (status != LPOOL_OK) return status;
    CHECK(luaL_loadstring(L, "") == LUA_OK);
    status = lpool_submit(L, executor, 0, &options, &future);
    lpool_future_release(future);
    lpool_executor_release(executor);
    return status;
}

/* Run protected: to raise for want of memory is right, too. */
static int attempt(lua_State *L)
{
    lua_pushinteger(L, run_traced(L, lua_touserdata(L, 1)));
    return 1;
}

/* Fail each allocation of a trace, an executor and a task, one by one. */
static void test_without_memory(void)
{
    size_t live = lp_alloc_live();
    int status = LPOOL_ENOMEM;
    for (long n = 1; status != LPOOL_OK && n < 500; n++) {
        lpool *host;
        lpool_config config;
        lpool_config_init(&config);
        CHECK(lpool_open(&config, &host) == LPOOL_OK);
        lua_State *L = luaL_newstate();
        CHECK(lpool_attach(host, L) == LPOOL_OK);
        lua_pushcfunction(L, attempt);
        lua_pushlightuserdata(L, host);
        lp_alloc_fail_at(n);
        int raised = lua_pcall(L, 1, 1, 0);
        lp_alloc_fail_at(0);
        status = raised ? LPOOL_ENOMEM : (int)lua_tointeger(L, -1);
        CHECK(status == LPOOL_OK || status == LPOOL_ENOMEM ||
              status == LPOOL_EBROKEN);
        lua_close(L);
        CHECK(lpool_close(host) == LPOOL_OK);
        CHECK(lp_alloc_live() == live);
    }
    CHECK(status == LPOOL_OK);
}

static void run(const char *name, void (*test)(void))
{
    int before = failures;
    test();
    tests++;
    printf("%s %d - trace: %s\n", failures == before ? "ok" : "not ok", tests,
           name);
    (void)fflush(stdout); /* the count of failures says it all the same */
}

int main(void)
{
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    run("texts are JSON, whatever they are", test_texts);
    run("times are microseconds", test_times);
    run("the file is whole after each append", test_file);
    run("the file is whole on a full disk", test_full_disk);
    run("files that cannot be made", test_files_that_cannot_be_made);
    run("each event is put out once, whole and in order", test_threads);
    run("a trace is closed under its threads", test_close_under_threads);
    run("a sink that fails is told, and left alone", test_failing_sink);
    run("the longest texts fit", test_long_texts);
    run("all without memory", test_without_memory);
    unlink(path);
    printf("1..%d\n", tests);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
