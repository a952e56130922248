/* dict.c - a table of chains that doubles. */
#include "shared/dict.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"

#include <string.h>

#define FIRST_CHAINS 16u

typedef struct entry {
    struct entry *next;
    uint64_t hash;
    lp_dict_about about;
    size_t key_length;
    size_t length;
    uint8_t bytes[]; /* key, value */
} entry;

typedef struct dict {
    lp_object object;
    /* All below is the host's alone. */
    lp_lock lock; /* guards the rest */
    entry **chains;
    size_t chain_count; /* a power of two; 0 at first */
    size_t count;
    uint64_t version; /* the last that was given */
} dict;

static dict *inner(lp_object *object)
{
    return (dict *)(void *)object;
}

size_t lp_dict_size(void)
{
    return sizeof(dict);
}

void lp_dict_init(lp_object *object)
{
    lp_lock_init(&inner(object)->lock, LP_RANK_OBJECT);
}

void lp_dict_clear(lp_object *object)
{
    dict *self = inner(object);
    for (size_t i = 0; i < self->chain_count; i++) {
        entry *next;
        for (entry *one = self->chains[i]; one; one = next) {
            next = one->next;
            lp_free(one);
        }
    }
    lp_free(self->chains);
}

/* Where the entry of a key hangs, or would. There are chains. */
static entry **look_up(dict *self, uint64_t hash, const void *key,
                       size_t key_length)
{
    entry **at = &self->chains[hash & (self->chain_count - 1)];
    while (*at && ((*at)->hash != hash || (*at)->key_length != key_length ||
                   memcmp((*at)->bytes, key, key_length) != 0))
        at = &(*at)->next;
    return at;
}

static int grow_locked(dict *self) LP_HOLDS(&self->lock)
{
    size_t count = self->chain_count ? 2 * self->chain_count : FIRST_CHAINS;
    entry **chains = lp_calloc(lp_objects_allocator(self->object.all), count,
                               sizeof(entry *));
    if (!chains) return LP_NOMEM;
    for (size_t i = 0; i < self->chain_count; i++) {
        entry *next;
        for (entry *one = self->chains[i]; one; one = next) {
            next = one->next;
            entry **chain = &chains[one->hash & (count - 1)];
            one->next = *chain;
            *chain = one;
        }
    }
    lp_free(self->chains);
    self->chains = chains;
    self->chain_count = count;
    return LP_OK;
}

static int get_locked(dict *self, const void *key, size_t key_length,
                      lp_buffer *out, lp_dict_about *about)
    LP_HOLDS(&self->lock)
{
    *about = (lp_dict_about){0};
    if (self->chain_count == 0) return LP_OK;
    uint64_t hash = lp_hash_bytes(key, key_length);
    const entry *found = *look_up(self, hash, key, key_length);
    if (!found) return LP_OK;
    *about = found->about;
    return lp_buffer_append(out, found->bytes + key_length, found->length);
}

int lp_dict_get(lp_object *object, const void *key, size_t key_length,
                lp_buffer *out, lp_dict_about *about)
{
    if (lp_objects_are_remote(object->all)) {
        lp_object_question question = {.verb = LP_VERB_GET,
                                       .key_length = key_length};
        lp_object_answer answer;
        int status = lp_object_ask(object, &question, key, NULL, &answer, out);
        *about = (lp_dict_about){answer.numbers[0], answer.numbers[1]};
        return status;
    }
    dict *self = inner(object);
    lp_lock_enter(&self->lock);
    int status = get_locked(self, key, key_length, out, about);
    lp_lock_leave(&self->lock);
    return status;
}

/* Put made in the place of the entry of its key; NULL: only remove that. */
static int replace_locked(dict *self, uint64_t hash, const void *key,
                          size_t key_length, entry *made, uint64_t version,
                          entry **old) LP_HOLDS(&self->lock)
{
    /* A table that cannot grow has longer chains. */
    if (made && self->count >= self->chain_count &&
        grow_locked(self) != LP_OK && self->chain_count == 0)
        return LP_NOMEM;
    entry **at = NULL;
    if (self->chain_count > 0) at = look_up(self, hash, key, key_length);
    *old = at ? *at : NULL;
    uint64_t now = *old ? (*old)->about.version : 0;
    if (version != LP_ANY_VERSION && version != now) {
        *old = NULL;
        return LP_FAILED;
    }
    if (*old) {
        *at = (*old)->next;
        self->count--;
    }
    if (!made) return LP_OK;
    made->about.version = ++self->version;
    made->next = *at;
    *at = made;
    self->count++;
    return LP_OK;
}

static entry *make_entry(const dict *self, uint64_t hash, const void *key,
                         size_t key_length, const void *value, size_t length)
{
    entry *made = lp_alloc(lp_objects_allocator(self->object.all),
                           sizeof(*made) + key_length + length);
    if (!made) return NULL;
    made->hash = hash;
    made->key_length = key_length;
    made->length = length;
    memcpy(made->bytes, key, key_length);
    memcpy(made->bytes + key_length, value, length);
    return made;
}

int lp_dict_set(lp_object *object, const void *key, size_t key_length,
                const void *value, size_t length, const lp_dict_about *about)
{
    if (lp_objects_are_remote(object->all)) {
        lp_object_question question = {
            .verb = LP_VERB_SET,
            .numbers = {about->version, about->maker},
            .key_length = key_length,
            .value_length = length};
        lp_object_answer answer;
        return lp_object_ask(object, &question, key, value, &answer, NULL);
    }
    dict *self = inner(object);
    uint64_t hash = lp_hash_bytes(key, key_length);
    entry *made = NULL, *old = NULL;
    if (length > 0) {
        made = make_entry(self, hash, key, key_length, value, length);
        if (!made) return LP_NOMEM;
        made->about.maker = about->maker;
    }
    lp_lock_enter(&self->lock);
    int status =
        replace_locked(self, hash, key, key_length, made, about->version, &old);
    lp_lock_leave(&self->lock);
    lp_free(status == LP_OK ? old : made);
    return status;
}

static int list_locked(const dict *self, lp_buffer *out)
{
    for (size_t i = 0; i < self->chain_count; i++) {
        for (const entry *one = self->chains[i]; one; one = one->next) {
            const uint64_t lengths[2] = {one->key_length, one->length};
            int status = lp_buffer_append(out, lengths, sizeof(lengths));
            if (status == LP_OK)
                status = lp_buffer_append(out, one->bytes,
                                          one->key_length + one->length);
            if (status != LP_OK) return status;
        }
    }
    return LP_OK;
}

int lp_dict_snapshot(lp_object *object, lp_buffer *out)
{
    if (lp_objects_are_remote(object->all)) {
        lp_object_question question = {.verb = LP_VERB_SNAPSHOT};
        lp_object_answer answer;
        return lp_object_ask(object, &question, NULL, NULL, &answer, out);
    }
    dict *self = inner(object);
    lp_lock_enter(&self->lock);
    int status = list_locked(self, out);
    lp_lock_leave(&self->lock);
    return status;
}
