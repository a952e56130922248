/* channels.c - sending and receiving, and waiting for either. */
#include "api/api.h"
#include "base/clock.h"
#include "base/status.h"
#include "shared/channel.h"

/*
 * Who has callbacks to run looks so often whether they are due, while he
 * waits for a message: they may be what sends it.
 */
#define LOOK_NANOSECONDS 5000000

int lp_caller_enter_with(lua_State *L, const lpool_object *object,
                         lp_object_kind kind, lp_caller **caller)
{
    int status = lp_caller_enter(L, caller);
    if (status != LP_OK) return status;
    if (!lp_object_is(object, kind)) return LP_INVALID;
    const lp_objects *all = (*caller)->pool->host.objects;
    return lp_object_inner(object)->all == all ? LP_OK : LP_INVALID;
}

int lpool_channel_open(lua_State *L, uint64_t capacity, lpool_object **channel)
{
    return lp_caller_make_object(L, LP_CHANNEL,
                                 capacity ? capacity : UINT64_MAX, 0, channel);
}

int lpool_channel_close(lpool_object *channel)
{
    if (!lp_object_is(channel, LP_CHANNEL)) return LP_INVALID;
    return lp_channel_close(lp_object_inner(channel));
}

uint64_t lpool_channel_count(const lpool_object *channel)
{
    if (!lp_object_is(channel, LP_CHANNEL)) return 0;
    return lp_channel_count(lp_object_inner(channel));
}

/* What is tried until it is done: a message goes in, or comes out. */
typedef struct attempt {
    lp_object *channel;
    lp_buffer *buffer;
    lp_channel_side *side; /* of those who wait for the same */
    int (*try)(const struct attempt *attempt);
    int again; /* the status that says: not now */
} attempt;

static int try_put(const attempt *work)
{
    return lp_channel_put(work->channel, work->buffer->bytes,
                          work->buffer->length);
}

static int try_take(const attempt *work)
{
    return lp_channel_take(work->channel, work->buffer);
}

/* Park until another try is worth it, or the deadline. Does not raise. */
static int park(lp_caller *caller, const attempt *work, int64_t deadline)
{
    lp_channel_side *side = work->side;
    atomic_fetch_add(&side->waiters, 1);
    uint32_t expected = atomic_load(&side->word);
    int status = work->try(work);
    if (status == work->again) {
        int64_t until = deadline;
        if (caller->mailbox.count > 0) {
            int64_t look = lp_clock_after(LOOK_NANOSECONDS);
            if (until == LP_NEVER || look < until) until = look;
        }
        status = lp_caller_park_for(caller, NULL, &side->word, expected, until);
        /*
         * Whoever was woken has to try, even if the deadline is past by now:
         * nobody else was woken for what is there.
         */
        if (status == LP_OK) {
            status = work->try(work);
        } else if (status != LP_INTERRUPTED) {
            status = work->again;
        }
    }
    atomic_fetch_sub(&side->waiters, 1);
    /* Whoever woke us did not wake the next. */
    if (status == LP_INTERRUPTED) lp_channel_wake(side);
    return status;
}

/* Try, wait and try until it is done, the deadline or an interrupt. */
static int complete(lua_State *L, lp_caller *caller, const attempt *work,
                    int64_t deadline)
{
    int status = work->try(work);
    while (status == work->again) {
        if (deadline != LP_NEVER && lp_clock_now() >= deadline)
            return LP_TIMEOUT;
        lpool_dispatch(L);
        status = park(caller, work, deadline);
    }
    return status;
}

/* ---- values and messages ---- */

int lp_caller_encode_value(lua_State *L, lp_caller *caller, lp_buffer *buffer)
{
    if (!caller->codec) caller->codec = lp_codec_of(L);
    return lp_encode(L, caller->codec, lua_gettop(L), 1, LP_ROLE_VALUE, buffer,
                     NULL);
}

int lp_caller_decode_value(lua_State *L, const uint8_t *bytes, size_t length)
{
    int count;
    lp_reader reader = {bytes, bytes + length, NULL, 0};
    luaL_checkstack(L, 4, "values");
    int status = lp_decode(L, NULL, &reader, &count);
    return status == LP_OK ? LP_OK : LP_FAILED;
}

int lpool_channel_send(lua_State *L, lpool_object *channel, int64_t timeout)
{
    lp_caller *caller;
    int status = lp_caller_enter_with(L, channel, LP_CHANNEL, &caller);
    if (status == LP_THREAD || !L) return status;
    int value = lua_gettop(L);
    int64_t deadline = lp_clock_after(timeout);
    attempt work = {.try = try_put, .again = LP_FULL};
    while (status == LP_OK) {
        work.channel = lp_object_inner(channel);
        work.side = lp_channel_senders(work.channel);
        work.buffer = lp_caller_open_buffer(L, caller);
        status = lp_caller_encode_value(L, caller, work.buffer);
        if (status == LP_OK) status = complete(L, caller, &work, deadline);
        lp_caller_close_buffer(L, caller, work.buffer);
        if (status != LP_INTERRUPTED) break;
        lp_caller_interrupted(L, caller); /* raises, or it was nothing */
        status = LP_OK;
    }
    if (status == LP_UNSENDABLE) lua_replace(L, value);
    lua_settop(L, status == LP_UNSENDABLE ? value : value - 1);
    return status;
}

int lpool_channel_receive(lua_State *L, lpool_object *channel, int64_t timeout)
{
    lp_caller *caller;
    int status = lp_caller_enter_with(L, channel, LP_CHANNEL, &caller);
    if (status != LP_OK) return status;
    int64_t deadline = lp_clock_after(timeout);
    attempt work = {.channel = lp_object_inner(channel),
                    .try = try_take,
                    .again = LP_TIMEOUT};
    work.side = lp_channel_receivers(work.channel);
    for (;;) {
        work.buffer = lp_caller_open_buffer(L, caller);
        status = complete(L, caller, &work, deadline);
        if (status == LP_OK)
            status = lp_caller_decode_value(L, work.buffer->bytes,
                                            work.buffer->length);
        lp_caller_close_buffer(L, caller, work.buffer);
        if (status != LP_INTERRUPTED) return status;
        lp_caller_interrupted(L, caller);
    }
}
