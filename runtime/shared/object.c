/*
 * object.c - the registry: objects by their numbers, and the memory file.
 *
 * The host gives an object its number and its place in the file; the
 * registry of a worker's process has objects of the same numbers, which it
 * came to know by asking.
 */
#include "shared/object.h"

#include "base/alloc.h"
#include "base/status.h"
#include "shared/channel.h"
#include "shared/dict.h"
#include "shared/numbers.h"

#include <string.h>

#define CHAINS      256u /* of objects by number: so many that they are short */
#define FIRST_BYTES ((size_t)4096) /* are mapped with the books */
#define MOST_BYTES  ((uint64_t)1 << 40)

/* So large blocks are wiped when they are dropped: new ones cost nothing. */
#define LARGE ((uint64_t)1 << 20)

struct lp_objects {
    const lp_allocator *allocator;
    lp_object_link link; /* no function: the objects are this host's own */
    lp_lock lock;        /* guards all below */
    lp_list chains[CHAINS];
    uint64_t last_id;
    lp_shm file;
    lp_arena *arena; /* in the file; NULL: it was not needed yet */
};

static lp_list *chain_of(lp_objects *all, uint64_t id)
{
    return &all->chains[id % CHAINS];
}

bool lp_objects_are_remote(const lp_objects *all)
{
    return all->link.ask != NULL;
}

const lp_allocator *lp_objects_allocator(const lp_objects *all)
{
    return all->allocator;
}

lp_objects *lp_objects_new(const lp_allocator *allocator)
{
    lp_objects *all = lp_calloc(allocator, 1, sizeof(*all));
    if (!all) return NULL;
    all->allocator = allocator;
    lp_lock_init(&all->lock, LP_RANK_OBJECTS);
    for (unsigned i = 0; i < CHAINS; i++)
        lp_list_init(&all->chains[i]);
    lp_shm_init(&all->file);
    return all;
}

/* The object, and what is the host's of it. */
static void free_object(lp_object *object)
{
    if (!lp_objects_are_remote(object->all)) {
        if (object->kind == LP_CHANNEL) lp_channel_clear(object);
        if (object->kind == LP_DICT) lp_dict_clear(object);
    }
    lp_free(object);
}

void lp_objects_free(lp_objects *all)
{
    if (!all) return;
    for (unsigned i = 0; i < CHAINS; i++) {
        while (!lp_list_is_empty(&all->chains[i])) {
            lp_list *first = all->chains[i].next;
            lp_list_remove(first);
            free_object(LP_LIST_ENTRY(first, lp_object, in_all));
        }
    }
    lp_arena_free(all->arena);
    lp_shm_clear(&all->file);
    lp_free(all);
}

/* ---- the memory file ---- */

static int open_arena(lp_objects *all)
{
    /* Whoever maps it may write to it, so the books are elsewhere. */
    all->arena = lp_arena_open(&all->file, 0, true, all->allocator);
    if (all->arena) return LP_OK;
    lp_shm_clear(&all->file);
    return LP_NOMEM;
}

static int have_file_locked(lp_objects *all) LP_HOLDS(&all->lock)
{
    if (all->arena) return LP_OK;
    int status =
        lp_shm_create(&all->file, "lpool objects", LP_ARENA_HEAD + FIRST_BYTES);
    if (status != LP_OK) return status;
    all->file.end = LP_ARENA_HEAD;
    return open_arena(all);
}

int lp_objects_share(lp_objects *all, int *fd)
{
    lp_lock_enter(&all->lock);
    int status = have_file_locked(all);
    if (status == LP_OK) *fd = all->file.fd;
    lp_lock_leave(&all->lock);
    return status;
}

int lp_objects_attach(lp_objects *all, int fd, const lp_object_link *link)
{
    lp_lock_enter(&all->lock);
    int status = lp_shm_open(&all->file, fd, LP_ARENA_HEAD, true);
    if (status == LP_OK) status = open_arena(all);
    if (status == LP_OK) all->link = *link;
    lp_lock_leave(&all->lock);
    return status;
}

/* ---- life ---- */

static size_t size_of(lp_object_kind kind)
{
    if (kind == LP_CHANNEL) return lp_channel_size();
    if (kind == LP_DICT) return lp_dict_size();
    return sizeof(lp_object);
}

/* Bytes of what is shared. 0: nothing, UINT64_MAX: it cannot be so large. */
static uint64_t shared_size(const lp_object *object)
{
    if (object->kind == LP_CHANNEL) return sizeof(lp_channel_words);
    if (object->kind == LP_COUNTER) return sizeof(int64_t);
    if (object->kind != LP_NUMBERS) return 0;
    size_t each = lp_number_size(lp_numbers_type(object));
    uint64_t count = lp_numbers_count(object);
    return count > MOST_BYTES / each ? UINT64_MAX : count * each + 1;
}

/* An object with one reference, in no list. NULL: no memory. */
static lp_object *new_object(lp_objects *all, lp_object_kind kind, uint64_t id,
                             const uint64_t *numbers)
{
    lp_object *object = lp_calloc(all->allocator, 1, size_of(kind));
    if (!object) return NULL;
    object->all = all;
    lp_list_init(&object->in_all);
    object->references = 1;
    object->kind = kind;
    object->id = id;
    memcpy(object->numbers, numbers, sizeof(object->numbers));
    return object;
}

/* Have what is shared, all zeroes. */
static int take_memory_locked(lp_objects *all, lp_object *object)
    LP_HOLDS(&all->lock)
{
    uint64_t size = shared_size(object);
    if (size == 0) return LP_OK;
    if (size == UINT64_MAX) return LP_NOMEM;
    int status = have_file_locked(all);
    if (status == LP_OK)
        status = lp_arena_alloc(all->arena, (size_t)size, &object->place);
    if (status != LP_OK) return status;
    object->memory = lp_arena_at(all->arena, object->place);
    if (size < LARGE) memset(object->memory, 0, (size_t)size);
    return LP_OK;
}

static void drop_memory_locked(lp_objects *all, const lp_object *object)
    LP_HOLDS(&all->lock)
{
    uint64_t size = shared_size(object);
    if (!object->place) return;
    if (size >= LARGE) lp_arena_wipe(all->arena, object->place, (size_t)size);
    lp_arena_drop(all->arena, object->place);
}

/* What the kind adds to new memory. */
static void init_object(lp_object *object)
{
    if (object->kind == LP_CHANNEL) lp_channel_init(object);
    if (object->kind == LP_DICT) lp_dict_init(object);
    if (object->kind == LP_COUNTER)
        atomic_store(lp_counter_value(object), (int64_t)object->numbers[0]);
}

static int make_here(lp_objects *all, lp_object_kind kind,
                     const uint64_t *numbers, lp_object **out)
{
    lp_object *object = new_object(all, kind, 0, numbers);
    if (!object) return LP_NOMEM;
    lp_lock_enter(&all->lock);
    int status = take_memory_locked(all, object);
    if (status == LP_OK) {
        init_object(object);
        object->id = ++all->last_id;
        lp_list_append(chain_of(all, object->id), &object->in_all);
    }
    lp_lock_leave(&all->lock);
    if (status != LP_OK) {
        lp_free(object);
        return status;
    }
    *out = object;
    return LP_OK;
}

static lp_object *find_locked(lp_objects *all, uint64_t id) LP_HOLDS(&all->lock)
{
    const lp_list *chain = chain_of(all, id);
    for (lp_list *node = chain->next; node != chain; node = node->next) {
        lp_object *object = LP_LIST_ENTRY(node, lp_object, in_all);
        if (object->id != id) continue;
        object->references++;
        return object;
    }
    return NULL;
}

static int ask(lp_objects *all, lp_object_question *question, const void *key,
               const void *value, lp_object_answer *answer, lp_buffer *out)
{
    memset(answer, 0, sizeof(*answer));
    int status =
        all->link.ask(all->link.context, question, key, value, answer, out);
    return status == LP_OK ? answer->status : status;
}

int lp_object_ask(const lp_object *object, lp_object_question *question,
                  const void *key, const void *value, lp_object_answer *answer,
                  lp_buffer *out)
{
    question->id = object->id;
    return ask(object->all, question, key, value, answer, out);
}

static void give_up(lp_objects *all, uint64_t id)
{
    lp_object_question question = {.verb = LP_VERB_RELEASE, .id = id};
    lp_object_answer answer;
    (void)ask(all, &question, NULL, NULL, &answer, NULL); /* or it is gone */
}

/* The host has made it, or has given a reference: have one here, too. */
static int adopt(lp_objects *all, const lp_object_answer *answer,
                 lp_object **out)
{
    lp_object *object = new_object(all, (lp_object_kind)answer->kind,
                                   answer->id, answer->numbers);
    if (!object) {
        give_up(all, answer->id);
        return LP_NOMEM;
    }
    object->place = answer->place;
    lp_lock_enter(&all->lock);
    lp_object *known = find_locked(all, answer->id); /* another was faster */
    if (!known && answer->place) {
        object->memory =
            lp_arena_check(all->arena, answer->place, shared_size(object));
    }
    bool fine = known || !answer->place || object->memory;
    if (!known && fine)
        lp_list_append(chain_of(all, answer->id), &object->in_all);
    lp_lock_leave(&all->lock);
    if (known || !fine) {
        lp_free(object);
        give_up(all, answer->id);
    }
    *out = known ? known : object;
    return fine ? LP_OK : LP_NOMEM;
}

int lp_object_make(lp_objects *all, lp_object_kind kind, uint64_t first,
                   uint64_t second, lp_object **out)
{
    const uint64_t numbers[2] = {first, second};
    if (!lp_objects_are_remote(all)) return make_here(all, kind, numbers, out);
    lp_object_question question = {
        .verb = LP_VERB_MAKE, .kind = kind, .numbers = {first, second}};
    lp_object_answer answer;
    int status = ask(all, &question, NULL, NULL, &answer, NULL);
    return status == LP_OK ? adopt(all, &answer, out) : status;
}

int lp_object_find(lp_objects *all, uint64_t id, lp_object **out)
{
    lp_lock_enter(&all->lock);
    *out = find_locked(all, id);
    lp_lock_leave(&all->lock);
    if (*out) return LP_OK;
    if (!lp_objects_are_remote(all)) return LP_INVALID;
    lp_object_question question = {.verb = LP_VERB_RETAIN, .id = id};
    lp_object_answer answer;
    int status = ask(all, &question, NULL, NULL, &answer, NULL);
    return status == LP_OK ? adopt(all, &answer, out) : status;
}

void lp_object_retain(lp_object *object)
{
    lp_lock_enter(&object->all->lock);
    object->references++;
    lp_lock_leave(&object->all->lock);
}

void lp_object_release(lp_object *object)
{
    if (!object) return;
    lp_objects *all = object->all;
    lp_lock_enter(&all->lock);
    bool last = --object->references == 0;
    if (last) {
        lp_list_remove(&object->in_all);
        if (!lp_objects_are_remote(all)) drop_memory_locked(all, object);
    }
    lp_lock_leave(&all->lock);
    if (!last) return;
    if (lp_objects_are_remote(all)) give_up(all, object->id);
    free_object(object);
}

/* ---- answering ---- */

/* The place of an id among the references, or where it would be. */
static size_t place_of(const lp_object_refs *refs, uint64_t id)
{
    size_t first = 0, end = refs->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (refs->items[middle].id < id) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return first;
}

/* Note a reference that is the process's own. */
static int add_ref(const lp_objects *all, lp_object_refs *refs,
                   lp_object *object)
{
    if (refs->count == refs->capacity) {
        size_t more = refs->capacity ? 2 * refs->capacity : 8;
        size_t size = more * sizeof(*refs->items);
        lp_object_ref *items =
            refs->items ? lp_realloc(all->allocator, refs->items, size)
                        : lp_alloc(all->allocator, size);
        if (!items) return LP_NOMEM;
        refs->items = items;
        refs->capacity = more;
    }
    lp_object_ref *at = refs->items + place_of(refs, object->id);
    memmove(at + 1, at, (size_t)(refs->items + refs->count - at) * sizeof(*at));
    *at = (lp_object_ref){object->id, object};
    refs->count++;
    return LP_OK;
}

/* The reference to the object of an id; NULL: the process has none. */
static lp_object_ref *find_ref(const lp_object_refs *refs, uint64_t id)
{
    size_t place = place_of(refs, id);
    if (place == refs->count || refs->items[place].id != id) return NULL;
    return &refs->items[place];
}

static void remove_ref(lp_object_refs *refs, lp_object_ref *ref)
{
    refs->count--;
    memmove(ref, ref + 1,
            (size_t)(refs->items + refs->count - ref) * sizeof(*ref));
}

static void give_ref(const lp_objects *all, lp_object_refs *refs,
                     lp_object *object, lp_object_answer *answer)
{
    answer->status = add_ref(all, refs, object);
    if (answer->status != LP_OK) {
        lp_object_release(object);
        return;
    }
    answer->kind = object->kind;
    answer->id = object->id;
    memcpy(answer->numbers, object->numbers, sizeof(answer->numbers));
    answer->place = object->place;
}

static bool is_kind(const lp_object_question *question)
{
    if (question->kind == LP_NUMBERS)
        return question->numbers[0] < LP_NUMBER_TYPES;
    return question->kind >= LP_CHANNEL && question->kind <= LP_NUMBERS;
}

/* Questions about an object that the process has. */
static int use(lp_object *object, const lp_object_question *question,
               const uint8_t *key, const uint8_t *value,
               lp_object_answer *answer, lp_buffer *out)
{
    bool is_channel = object->kind == LP_CHANNEL;
    bool is_dict = object->kind == LP_DICT;
    lp_dict_about about = {question->numbers[0], question->numbers[1]};
    int status;
    switch ((lp_verb)question->verb) {
    case LP_VERB_PUT:
        if (!is_channel) break;
        return lp_channel_put(object, value, (size_t)question->value_length);
    case LP_VERB_TAKE:
        if (!is_channel) break;
        return lp_channel_take(object, out);
    case LP_VERB_CLOSE:
        if (!is_channel) break;
        return lp_channel_close(object);
    case LP_VERB_GET:
        if (!is_dict) break;
        status =
            lp_dict_get(object, key, (size_t)question->key_length, out, &about);
        answer->numbers[0] = about.version;
        answer->numbers[1] = about.maker;
        return status;
    case LP_VERB_SET:
        if (!is_dict) break;
        return lp_dict_set(object, key, (size_t)question->key_length, value,
                           (size_t)question->value_length, &about);
    case LP_VERB_SNAPSHOT:
        if (!is_dict) break;
        return lp_dict_snapshot(object, out);
    case LP_VERB_MAKE:
    case LP_VERB_RETAIN:
    case LP_VERB_RELEASE:
        break;
    }
    return LP_INVALID;
}

void lp_objects_answer(lp_objects *all, lp_object_refs *refs,
                       const lp_object_question *question, const uint8_t *bytes,
                       lp_object_answer *answer, lp_buffer *out)
{
    lp_object *object;
    size_t before = out->length;
    memset(answer, 0, sizeof(*answer));
    if (question->verb == LP_VERB_MAKE) {
        answer->status = LP_INVALID;
        if (is_kind(question))
            answer->status = lp_object_make(all, (lp_object_kind)question->kind,
                                            question->numbers[0],
                                            question->numbers[1], &object);
        if (answer->status == LP_OK) give_ref(all, refs, object, answer);
        return;
    }
    if (question->verb == LP_VERB_RETAIN) {
        answer->status = lp_object_find(all, question->id, &object);
        if (answer->status == LP_OK) give_ref(all, refs, object, answer);
        return;
    }
    lp_object_ref *ref = find_ref(refs, question->id);
    if (!ref) {
        answer->status = LP_INVALID;
        return;
    }
    if (question->verb == LP_VERB_RELEASE) {
        object = ref->object;
        remove_ref(refs, ref);
        lp_object_release(object);
        return;
    }
    answer->status = use(ref->object, question, bytes,
                         bytes + question->key_length, answer, out);
    if (answer->status != LP_OK) out->length = before;
    answer->length = out->length - before;
}

void lp_objects_bury(lp_object_refs *refs)
{
    for (size_t i = 0; i < refs->count; i++) {
        lp_object *object = refs->items[i].object;
        /* It may have been about to take what it was woken for. */
        if (object->kind == LP_CHANNEL) lp_channel_stir(object);
        lp_object_release(object);
    }
    lp_free(refs->items);
    *refs = (lp_object_refs){0};
}
