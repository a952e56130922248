/*
 * wake_test.c - who is woken for a message when his time is just over.
 *
 * Two wait for a channel. The first is woken, on a processor that has better
 * things to do, so that he finds his deadline past. The message must go to
 * one of them all the same.
 */
#include "../embed/check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define MILLISECOND INT64_C(1000000)

static lpool *host;
static lpool_object *channel;
static _Atomic int64_t began; /* when the first did; 0: not yet */
static atomic_bool over;

/* Stay on the one processor that all who call this share. */
static void share_processor(void)
{
    cpu_set_t allowed, one;
    size_t chosen = 0;
    CPU_ZERO(&one);
    CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
    while (!CPU_ISSET(chosen, &allowed))
        chosen++;
    CPU_SET(chosen, &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
}

static void *keep_busy(void *unused)
{
    share_processor();
    while (!atomic_load(&over))
        continue;
    return unused;
}

static void *receive_late(void *status)
{
    const struct sched_param none = {0};
    lua_State *L = open_state(host);
    share_processor();
    (void)sched_setscheduler(0, SCHED_IDLE, &none); /* else less is tested */
    atomic_store(&began, lpool_now());
    *(int *)status = lpool_channel_receive(L, channel, 30 * MILLISECOND);
    lua_close(L);
    return NULL;
}

static void *receive_patiently(void *status)
{
    lua_State *L = open_state(host);
    *(int *)status = lpool_channel_receive(L, channel, 20000 * MILLISECOND);
    lua_close(L);
    return NULL;
}

static void sleep_until(lua_State *L, int64_t time)
{
    int64_t rest = time - lpool_now();
    if (rest > 0) CHECK(lpool_sleep(L, rest) == LPOOL_OK);
}

static void send_one(lua_State *L)
{
    lua_pushinteger(L, 1);
    CHECK(lpool_channel_send(L, channel, -1) == LPOOL_OK);
}

static void round_of_two(lua_State *L)
{
    pthread_t first, second;
    int late = 1, patient = 1;
    CHECK(lpool_channel_open(L, 0, &channel) == LPOOL_OK);
    atomic_store(&began, 0);
    CHECK(pthread_create(&first, NULL, receive_late, &late) == 0);
    while (atomic_load(&began) == 0)
        CHECK(lpool_sleep(L, MILLISECOND) == LPOOL_OK);
    sleep_until(L, atomic_load(&began) + 15 * MILLISECOND);
    CHECK(pthread_create(&second, NULL, receive_patiently, &patient) == 0);
    sleep_until(L, atomic_load(&began) + 29 * MILLISECOND);
    send_one(L);
    CHECK(pthread_join(first, NULL) == 0);
    CHECK(late == LPOOL_OK || late == LPOOL_ETIMEOUT);
    if (late == LPOOL_OK) send_one(L);
    CHECK(pthread_join(second, NULL) == 0);
    CHECK(patient == LPOOL_OK && lpool_channel_count(channel) == 0);
    lpool_object_release(channel);
}

int main(void)
{
    pthread_t busy;
    lpool_config config;
    lpool_config_init(&config);
    CHECK(lpool_open(&config, &host) == LPOOL_OK);
    lua_State *L = open_state(host);
    CHECK(pthread_create(&busy, NULL, keep_busy, NULL) == 0);
    for (int i = 0; i < 8; i++)
        round_of_two(L);
    atomic_store(&over, true);
    CHECK(pthread_join(busy, NULL) == 0);
    lua_close(L);
    CHECK(lpool_close(host) == LPOOL_OK);
    puts("ok 1 - wake: a message never stays beside one who waits for it");
    puts("1..1");
    return 0;
}
