/*
 * shared_test.c - shared objects without Lua: of one process, and of two.
 *
 * The other process is a second registry here, with views of its own of the
 * memory file, whose link asks the first one at once. Threads of both put,
 * take, wait, set and count what is the same for all.
 */
#include "check.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "shared/channel.h"
#include "shared/dict.h"
#include "shared/numbers.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int tests;

/* Longer than anything takes. */
#define PATIENCE INT64_C(60000000000)

#define NO_LIMIT UINT64_MAX

/* ---- a host, and a process of it ---- */

typedef struct party {
    lp_objects *host;    /* to whom the objects belong */
    lp_objects *process; /* has them too; NULL: there is none */
    lp_objects *all;     /* the one that a test uses */
    lp_lock lock;        /* guards the next: one question at a time */
    lp_object_refs refs;
} party;

/* Whether tests use the objects from the process. */
static bool afar;

/* The link of a process. Its memory is not lpool's, so it does not fail. */
static int ask(void *context, const lp_object_question *question,
               const void *key, const void *value, lp_object_answer *answer,
               lp_buffer *out)
{
    party *both = context;
    size_t key_length = (size_t)question->key_length;
    size_t length = (size_t)question->value_length;
    uint8_t *bytes = malloc(key_length + length + 1);
    lp_buffer unwanted;
    if (!bytes) abort();
    if (key_length > 0) memcpy(bytes, key, key_length);
    if (length > 0) memcpy(bytes + key_length, value, length);
    lp_buffer_init(&unwanted, NULL);
    lp_lock_enter(&both->lock);
    lp_objects_answer(both->host, &both->refs, question, bytes, answer,
                      out ? out : &unwanted);
    lp_lock_leave(&both->lock);
    CHECK(unwanted.length == 0);
    lp_buffer_clear(&unwanted);
    free(bytes);
    return LP_OK;
}

static int attach(party *both)
{
    const lp_object_link link = {.ask = ask, .context = both};
    int fd = -1;
    both->process = lp_objects_new(NULL);
    if (!both->process) return LP_NOMEM;
    int status = lp_objects_share(both->host, &fd);
    if (status != LP_OK) return status;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0);
    return lp_objects_attach(both->process, fd, &link);
}

static int open_party(party *both)
{
    *both = (party){.host = lp_objects_new(NULL)};
    lp_lock_init(&both->lock, LP_RANK_LINK);
    both->all = both->host;
    if (!both->host) return LP_NOMEM;
    if (!afar) return LP_OK;
    int status = attach(both);
    both->all = both->process;
    return status;
}

static void close_party(party *both)
{
    CHECK(both->refs.count == 0);
    lp_objects_bury(&both->refs);
    lp_objects_free(both->process);
    lp_objects_free(both->host);
}

static lp_object *make(party *both, lp_object_kind kind, uint64_t first,
                       uint64_t second)
{
    lp_object *object = NULL;
    CHECK(lp_object_make(both->all, kind, first, second, &object) == LP_OK);
    if (!object) exit(EXIT_FAILURE);
    return object;
}

/* Run body in that many threads, with these arguments, and wait for all. */
static void in_threads(unsigned count, void *(*body)(void *), void *arguments,
                       size_t size)
{
    lp_thread threads[8];
    for (unsigned i = 0; i < count; i++)
        CHECK(lp_thread_start(&threads[i], body,
                              (uint8_t *)arguments + i * size) == LP_OK);
    for (unsigned i = 0; i < count; i++)
        lp_thread_join(&threads[i]);
}

/* ---- channels ---- */

/* Try, and park on the side until it is worth another try. */
static int complete(lp_object *channel, lp_channel_side *side, int again,
                    int (*try)(lp_object *channel, lp_buffer *buffer),
                    lp_buffer *buffer)
{
    int status = try(channel, buffer);
    int64_t deadline = lp_clock_after(PATIENCE);
    while (status == again) {
        atomic_fetch_add(&side->waiters, 1);
        uint32_t expected = atomic_load(&side->word);
        status = try(channel, buffer);
        if (status == again &&
            lp_park(&side->word, expected, deadline) == LP_TIMEOUT) {
            fprintf(stderr, "a wait for a channel does not end\n");
            exit(EXIT_FAILURE);
        }
        atomic_fetch_sub(&side->waiters, 1);
    }
    return status;
}

static int try_put(lp_object *channel, lp_buffer *buffer)
{
    return lp_channel_put(channel, buffer->bytes, buffer->length);
}

static int send_bytes(lp_object *channel, const void *bytes, size_t length)
{
    lp_buffer buffer = {.bytes = (uint8_t *)(uintptr_t)bytes, .length = length};
    return complete(channel, lp_channel_senders(channel), LP_FULL, try_put,
                    &buffer);
}

static int receive(lp_object *channel, lp_buffer *buffer)
{
    return complete(channel, lp_channel_receivers(channel), LP_TIMEOUT,
                    lp_channel_take, buffer);
}

static void await_waiters(lp_channel_side *side, uint32_t count)
{
    while (atomic_load(&side->waiters) < count)
        sched_yield();
}

static bool is_text(const lp_buffer *buffer, const char *text)
{
    size_t length = strlen(text);
    return buffer->length == length &&
           (length == 0 || memcmp(buffer->bytes, text, length) == 0);
}

/* Whether the next message is this text. */
static bool takes(lp_object *channel, const char *text)
{
    lp_buffer out = {0};
    bool fine = lp_channel_take(channel, &out) == LP_OK && is_text(&out, text);
    lp_buffer_clear(&out);
    return fine;
}

static void test_channel_keeps_order(void)
{
    party both;
    lp_buffer out = {0};
    CHECK(open_party(&both) == LP_OK);
    lp_object *channel = make(&both, LP_CHANNEL, NO_LIMIT, 0);
    CHECK(lp_channel_take(channel, &out) == LP_TIMEOUT);
    CHECK(lp_channel_put(channel, "one", 3) == LP_OK);
    CHECK(lp_channel_put(channel, "", 0) == LP_OK);
    CHECK(lp_channel_put(channel, "three", 5) == LP_OK);
    CHECK(lp_channel_count(channel) == 3);
    CHECK(takes(channel, "one") && takes(channel, ""));
    CHECK(lp_buffer_append(&out, ">", 1) == LP_OK);
    CHECK(lp_channel_take(channel, &out) == LP_OK); /* it appends */
    CHECK(is_text(&out, ">three"));
    CHECK(lp_channel_count(channel) == 0);
    CHECK(lp_channel_take(channel, &out) == LP_TIMEOUT && out.length == 6);
    CHECK(lp_channel_put(channel, "left", 4) == LP_OK); /* freed with it */
    lp_buffer_clear(&out);
    lp_object_release(channel);
    close_party(&both);
}

static void test_channel_holds_so_many(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    lp_object *channel = make(&both, LP_CHANNEL, 2, 0);
    CHECK(lp_channel_put(channel, "a", 1) == LP_OK);
    CHECK(lp_channel_put(channel, "b", 1) == LP_OK);
    CHECK(lp_channel_put(channel, "c", 1) == LP_FULL);
    CHECK(takes(channel, "a"));
    CHECK(lp_channel_put(channel, "c", 1) == LP_OK);
    CHECK(lp_channel_put(channel, "d", 1) == LP_FULL);
    CHECK(takes(channel, "b") && takes(channel, "c"));
    lp_object_release(channel);
    close_party(&both);
}

static void test_closed_channel_is_drained(void)
{
    party both;
    lp_buffer out = {0};
    CHECK(open_party(&both) == LP_OK);
    lp_object *channel = make(&both, LP_CHANNEL, 2, 0);
    CHECK(lp_channel_put(channel, "a", 1) == LP_OK);
    CHECK(lp_channel_put(channel, "b", 1) == LP_OK);
    CHECK(lp_channel_close(channel) == LP_OK);
    CHECK(lp_channel_close(channel) == LP_OK);
    CHECK(lp_channel_put(channel, "c", 1) == LP_CLOSED); /* and not full */
    CHECK(takes(channel, "a") && takes(channel, "b"));
    CHECK(lp_channel_take(channel, &out) == LP_CLOSED && out.length == 0);
    CHECK(lp_channel_put(channel, "c", 1) == LP_CLOSED);
    lp_buffer_clear(&out);
    lp_object_release(channel);
    close_party(&both);
}

/* One message of a race. */
typedef struct letter {
    uint32_t from;
    uint32_t number;
} letter;

enum { PUTTERS = 3, TAKERS = 3, LETTERS = 2000 };

typedef struct runner {
    lp_object *channel;
    uint32_t index;
    bool takes;
    uint32_t next[PUTTERS]; /* the least number that may come from each */
    uint8_t *seen;          /* of all letters, how often it was taken */
    uint64_t count;
} runner;

static void *put_letters(runner *self)
{
    for (uint32_t i = 0; i < LETTERS; i++) {
        const letter one = {self->index, i};
        CHECK(send_bytes(self->channel, &one, sizeof(one)) == LP_OK);
    }
    return NULL;
}

static void *take_letters(runner *self)
{
    lp_buffer out = {0};
    int status;
    while ((status = receive(self->channel, &out)) == LP_OK) {
        letter one;
        CHECK(out.length == sizeof(one));
        memcpy(&one, out.bytes, sizeof(one));
        lp_buffer_reset(&out);
        /* Those of one putter come in their order. */
        CHECK(one.number >= self->next[one.from]);
        self->next[one.from] = one.number + 1;
        self->seen[one.from * LETTERS + one.number]++;
        self->count++;
    }
    CHECK(status == LP_CLOSED);
    lp_buffer_clear(&out);
    return NULL;
}

static void *run_letters(void *argument)
{
    runner *self = argument;
    return self->takes ? take_letters(self) : put_letters(self);
}

static void race_letters(party *both, uint64_t capacity)
{
    static uint8_t seen[TAKERS][PUTTERS * LETTERS];
    lp_object *channel = make(both, LP_CHANNEL, capacity, 0);
    lp_object *theirs = NULL; /* the host's own, used at the same time */
    runner takers[TAKERS], putters[PUTTERS];
    lp_thread threads[TAKERS];
    uint64_t count = 0;
    unsigned once = 0;
    CHECK(lp_object_find(both->host, channel->id, &theirs) == LP_OK);
    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < TAKERS; i++) {
        takers[i] = (runner){.channel = i % 2 ? theirs : channel,
                             .takes = true,
                             .seen = seen[i]};
        CHECK(lp_thread_start(&threads[i], run_letters, &takers[i]) == LP_OK);
    }
    for (uint32_t i = 0; i < PUTTERS; i++)
        putters[i] = (runner){.channel = i % 2 ? channel : theirs, .index = i};
    in_threads(PUTTERS, run_letters, putters, sizeof(putters[0]));
    CHECK(lp_channel_close(channel) == LP_OK);
    for (uint32_t i = 0; i < TAKERS; i++) {
        lp_thread_join(&threads[i]);
        count += takers[i].count;
    }
    CHECK(count == PUTTERS * LETTERS && lp_channel_count(channel) == 0);
    for (unsigned i = 0; i < PUTTERS * LETTERS; i++)
        once += seen[0][i] + seen[1][i] + seen[2][i] == 1;
    CHECK(once == PUTTERS * LETTERS);
    CHECK(atomic_load(&lp_channel_senders(channel)->waiters) == 0);
    CHECK(atomic_load(&lp_channel_receivers(channel)->waiters) == 0);
    lp_object_release(theirs);
    lp_object_release(channel);
}

static void test_each_message_is_taken_once(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    race_letters(&both, NO_LIMIT);
    race_letters(&both, 1);
    race_letters(&both, 3);
    close_party(&both);
}

static void *await_close(void *argument)
{
    runner *self = argument;
    lp_buffer out = {0};
    int status = self->takes ? receive(self->channel, &out)
                             : send_bytes(self->channel, "more", 4);
    CHECK(status == LP_CLOSED);
    lp_buffer_clear(&out);
    return NULL;
}

static void close_with_waiters(party *both, bool taking)
{
    enum { WAITERS = 4 };
    lp_object *channel = make(both, LP_CHANNEL, 1, 0);
    lp_channel_side *side =
        taking ? lp_channel_receivers(channel) : lp_channel_senders(channel);
    runner waiters[WAITERS];
    lp_thread threads[WAITERS];
    if (!taking) CHECK(lp_channel_put(channel, "full", 4) == LP_OK);
    for (unsigned i = 0; i < WAITERS; i++) {
        waiters[i] = (runner){.channel = channel, .takes = taking};
        CHECK(lp_thread_start(&threads[i], await_close, &waiters[i]) == LP_OK);
    }
    await_waiters(side, WAITERS);
    CHECK(lp_channel_close(channel) == LP_OK);
    for (unsigned i = 0; i < WAITERS; i++)
        lp_thread_join(&threads[i]);
    lp_object_release(channel);
}

static void test_close_ends_all_waits(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    for (unsigned round = 0; round < 20; round++) {
        close_with_waiters(&both, true);
        close_with_waiters(&both, false);
    }
    close_party(&both);
}

/* ---- dicts ---- */

static int set(lp_object *dict, const char *key, const char *value,
               uint64_t version)
{
    const lp_dict_about about = {version, 77};
    return lp_dict_set(dict, key, strlen(key), value, strlen(value), &about);
}

/* Whether the value of a key is this text; gives what else is known. */
static bool has(lp_object *dict, const char *key, const char *value,
                lp_dict_about *about)
{
    lp_buffer out = {0};
    bool fine = lp_dict_get(dict, key, strlen(key), &out, about) == LP_OK &&
                about->version > 0 && is_text(&out, value);
    lp_buffer_clear(&out);
    return fine;
}

static bool lacks(lp_object *dict, const char *key)
{
    lp_dict_about about = {1, 1};
    lp_buffer out = {0};
    bool fine = lp_dict_get(dict, key, strlen(key), &out, &about) == LP_OK &&
                about.version == 0 && out.length == 0;
    lp_buffer_clear(&out);
    return fine;
}

static void test_dict_keeps_what_was_set(void)
{
    party both;
    lp_dict_about about;
    CHECK(open_party(&both) == LP_OK);
    lp_object *dict = make(&both, LP_DICT, 0, 0);
    CHECK(lacks(dict, "a") && lacks(dict, ""));
    CHECK(set(dict, "a", "", LP_ANY_VERSION) == LP_OK); /* nothing to remove */
    CHECK(set(dict, "a", "1", LP_ANY_VERSION) == LP_OK);
    CHECK(set(dict, "", "of nothing", LP_ANY_VERSION) == LP_OK);
    CHECK(has(dict, "a", "1", &about) && about.maker == 77);
    CHECK(has(dict, "", "of nothing", &about) && lacks(dict, "aa"));
    CHECK(set(dict, "a", "a longer one", LP_ANY_VERSION) == LP_OK);
    CHECK(has(dict, "a", "a longer one", &about));
    CHECK(set(dict, "a", "", LP_ANY_VERSION) == LP_OK);
    CHECK(lacks(dict, "a") && has(dict, "", "of nothing", &about));
    /* Keys and values are bytes. */
    const lp_dict_about any = {LP_ANY_VERSION, 0};
    CHECK(lp_dict_set(dict, "x\0y", 3, "\0", 1, &any) == LP_OK);
    CHECK(lacks(dict, "x"));
    lp_object_release(dict);
    close_party(&both);
}

static void test_dict_sets_only_what_was_not_changed(void)
{
    party both;
    lp_dict_about first, second, third;
    CHECK(open_party(&both) == LP_OK);
    lp_object *dict = make(&both, LP_DICT, 0, 0);
    CHECK(set(dict, "a", "1", 5) == LP_FAILED); /* there is none */
    CHECK(lacks(dict, "a"));
    CHECK(set(dict, "a", "1", 0) == LP_OK);
    CHECK(set(dict, "a", "2", 0) == LP_FAILED);
    CHECK(has(dict, "a", "1", &first));
    CHECK(set(dict, "a", "2", first.version) == LP_OK);
    CHECK(set(dict, "a", "3", first.version) == LP_FAILED);
    CHECK(set(dict, "a", "", first.version) == LP_FAILED);
    CHECK(has(dict, "a", "2", &second) && second.version > first.version);
    CHECK(set(dict, "a", "", second.version) == LP_OK);
    CHECK(lacks(dict, "a"));
    /* What was removed and set again is not what it was. */
    CHECK(set(dict, "a", "2", LP_ANY_VERSION) == LP_OK);
    CHECK(set(dict, "a", "3", second.version) == LP_FAILED);
    CHECK(has(dict, "a", "2", &third) && third.version > second.version);
    lp_object_release(dict);
    close_party(&both);
}

enum { ADDERS = 4, ADDITIONS = 500, SUMS = 3 };

/* Add one to the number of a key, again until nobody came between. */
static void add_one(lp_object *dict, const char *key)
{
    int status = LP_FAILED;
    while (status == LP_FAILED) {
        lp_dict_about about;
        lp_buffer out = {0};
        uint64_t number = 0;
        CHECK(lp_dict_get(dict, key, 1, &out, &about) == LP_OK);
        if (about.version > 0) memcpy(&number, out.bytes, sizeof(number));
        lp_buffer_clear(&out);
        number++;
        status = lp_dict_set(dict, key, 1, &number, sizeof(number), &about);
    }
    CHECK(status == LP_OK);
}

static void *add_all(void *argument)
{
    lp_object *dict = *(lp_object **)argument;
    static const char keys[SUMS] = "abc";
    for (unsigned i = 0; i < ADDITIONS; i++)
        add_one(dict, &keys[i % SUMS]);
    return NULL;
}

static void test_dict_adds_up(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    lp_object *dict = make(&both, LP_DICT, 0, 0), *theirs = NULL;
    CHECK(lp_object_find(both.host, dict->id, &theirs) == LP_OK);
    lp_object *used[ADDERS] = {dict, theirs, dict, theirs};
    in_threads(ADDERS, add_all, used, sizeof(used[0]));
    uint64_t sum = 0;
    for (unsigned i = 0; i < SUMS; i++) {
        lp_dict_about about;
        lp_buffer out = {0};
        uint64_t number = 0;
        CHECK(lp_dict_get(dict, &"abc"[i], 1, &out, &about) == LP_OK);
        CHECK(out.length == sizeof(number));
        if (out.length == sizeof(number))
            memcpy(&number, out.bytes, sizeof(number));
        sum += number;
        lp_buffer_clear(&out);
    }
    CHECK(sum == ADDERS * ADDITIONS);
    lp_object_release(theirs);
    lp_object_release(dict);
    close_party(&both);
}

enum { KEYS = 5000 };

/* Count the entries of a snapshot; each value is its key plus one. */
static unsigned count_entries(lp_object *dict, uint8_t *seen)
{
    enum { ENTRY = 2 * sizeof(uint64_t) + 2 * sizeof(uint32_t) };
    lp_buffer out = {0};
    bool fine = true;
    unsigned count = 0;
    CHECK(lp_dict_snapshot(dict, &out) == LP_OK);
    CHECK(out.length % ENTRY == 0);
    for (size_t at = 0; out.length - at >= ENTRY; at += ENTRY) {
        uint64_t lengths[2];
        uint32_t both[2]; /* key and value */
        memcpy(lengths, out.bytes + at, sizeof(lengths));
        memcpy(both, out.bytes + at + sizeof(lengths), sizeof(both));
        fine = fine && lengths[0] == 4 && lengths[1] == 4 && both[0] < KEYS &&
               both[1] == both[0] + 1;
        if (seen && fine) seen[both[0]]++;
        count++;
    }
    CHECK(fine);
    lp_buffer_clear(&out);
    return count;
}

static void set_number(lp_object *dict, uint32_t key, bool there)
{
    const lp_dict_about any = {LP_ANY_VERSION, 0};
    uint32_t value = key + 1;
    CHECK(lp_dict_set(dict, &key, sizeof(key), &value,
                      there ? sizeof(value) : 0, &any) == LP_OK);
}

static void test_dict_of_thousands(void)
{
    static uint8_t seen[KEYS];
    unsigned once = 0;
    party both;
    CHECK(open_party(&both) == LP_OK);
    lp_object *dict = make(&both, LP_DICT, 0, 0);
    CHECK(count_entries(dict, NULL) == 0);
    for (uint32_t i = 0; i < KEYS; i++)
        set_number(dict, i, true);
    memset(seen, 0, sizeof(seen));
    CHECK(count_entries(dict, seen) == KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        once += seen[i] == 1;
    CHECK(once == KEYS);
    for (uint32_t i = 0; i < KEYS; i += 2)
        set_number(dict, i, false);
    CHECK(count_entries(dict, NULL) == KEYS / 2);
    for (uint32_t i = 0; i < KEYS; i++) {
        lp_dict_about about;
        lp_buffer out = {0};
        CHECK(lp_dict_get(dict, &i, sizeof(i), &out, &about) == LP_OK);
        CHECK((about.version > 0) == (i % 2 == 1));
        lp_buffer_clear(&out);
    }
    lp_object_release(dict);
    close_party(&both);
}

typedef struct writer {
    lp_object *dict;
    uint32_t first;
} writer;

static void *write_numbers(void *argument)
{
    const writer *self = argument;
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 300; i++)
            set_number(self->dict, self->first + i, true);
        for (uint32_t i = 0; i < 300; i += 3)
            set_number(self->dict, self->first + i, false);
    }
    return NULL;
}

static void *read_numbers(void *argument)
{
    const writer *self = argument;
    for (unsigned round = 0; round < 200; round++)
        CHECK(count_entries(self->dict, NULL) <= 600);
    return NULL;
}

static void *write_or_read(void *argument)
{
    const writer *self = argument;
    return self->first == KEYS ? read_numbers(argument)
                               : write_numbers(argument);
}

static void test_snapshots_are_whole(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    lp_object *dict = make(&both, LP_DICT, 0, 0);
    writer users[] = {{dict, 0}, {dict, 1000}, {dict, KEYS}, {dict, KEYS}};
    in_threads(4, write_or_read, users, sizeof(users[0]));
    CHECK(count_entries(dict, NULL) == 400);
    lp_object_release(dict);
    close_party(&both);
}

/* ---- counters and buffers ---- */

static void *count_up(void *argument)
{
    lp_object *counter = *(lp_object **)argument;
    for (unsigned i = 0; i < 10000; i++)
        atomic_fetch_add(lp_counter_value(counter), 1);
    return NULL;
}

static void test_counters_count(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    lp_object *least = make(&both, LP_COUNTER, (uint64_t)INT64_MIN, 0);
    lp_object *counter = make(&both, LP_COUNTER, (uint64_t)-5, 0);
    lp_object *theirs = NULL;
    CHECK(lp_object_find(both.host, counter->id, &theirs) == LP_OK);
    lp_object *used[] = {counter, theirs, counter, theirs};
    in_threads(4, count_up, used, sizeof(used[0]));
    CHECK(atomic_load(lp_counter_value(counter)) == 40000 - 5);
    CHECK(atomic_load(lp_counter_value(theirs)) == 40000 - 5);
    CHECK(atomic_load(lp_counter_value(least)) == INT64_MIN);
    lp_object_release(theirs);
    lp_object_release(counter);
    lp_object_release(least);
    close_party(&both);
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

static void test_buffers_begin_with_zeroes(void)
{
    static const size_t sizes[] = {1, 4, 8, 4, 8};
    static const uint64_t counts[] = {0, 1, 7, 5000, 300000};
    party both;
    CHECK(open_party(&both) == LP_OK);
    /* Twice, so that memory is used again. */
    for (unsigned i = 0; i < 2 * 5 * 5; i++) {
        lp_number type = (lp_number)(i % 5);
        uint64_t count = counts[i / 5 % 5];
        size_t bytes = sizes[type] * (size_t)count;
        lp_object *buffer = make(&both, LP_NUMBERS, type, count), *theirs;
        CHECK(lp_number_size(type) == sizes[type]);
        CHECK(lp_numbers_type(buffer) == type);
        CHECK(lp_numbers_count(buffer) == count);
        CHECK((uintptr_t)buffer->memory % 8 == 0);
        CHECK(is_zero(buffer->memory, bytes));
        memset(buffer->memory, 0xa5, bytes);
        CHECK(lp_object_find(both.host, buffer->id, &theirs) == LP_OK);
        CHECK(memcmp(theirs->memory, buffer->memory, bytes) == 0);
        lp_object_release(theirs);
        lp_object_release(buffer);
    }
    close_party(&both);
}

static void test_buffers_that_are_too_large(void)
{
    party both;
    lp_object *none;
    CHECK(open_party(&both) == LP_OK);
    lp_objects *all = both.all;
    CHECK(lp_object_make(all, LP_NUMBERS, LP_NUMBER_U8, UINT64_MAX, &none) ==
          LP_NOMEM);
    CHECK(lp_object_make(all, LP_NUMBERS, LP_NUMBER_F64,
                         ((uint64_t)1 << 61) + 1, &none) == LP_NOMEM);
    CHECK(lp_object_make(all, LP_NUMBERS, LP_NUMBER_U8, (uint64_t)1 << 40,
                         &none) == LP_NOMEM);
    lp_object_release(make(&both, LP_NUMBERS, LP_NUMBER_U8, 10));
    close_party(&both);
}

/* ---- the registry ---- */

static void test_objects_are_found_until_the_last_release(void)
{
    enum { MANY = 1000 };
    static lp_object *made[MANY];
    party both;
    lp_object *found;
    CHECK(open_party(&both) == LP_OK);
    for (unsigned i = 0; i < MANY; i++) {
        made[i] = make(&both, (lp_object_kind)(LP_CHANNEL + i % 3), 1, 0);
        CHECK(i == 0 || made[i]->id > made[i - 1]->id);
    }
    for (unsigned i = 0; i < MANY; i++) {
        CHECK(lp_object_find(both.all, made[i]->id, &found) == LP_OK);
        CHECK(found == made[i]);
        lp_object_retain(found);
        lp_object_release(found);
        lp_object_release(found);
    }
    for (unsigned i = 0; i < MANY; i += 2) {
        uint64_t id = made[i]->id;
        lp_object_release(made[i]);
        CHECK(lp_object_find(both.all, id, &found) == LP_INVALID);
        CHECK(lp_object_find(both.host, id, &found) == LP_INVALID);
        CHECK(lp_object_find(both.all, made[i + 1]->id, &found) == LP_OK);
        lp_object_release(found);
    }
    for (unsigned i = 1; i < MANY; i += 2)
        lp_object_release(made[i]);
    lp_object_release(NULL);
    CHECK(lp_object_find(both.all, 0, &found) == LP_INVALID);
    CHECK(lp_object_find(both.all, UINT64_MAX, &found) == LP_INVALID);
    close_party(&both);
}

static void test_objects_that_are_not_released(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    make(&both, LP_COUNTER, 0, 0);
    CHECK(lp_channel_put(make(&both, LP_CHANNEL, 1, 0), "left", 4) == LP_OK);
    CHECK(set(make(&both, LP_DICT, 0, 0), "left", "too", 0) == LP_OK);
    if (both.process) lp_objects_bury(&both.refs);
    close_party(&both);
}

typedef struct finder {
    party *both;
    uint64_t id;
} finder;

static void *find_and_release(void *argument)
{
    const finder *self = argument;
    for (unsigned i = 0; i < 2000; i++) {
        lp_object *found;
        CHECK(lp_object_find(self->both->all, self->id, &found) == LP_OK);
        CHECK(found->id == self->id && found->kind == LP_COUNTER);
        atomic_fetch_add(lp_counter_value(found), 1);
        lp_object_release(found);
    }
    return NULL;
}

/* In a process, its first and its last reference come and go all the time. */
static void test_many_find_one_object(void)
{
    party both;
    lp_object *counter;
    CHECK(open_party(&both) == LP_OK);
    CHECK(lp_object_make(both.host, LP_COUNTER, 0, 0, &counter) == LP_OK);
    finder same = {&both, counter->id};
    finder users[] = {same, same, same, same};
    in_threads(4, find_and_release, users, sizeof(users[0]));
    CHECK(atomic_load(lp_counter_value(counter)) == 4 * 2000);
    CHECK(counter->references == 1);
    lp_object_release(counter);
    close_party(&both);
}

/* ---- a process that ends ---- */

typedef struct sleeper {
    lp_channel_side *side;
    uint32_t expected;
} sleeper;

static void *sleep_on(void *argument)
{
    sleeper *self = argument;
    atomic_fetch_add(&self->side->waiters, 1);
    while (atomic_load(&self->side->word) == self->expected)
        CHECK(lp_park(&self->side->word, self->expected,
                      lp_clock_after(PATIENCE)) != LP_TIMEOUT);
    return NULL;
}

static void test_burial_releases_and_wakes(void)
{
    party both;
    lp_object *kept, *found;
    CHECK(open_party(&both) == LP_OK);
    if (!both.process) CHECK(attach(&both) == LP_OK);
    CHECK(lp_object_make(both.host, LP_CHANNEL, 1, 0, &kept) == LP_OK);
    lp_object *mine[] = {NULL, NULL, NULL, NULL, NULL};
    CHECK(lp_object_find(both.process, kept->id, &mine[0]) == LP_OK);
    for (unsigned i = 1; i < 5; i++)
        CHECK(lp_object_make(both.process, (lp_object_kind)i, 1, 100,
                             &mine[i]) == LP_OK);
    CHECK(lp_channel_put(mine[0], "stays", 5) == LP_OK);
    CHECK(lp_channel_put(mine[1], "goes", 4) == LP_OK);
    CHECK(set(mine[3], "goes", "too", 0) == LP_OK);
    sleeper sleepers[] = {{lp_channel_receivers(kept), 0},
                          {lp_channel_senders(kept), 0}};
    lp_thread threads[2];
    for (unsigned i = 0; i < 2; i++) {
        sleepers[i].expected = atomic_load(&sleepers[i].side->word);
        CHECK(lp_thread_start(&threads[i], sleep_on, &sleepers[i]) == LP_OK);
        await_waiters(sleepers[i].side, 1);
    }
    CHECK(both.refs.count == 5);
    lp_objects_bury(&both.refs);
    CHECK(both.refs.count == 0);
    lp_thread_join(&threads[0]);
    lp_thread_join(&threads[1]);
    for (unsigned i = 1; i < 5; i++)
        CHECK(lp_object_find(both.host, mine[i]->id, &found) == LP_INVALID);
    CHECK(kept->references == 1 && takes(kept, "stays"));
    lp_objects_bury(&both.refs); /* there is nothing left */
    /* What the process still has of its own asks in vain. */
    CHECK(lp_channel_put(mine[0], "late", 4) == LP_INVALID);
    for (unsigned i = 0; i < 5; i++)
        lp_object_release(mine[i]);
    lp_object_release(kept);
    close_party(&both);
}

/* ---- nonsense ---- */

static int answer_to(party *both, lp_object_question question)
{
    static const uint8_t bytes[] = "keyvalue";
    lp_object_answer answer;
    lp_buffer out = {0};
    CHECK(question.key_length + question.value_length <= 8);
    lp_objects_answer(both->host, &both->refs, &question, bytes, &answer, &out);
    CHECK(answer.length == out.length);
    CHECK(answer.status == LP_OK || out.length == 0);
    lp_buffer_clear(&out);
    return answer.status;
}

/* Make one for the process, and give its id. */
static uint64_t make_for(party *both, uint32_t kind)
{
    lp_object_answer answer;
    lp_buffer out = {0};
    const lp_object_question question = {
        .verb = LP_VERB_MAKE, .kind = kind, .numbers = {1, 1}};
    lp_objects_answer(both->host, &both->refs, &question, NULL, &answer, &out);
    CHECK(answer.status == LP_OK && answer.kind == kind);
    return answer.id;
}

static void test_nonsense_about_no_object(void)
{
    static const uint32_t strange[] = {0, 5, 255, UINT32_MAX};
    party both;
    lp_object *others;
    CHECK(open_party(&both) == LP_OK);
    for (unsigned i = 0; i < 4; i++) {
        lp_object_question question = {.verb = LP_VERB_MAKE,
                                       .kind = strange[i]};
        CHECK(answer_to(&both, question) == LP_INVALID);
        question = (lp_object_question){.verb = strange[i] + 100, .id = 1};
        CHECK(answer_to(&both, question) == LP_INVALID);
    }
    lp_object_question typed = {.verb = LP_VERB_MAKE, .kind = LP_NUMBERS};
    typed.numbers[0] = LP_NUMBER_TYPES;
    CHECK(answer_to(&both, typed) == LP_INVALID);
    typed.numbers[0] = UINT64_MAX;
    CHECK(answer_to(&both, typed) == LP_INVALID);
    typed.numbers[0] = (uint64_t)1 << 32; /* U8, if it were cut */
    CHECK(answer_to(&both, typed) == LP_INVALID);
    typed.numbers[0] = LP_NUMBER_I64;
    typed.numbers[1] = UINT64_MAX / 8 + 2; /* its bytes wrap */
    CHECK(answer_to(&both, typed) == LP_NOMEM);

    /* Nobody may use what he was not given, though it is there. */
    CHECK(lp_object_make(both.host, LP_CHANNEL, 1, 0, &others) == LP_OK);
    for (uint32_t verb = LP_VERB_RELEASE; verb <= LP_VERB_SNAPSHOT; verb++) {
        lp_object_question question = {.verb = verb, .id = others->id};
        CHECK(answer_to(&both, question) == LP_INVALID);
        question.id = others->id + 1;
        CHECK(answer_to(&both, question) == LP_INVALID);
    }
    lp_object_question retain = {.verb = LP_VERB_RETAIN, .id = 12345};
    CHECK(answer_to(&both, retain) == LP_INVALID);
    CHECK(both.refs.count == 0 && others->references == 1);
    CHECK(lp_channel_count(others) == 0);
    lp_object_release(others);
    close_party(&both);
}

static void test_verbs_of_other_kinds(void)
{
    party both;
    CHECK(open_party(&both) == LP_OK);
    for (uint32_t kind = LP_CHANNEL; kind <= LP_NUMBERS; kind++) {
        uint64_t id = make_for(&both, kind);
        for (uint32_t verb = LP_VERB_PUT; verb <= LP_VERB_SNAPSHOT + 1;
             verb++) {
            bool is_channels = verb >= LP_VERB_PUT && verb <= LP_VERB_CLOSE;
            bool is_dicts = verb >= LP_VERB_GET && verb <= LP_VERB_SNAPSHOT;
            bool fits = (kind == LP_CHANNEL && is_channels) ||
                        (kind == LP_DICT && is_dicts);
            const lp_object_question question = {.verb = verb,
                                                 .id = id,
                                                 .numbers = {LP_ANY_VERSION, 0},
                                                 .key_length = 3,
                                                 .value_length = 5};
            CHECK((answer_to(&both, question) == LP_OK) == fits);
        }
        /* It was given once: the second release is nonsense. */
        const lp_object_question release = {.verb = LP_VERB_RELEASE, .id = id};
        CHECK(answer_to(&both, release) == LP_OK);
        CHECK(answer_to(&both, release) == LP_INVALID);
    }
    close_party(&both);
}

/* A channel that a process made to hold nothing is full, and no more. */
static void test_absurd_capacities(void)
{
    party both;
    lp_buffer out = {0};
    CHECK(open_party(&both) == LP_OK);
    lp_object *channel = make(&both, LP_CHANNEL, 0, UINT64_MAX);
    CHECK(lp_channel_put(channel, "a", 1) == LP_FULL);
    CHECK(lp_channel_take(channel, &out) == LP_TIMEOUT);
    /* The words can be written by any process of the host. */
    lp_channel_words *words = channel->memory;
    atomic_store(&words->count, UINT64_MAX);
    CHECK(lp_channel_put(channel, "a", 1) == LP_FULL);
    CHECK(lp_channel_take(channel, &out) == LP_TIMEOUT);
    CHECK(lp_channel_close(channel) == LP_OK);
    CHECK(lp_channel_take(channel, &out) == LP_CLOSED);
    lp_object_release(channel);
    close_party(&both);
}

static void test_files_that_are_none(void)
{
    static const lp_object_link link = {.ask = ask};
    lp_objects *all = lp_objects_new(NULL);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(lp_objects_attach(all, fd, &link) == LP_SYSTEM);
    CHECK(fcntl(fd, F_GETFD) == -1); /* it was taken */
    CHECK(!lp_objects_are_remote(all));
    lp_objects_free(all);
    lp_objects_free(NULL);
}

/* ---- memory that runs out ---- */

enum { MOST_OBJECTS = 20 };

typedef struct bag {
    lp_object *items[MOST_OBJECTS];
    unsigned count;
} bag;

static int add(party *both, bag *all, lp_object_kind kind, uint64_t first)
{
    int status =
        lp_object_make(both->all, kind, first, 10, &all->items[all->count]);
    if (status == LP_OK) all->count++;
    return status;
}

/* Use a channel, and a dict until it grows. */
static int use(lp_object *channel, lp_object *dict, lp_buffer *out)
{
    int status = lp_channel_put(channel, "message", 7);
    if (status == LP_OK) status = lp_channel_take(channel, out);
    for (uint32_t i = 0; i < 40 && status == LP_OK; i++) {
        const lp_dict_about any = {LP_ANY_VERSION, 0};
        status = lp_dict_set(dict, &i, sizeof(i), "value", 5, &any);
    }
    lp_dict_about about;
    if (status == LP_OK) status = lp_dict_get(dict, "none", 4, out, &about);
    if (status == LP_OK) status = lp_dict_get(dict, "\0\0\0", 4, out, &about);
    if (status == LP_OK) CHECK(about.version > 0);
    if (status == LP_OK) status = lp_dict_snapshot(dict, out);
    if (status == LP_OK) status = lp_channel_put(channel, "left", 4);
    return status == LP_OK ? lp_channel_close(channel) : status;
}

/* Everything from the registry on, up to the first failure. */
static int do_everything(void)
{
    party both;
    bag all = {.count = 0};
    lp_buffer out = {0};
    lp_object *found = NULL;
    int status = open_party(&both);
    if (status == LP_OK) status = add(&both, &all, LP_CHANNEL, NO_LIMIT);
    if (status == LP_OK) status = add(&both, &all, LP_DICT, 0);
    if (status == LP_OK) status = use(all.items[0], all.items[1], &out);
    while (all.count < MOST_OBJECTS && status == LP_OK)
        status = add(&both, &all, (lp_object_kind)(1 + all.count % 4), 1);
    if (status == LP_OK)
        status = lp_object_find(both.all, all.items[3]->id, &found);
    lp_object_release(found);
    lp_buffer_clear(&out);
    while (all.count > 0)
        lp_object_release(all.items[--all.count]);
    close_party(&both);
    return status;
}

static void test_all_without_memory(void)
{
    unsigned failed = 0;
    for (long n = 1; n < 200; n++) {
        size_t live = lp_alloc_live();
        lp_alloc_fail_at(n);
        int status = do_everything();
        lp_alloc_fail_at(0);
        CHECK(status == LP_OK || status == LP_NOMEM);
        CHECK(lp_alloc_live() == live);
        failed += status == LP_NOMEM;
    }
    CHECK(failed > 60); /* objects, messages, entries and what lists them */
    CHECK(do_everything() == LP_OK);
}

static void test_finding_without_memory(void)
{
    party both;
    lp_object *object, *found = NULL;
    CHECK(open_party(&both) == LP_OK);
    CHECK(lp_object_make(both.host, LP_CHANNEL, 1, 0, &object) == LP_OK);
    int status = LP_NOMEM;
    for (long n = 1; status != LP_OK; n++) {
        size_t live = lp_alloc_live();
        lp_alloc_fail_at(n);
        status = lp_object_find(both.all, object->id, &found);
        lp_alloc_fail_at(0);
        CHECK(status == LP_OK || status == LP_NOMEM);
        if (status == LP_OK) break;
        /* A view that was mapped meanwhile stays, and a list that grew. */
        CHECK(lp_alloc_live() - live <= 2 && both.refs.count == 0);
        CHECK(object->references == 1);
    }
    CHECK(lp_channel_put(found, "a", 1) == LP_OK && takes(object, "a"));
    lp_object_release(found);
    lp_object_release(object);
    close_party(&both);
}

static void test_failed_takes_lose_nothing(void)
{
    party both;
    char large[3000];
    memset(large, 'x', sizeof(large));
    CHECK(open_party(&both) == LP_OK);
    lp_object *channel = make(&both, LP_CHANNEL, 2, 0);
    CHECK(lp_channel_put(channel, large, sizeof(large)) == LP_OK);
    CHECK(lp_channel_put(channel, "second", 6) == LP_OK);
    lp_buffer out = {0};
    lp_alloc_fail_at(1);
    CHECK(lp_channel_take(channel, &out) == LP_NOMEM);
    lp_alloc_fail_at(0);
    CHECK(lp_channel_count(channel) == 2 && out.length == 0);
    CHECK(lp_channel_put(channel, "third", 5) == LP_FULL);
    CHECK(lp_channel_take(channel, &out) == LP_OK);
    CHECK(out.length == sizeof(large) && memcmp(out.bytes, large, 3000) == 0);
    CHECK(takes(channel, "second"));
    lp_alloc_fail_at(1);
    CHECK(lp_channel_put(channel, "lost", 4) == LP_NOMEM);
    lp_alloc_fail_at(0);
    CHECK(lp_channel_count(channel) == 0);
    lp_buffer_clear(&out);
    lp_object_release(channel);
    close_party(&both);
}

static void test_failed_sets_change_nothing(void)
{
    party both;
    lp_dict_about before, after;
    CHECK(open_party(&both) == LP_OK);
    lp_object *dict = make(&both, LP_DICT, 0, 0);
    CHECK(set(dict, "a", "1", 0) == LP_OK && has(dict, "a", "1", &before));
    lp_alloc_fail_at(1);
    CHECK(set(dict, "a", "2", LP_ANY_VERSION) == LP_NOMEM);
    lp_alloc_fail_at(1);
    CHECK(set(dict, "b", "2", 0) == LP_NOMEM);
    lp_alloc_fail_at(1);
    CHECK(set(dict, "a", "", 0) == LP_FAILED); /* needs none */
    lp_alloc_fail_at(0);
    CHECK(has(dict, "a", "1", &after) && lacks(dict, "b"));
    CHECK(after.version == before.version);
    CHECK(set(dict, "a", "2", before.version) == LP_OK);
    lp_object_release(dict);
    close_party(&both);
}

static void run(const char *name, void (*test)(void))
{
    int before = failures;
    size_t live = lp_alloc_live();
    tests++;
    test();
    CHECK(lp_alloc_live() == live);
    printf("%s %d - shared: %s%s\n", failures == before ? "ok" : "not ok",
           tests, name, afar ? ", from another process" : "");
    fflush(stdout);
}

static void run_all(void)
{
    run("a channel keeps the order of messages", test_channel_keeps_order);
    run("a channel holds so many messages", test_channel_holds_so_many);
    run("a closed channel is drained", test_closed_channel_is_drained);
    run("each message is taken once", test_each_message_is_taken_once);
    run("close ends all waits", test_close_ends_all_waits);
    run("a dict keeps what was set", test_dict_keeps_what_was_set);
    run("a dict sets only what was not changed",
        test_dict_sets_only_what_was_not_changed);
    run("numbers in a dict add up", test_dict_adds_up);
    run("a dict of thousands", test_dict_of_thousands);
    run("snapshots are whole", test_snapshots_are_whole);
    run("counters count", test_counters_count);
    run("buffers begin with zeroes", test_buffers_begin_with_zeroes);
    run("buffers that are too large", test_buffers_that_are_too_large);
    run("objects are found until the last release",
        test_objects_are_found_until_the_last_release);
    run("objects that are not released go with the registry",
        test_objects_that_are_not_released);
    run("many find one object", test_many_find_one_object);
    run("absurd capacities", test_absurd_capacities);
    run("all without memory", test_all_without_memory);
    run("finding without memory", test_finding_without_memory);
    run("failed takes lose nothing", test_failed_takes_lose_nothing);
    run("failed sets change nothing", test_failed_sets_change_nothing);
}

int main(void)
{
    run_all();
    afar = true;
    run_all();
    afar = false;
    run("a burial releases and wakes", test_burial_releases_and_wakes);
    run("nonsense about no object", test_nonsense_about_no_object);
    run("verbs of other kinds", test_verbs_of_other_kinds);
    run("files that are none", test_files_that_are_none);
    printf("1..%d\n", tests);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
