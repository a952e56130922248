/*
 * channel.h - a queue of messages, first in, first out.
 *
 * put and take never wait. Who wants to: register as a waiter, listen to the
 * word, try, and park on the word. The words and the counts lie in shared
 * memory; the messages are the host's.
 */
#ifndef LP_SHARED_CHANNEL_H
#define LP_SHARED_CHANNEL_H

#include "shared/object.h"

/* One side of a channel: those who wait to receive, or to send. */
typedef struct lp_channel_side {
    _Atomic uint32_t word; /* changes when it is worth another try */
    _Atomic uint32_t waiters;
} lp_channel_side;

/* What all processes see. */
typedef struct lp_channel_words {
    lp_channel_side receivers;
    lp_channel_side senders;
    _Atomic uint64_t count;
    _Atomic uint32_t closed;
} lp_channel_words;

/* Append a message. 0; LP_FULL, LP_CLOSED, LP_NOMEM: it was not. */
int lp_channel_put(lp_object *channel, const void *bytes, size_t length);

/*
 * Take the first message, appended to out. 0; LP_TIMEOUT: there is none now;
 * LP_CLOSED: and there will be none; LP_NOMEM.
 */
int lp_channel_take(lp_object *channel, lp_buffer *out);

/* No message comes any more; those that are there can be taken. Twice: once. */
int lp_channel_close(lp_object *channel);

uint64_t lp_channel_count(const lp_object *channel);

lp_channel_side *lp_channel_receivers(const lp_object *channel);
lp_channel_side *lp_channel_senders(const lp_object *channel);

/* Wake one who waits there: something was put, or taken. */
void lp_channel_wake(lp_channel_side *side);

/* ---- for object.c ---- */

size_t lp_channel_size(void);
void lp_channel_init(lp_object *channel);
void lp_channel_clear(lp_object *channel);
void lp_channel_stir(lp_object *channel);

#endif
