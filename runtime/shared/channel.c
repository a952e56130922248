/* channel.c - a list of messages, and words to park on. */
#include "shared/channel.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

typedef struct message {
    struct message *next;
    size_t length;
    uint8_t bytes[];
} message;

typedef struct channel {
    lp_object object;
    /* All below is the host's alone. */
    lp_lock lock; /* guards the rest, and writes to count and closed */
    message *first;
    message **end;
} channel;

static channel *inner(lp_object *object)
{
    return (channel *)(void *)object;
}

/* UINT64_MAX: no limit. */
static uint64_t capacity_of(const lp_object *object)
{
    return object->numbers[0];
}

static lp_channel_words *words_of(const lp_object *object)
{
    return object->memory;
}

lp_channel_side *lp_channel_receivers(const lp_object *object)
{
    return &words_of(object)->receivers;
}

lp_channel_side *lp_channel_senders(const lp_object *object)
{
    return &words_of(object)->senders;
}

uint64_t lp_channel_count(const lp_object *object)
{
    return atomic_load(&words_of(object)->count);
}

void lp_channel_wake(lp_channel_side *side)
{
    /* In total order with whoever counts himself, and then tries. */
    atomic_fetch_add(&side->word, 1);
    if (atomic_load(&side->waiters) > 0) lp_unpark_one(&side->word);
}

static void wake_all(lp_channel_side *side)
{
    atomic_fetch_add(&side->word, 1);
    lp_unpark_all(&side->word);
}

/* ---- life ---- */

size_t lp_channel_size(void)
{
    return sizeof(channel);
}

void lp_channel_init(lp_object *object)
{
    channel *self = inner(object);
    lp_lock_init(&self->lock, LP_RANK_OBJECT);
    self->end = &self->first;
}

void lp_channel_clear(lp_object *object)
{
    message *next;
    for (message *one = inner(object)->first; one; one = next) {
        next = one->next;
        lp_free(one);
    }
}

void lp_channel_stir(lp_object *object)
{
    wake_all(lp_channel_receivers(object));
    wake_all(lp_channel_senders(object));
}

/* ---- messages ---- */

static int append_locked(channel *self, message *added) LP_HOLDS(&self->lock)
{
    lp_channel_words *words = words_of(&self->object);
    uint64_t count = atomic_load(&words->count);
    if (atomic_load(&words->closed)) return LP_CLOSED;
    if (count >= capacity_of(&self->object)) return LP_FULL;
    *self->end = added;
    self->end = &added->next;
    atomic_store(&words->count, count + 1);
    return LP_OK;
}

int lp_channel_put(lp_object *object, const void *bytes, size_t length)
{
    if (lp_objects_are_remote(object->all)) {
        lp_object_question question = {.verb = LP_VERB_PUT,
                                       .value_length = length};
        lp_object_answer answer;
        /* What would be refused need not go there. */
        if (atomic_load(&words_of(object)->closed)) return LP_CLOSED;
        if (lp_channel_count(object) >= capacity_of(object)) return LP_FULL;
        return lp_object_ask(object, &question, NULL, bytes, &answer, NULL);
    }
    channel *self = inner(object);
    message *added =
        lp_alloc(lp_objects_allocator(object->all), sizeof(*added) + length);
    if (!added) return LP_NOMEM;
    added->next = NULL;
    added->length = length;
    memcpy(added->bytes, bytes, length);
    lp_lock_enter(&self->lock);
    int status = append_locked(self, added);
    lp_lock_leave(&self->lock);
    if (status != LP_OK) {
        lp_free(added);
        return status;
    }
    lp_channel_wake(lp_channel_receivers(object));
    return LP_OK;
}

/* Take the first out of the list; NULL: there is none. */
static message *remove_locked(channel *self) LP_HOLDS(&self->lock)
{
    message *taken = self->first;
    if (!taken) return NULL;
    self->first = taken->next;
    if (!self->first) self->end = &self->first;
    lp_channel_words *words = words_of(&self->object);
    atomic_store(&words->count, atomic_load(&words->count) - 1);
    return taken;
}

int lp_channel_take(lp_object *object, lp_buffer *out)
{
    if (lp_objects_are_remote(object->all)) {
        lp_object_question question = {.verb = LP_VERB_TAKE};
        lp_object_answer answer;
        return lp_object_ask(object, &question, NULL, NULL, &answer, out);
    }
    channel *self = inner(object);
    lp_lock_enter(&self->lock);
    /* Room first: what was taken could not be put back in its place. */
    int status = LP_OK;
    if (self->first) status = lp_buffer_reserve(out, self->first->length);
    message *taken = status == LP_OK ? remove_locked(self) : NULL;
    bool closed = atomic_load(&words_of(object)->closed) != 0;
    lp_lock_leave(&self->lock);
    if (status != LP_OK) return status;
    if (!taken) return closed ? LP_CLOSED : LP_TIMEOUT;
    (void)lp_buffer_append(out, taken->bytes, taken->length); /* reserved */
    lp_free(taken);
    lp_channel_wake(lp_channel_senders(object));
    return LP_OK;
}

int lp_channel_close(lp_object *object)
{
    if (lp_objects_are_remote(object->all)) {
        lp_object_question question = {.verb = LP_VERB_CLOSE};
        lp_object_answer answer;
        return lp_object_ask(object, &question, NULL, NULL, &answer, NULL);
    }
    channel *self = inner(object);
    lp_lock_enter(&self->lock);
    atomic_store(&words_of(object)->closed, 1);
    lp_lock_leave(&self->lock);
    lp_channel_stir(object);
    return LP_OK;
}
