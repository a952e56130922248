/*
 * object.h - objects that tasks share: channels, counters, dicts, buffers.
 *
 * Each host has a registry of them. What is only numbers lies in a memory
 * file that the host's processes map: counters, buffers, and the words on
 * which those who wait for a channel park. Messages and entries are the
 * host's alone: a worker's process has the same objects with nothing behind
 * them, and asks its host over a link for whatever it wants done. So no lock
 * lies in memory that others share, and a process that is killed leaves
 * nothing half done.
 *
 * An object lives while there are references to it: from userdata, from
 * parcels on their way, and on behalf of each process that uses it. Any
 * thread may call any function.
 */
#ifndef LP_SHARED_OBJECT_H
#define LP_SHARED_OBJECT_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/shm.h"
#include "core/arena.h"

#include <stdatomic.h>
#include <stdint.h>

typedef enum lp_object_kind {
    LP_CHANNEL = 1,
    LP_COUNTER,
    LP_DICT,
    LP_NUMBERS, /* a buffer */
} lp_object_kind;

/* What a process asks the host for. */
typedef enum lp_verb {
    LP_VERB_MAKE = 1, /* kind, and two numbers that say more */
    LP_VERB_RETAIN,   /* for this process */
    LP_VERB_RELEASE,
    LP_VERB_PUT, /* into a channel: the value */
    LP_VERB_TAKE,
    LP_VERB_CLOSE,
    LP_VERB_GET,      /* of a dict: the key */
    LP_VERB_SET,      /* key and value; the numbers: see lp_dict_about */
    LP_VERB_SNAPSHOT, /* of a dict */
} lp_verb;

typedef struct lp_object_question {
    uint32_t verb;
    uint32_t kind;
    uint64_t id;
    uint64_t numbers[2];
    uint64_t key_length; /* of the bytes that follow; the rest is a value */
    uint64_t value_length;
} lp_object_question;

typedef struct lp_object_answer {
    int32_t status;
    uint32_t kind;
    uint64_t id;
    uint64_t numbers[2]; /* of the object; or about a value, see dict.h */
    lp_place place;      /* of what is shared */
    uint64_t length;     /* of the bytes that come with it */
} lp_object_answer;

/* How a process asks. The bytes of the answer are appended to out. */
typedef struct lp_object_link {
    int (*ask)(void *context, const lp_object_question *question,
               const void *key, const void *value, lp_object_answer *answer,
               lp_buffer *out);
    void *context;
} lp_object_link;

typedef struct lp_objects lp_objects;

/* The part that all kinds have; each kind's file knows the rest. */
typedef struct lp_object {
    lp_objects *all;
    lp_list in_all;      /* guarded by the registry's lock, as the next */
    uint32_t references; /* in this process */
    uint32_t kind;       /* immutable, as all below */
    uint64_t id;
    uint64_t numbers[2]; /* that it was made with */
    lp_place place;      /* of what is shared; 0: nothing is */
    void *memory;        /* the same, as this process sees it */
} lp_object;

/* An empty registry; its file is made when it is needed. NULL: no memory. */
lp_objects *lp_objects_new(const lp_allocator *allocator);

/*
 * In a process that has made nothing yet: have those of the host behind link,
 * which outlives the registry, and whose file this is, which is taken. 0,
 * LP_NOMEM or LP_SYSTEM.
 */
int lp_objects_attach(lp_objects *all, int fd, const lp_object_link *link);

/*
 * Nobody uses it any more, nor any object in it: those that were not released
 * go with it. NULL is allowed.
 */
void lp_objects_free(lp_objects *all);

/* The descriptor of its file, borrowed. 0, LP_NOMEM or LP_SYSTEM. */
int lp_objects_share(lp_objects *all, int *fd);

/* Make an object with one reference. 0, LP_NOMEM, LP_CLOSED or LP_SYSTEM. */
int lp_object_make(lp_objects *all, lp_object_kind kind, uint64_t first,
                   uint64_t second, lp_object **out);

/* The object of an id, with a reference more. LP_INVALID: there is none. */
int lp_object_find(lp_objects *all, uint64_t id, lp_object **out);

void lp_object_retain(lp_object *object);
void lp_object_release(lp_object *object);

/* ---- for whoever answers a process ---- */

/* What a process has references to, by number. All zeroes at first. */
typedef struct lp_object_ref {
    uint64_t id;
    lp_object *object;
} lp_object_ref;

typedef struct lp_object_refs {
    lp_object_ref *items;
    size_t count;
    size_t capacity;
} lp_object_refs;

/* Do what was asked for; the bytes of the answer are appended to out. */
void lp_objects_answer(lp_objects *all, lp_object_refs *refs,
                       const lp_object_question *question, const uint8_t *bytes,
                       lp_object_answer *answer, lp_buffer *out);

/* The process has ended: release what it had, and let others look again. */
void lp_objects_bury(lp_object_refs *refs);

/* ---- for the files of the kinds ---- */

/* Ask the host, if the objects are another process's; else LP_OK at once. */
bool lp_objects_are_remote(const lp_objects *all);
int lp_object_ask(const lp_object *object, lp_object_question *question,
                  const void *key, const void *value, lp_object_answer *answer,
                  lp_buffer *out);

const lp_allocator *lp_objects_allocator(const lp_objects *all);

#endif
