/*
 * api.h - what the files of api share: the host, and the caller of a
 * Lua state that is attached to it.
 */
#ifndef LP_API_API_H
#define LP_API_API_H

#include "api/notifier.h"
#include "base/alloc.h"
#include "base/json_file.h"
#include "base/list.h"
#include "base/mark.h"
#include "base/slabs.h"
#include "base/thread.h"
#include "codec/codec.h"
#include "core/executor.h"
#include "core/mailbox.h"
#include "shared/object.h"
#include "workers/nursery.h"
#include "workers/setup.h"

#include "lpool.h"

#include <lauxlib.h>
#include <sys/types.h>

#define LP_TEXT(x)             #x
#define LP_VERSION_OF(a, b, c) LP_TEXT(a) "." LP_TEXT(b) "." LP_TEXT(c)
#define LP_VERSION_TEXT                                                        \
    LP_VERSION_OF(LPOOL_VERSION_MAJOR, LPOOL_VERSION_MINOR, LPOOL_VERSION_PATCH)

struct lpool {
    lp_host host;
    lpool_config config;
    lp_allocator allocator;       /* of the config */
    lp_codec_config worker_codec; /* of the states of workers */
    lp_codec_config caller_codec; /* of all others */
    lp_lock lock;
    lp_executor *manual; /* of futures without a worker; made when needed */
    lp_nursery *nursery; /* of process pools; made when needed */
    char *helper;        /* the program the nursery runs; found when needed */
    struct lp_notifier *notifier; /* of event loops; made when needed */
    lp_json_file trace_file;      /* if the host has a trace of its own */
    char *trace_path;             /* the same, for messages */
    pid_t trace_pid;              /* of the process that writes it */
    atomic_uint attached;         /* states that are not closed yet */
    uint32_t depth; /* of the executors whose worker this process is */
    uint64_t seed;
};

/* Tell people, in a line. */
static inline void lp_pool_log(const lpool *pool, const char *line)
{
    pool->config.log(pool->config.context, line);
}

/* The origins of the last submits: see origin.c. */
#define LP_ORIGINS 8u
#define LP_RECENT  3u
typedef struct lp_origins {
    bool crowded; /* the library has no room for more lines */
    struct {
        const char *origin; /* NULL: none */
        uint32_t file;      /* bytes of it that are the file's name */
        uint32_t line;
    } recent[LP_RECENT];
    struct {
        const void *instruction; /* NULL: none */
        const char *origin;
    } known[LP_ORIGINS]; /* of the function that the slabs watch */
} lp_origins;

/* What lpool knows of one Lua state; a userdata in its registry. */
typedef struct lp_caller {
    lpool *pool;
    lua_State *main;
    lp_thread owner; /* that uses the state; checked by debug builds */
    bool has_owner;
    lp_codec *codec;             /* of that; found when it is needed */
    const lp_identity *identity; /* NULL if it is not a worker's state */
    lp_buffer buffer;            /* for parcels on their way */
    bool buffer_busy;            /* an encoder is at work, or died at it */
    lp_mailbox mailbox;          /* futures with callbacks */
    lp_notice notice;            /* tells an event loop of mail */
    lp_slabs *slabs;   /* to which futures are tied; NULL: they are not */
    lp_list dropped;   /* tasks whose userdata were freed: see boxes.c */
    lp_task_pile pile; /* those that need nothing more but to be freed */
    int callbacks;     /* reference of the table of callbacks */
    bool dispatching;  /* a callback is running */
    bool to_process;   /* what is encoded goes to another process */
    _Atomic uint32_t interrupted;
    _Atomic(_Atomic uint32_t *) parked; /* the word its thread sleeps on */
    lua_Hook harmless_hook; /* was run by a wait, and did not raise */
    lp_origins origins;
} lp_caller;

/* The caller of L; NULL if L is NULL, or not attached. [-0, +0, -] */
lp_caller *lp_caller_find(lua_State *L);

/*
 * Have the caller of L, for what a program asks for. 0; LP_INVALID if there
 * is none; or, in debug builds, LP_THREAD if L is another thread's, which may
 * be using it, so it must be left alone. [-0, +0, -]
 */
int lp_caller_enter(lua_State *L, lp_caller **caller);

/* The same for a use of executor: LP_INVALID unless it is of L's host. */
int lp_caller_enter_for(lua_State *L, const lp_executor *executor,
                        lp_caller **caller);

/* The caller of L. Raises if L is not attached. [-0, +0, v] */
lp_caller *lp_caller_of(lua_State *L);

/*
 * What a wait is for: a task, room in an executor, any of several things
 * (see lp_blocked), or something else.
 */
typedef struct lp_awaited {
    const lp_task *task;
    lp_executor *room;
    lp_outlook *outlook;
    void *what;
    bool goes_on; /* a deadline is but for a look: it waits again then */
} lp_awaited;

/*
 * Wait until the deadline for ready(what), which somebody rings the host's
 * bell for, or for a mail in the caller's own mailbox. LP_OK means: look
 * again. LP_DEADLOCK: as lp_caller_park_for. Does not raise.
 */
int lp_caller_wait(lua_State *L, lp_caller *caller, bool (*ready)(void *what),
                   void *what, const lp_awaited *awaited, int64_t deadline);

/* The same, for room in an executor, or for mail in a mailbox. */
int lp_caller_await_room(lua_State *L, lp_caller *caller,
                         lp_executor *executor);
int lp_caller_await_mail(lua_State *L, lp_caller *caller, lp_mailbox *mailbox,
                         int64_t deadline);

/* Free what nobody refers to any more, and report what went unnoticed. */
void lp_caller_collect(lua_State *L, lp_caller *caller);

/*
 * The same as lp_caller_park for whoever waits for tasks; NULL: for something
 * else. LP_DEADLOCK: it would never end.
 */
int lp_caller_park_for(lp_caller *caller, const lp_awaited *what,
                       _Atomic uint32_t *word, uint32_t expected,
                       int64_t deadline);

/* Park on word while it is expected. As lp_park, but for the interrupt. */
int lp_caller_park(lp_caller *caller, _Atomic uint32_t *word, uint32_t expected,
                   int64_t deadline);

/*
 * A wait was interrupted: raise "interrupted!" if it was meant for us, or
 * whatever a debug hook raises; return if it was some other signal.
 */
void lp_caller_interrupted(lua_State *L, lp_caller *caller);

/*
 * Where the function at level is, as lua_getstack counts: "file:line", which
 * lives as long as the host. NULL: unknown. [-0, +0, e]
 */
const char *lp_caller_origin(lua_State *L, lp_caller *caller, int level);

/*
 * Encode what is sent to an executor, as lp_encode. What the script has
 * printed comes before what tasks in other processes print.
 */
int lp_caller_encode(lua_State *L, lp_caller *caller,
                     const lp_executor *executor, int first, int count,
                     lp_role role, lp_buffer *out, lp_message_info *info);

/*
 * After values from first on were encoded: take them off the stack, and leave
 * the text of a refusal, if there is one, in their place. Gives the status
 * back.
 */
int lp_leave_text(lua_State *L, int first, int status);

/*
 * A userdata for an object, whose first word, NULL at first, is for it.
 * [-0, +1, e]
 */
void *lp_box_new(lua_State *L, int values, lp_mark_kind kind);

/* What is in the box at index; NULL: it is none of this kind. [-0, +0, -] */
void *lp_box_test(lua_State *L, int index, lp_mark_kind kind);

/* As lpool_box_future; retains: with a reference of its own. [-0, +1, e] */
void lp_box_future(lua_State *L, lpool_future *future, int metatable,
                   bool retains);

/* Those of futures, in a state that is attached or closes. */
void lp_boxes_open(lua_State *L, lp_caller *caller);
void lp_boxes_close(lua_State *L, lp_caller *caller);

/* Do what was left to do for those that Lua has freed. [-0, +0, -] */
void lp_boxes_collect(lua_State *L, lp_caller *caller);

/* A buffer to encode into; a fresh one if another encoder is at work. */
lp_buffer *lp_caller_open_buffer(lua_State *L, lp_caller *caller);
void lp_caller_close_buffer(lua_State *L, lp_caller *caller, lp_buffer *buffer);

/* The host's executor of futures without a worker; NULL: no memory. */
lp_executor *lp_pool_manual(lpool *pool);

/*
 * Push what an ended task came to: see lpool_future_push. An item of a map
 * has no task.
 */
typedef struct lp_outcome_source {
    lp_executor *executor;
    const lp_task *task; /* NULL: an item */
    /* For errors that say why there is no result: */
    uint64_t number;    /* of the item in its map, from 1; or of the task */
    const char *label;  /* of the task or of the map; NULL: none */
    const char *origin; /* "file:line" of its submit; NULL: unknown */
    int64_t timeout;    /* nanoseconds */
} lp_outcome_source;
int lp_outcome_push(lua_State *L, const lp_outcome_source *source,
                    lp_phase phase, const uint8_t *bytes, size_t length,
                    int *count);

/* The same for a task that a worker ran, or should have. */
int lp_outcome_push_task(lua_State *L, const lp_task *task, lp_phase phase,
                         int *count);

/* Push what an ended task came to, a manual future's values included. */
int lp_caller_push_outcome(lua_State *L, lp_task *task, int *count);

/* Push the error object that says why executor broke. [-0, +1, e] */
void lp_outcome_push_broken(lua_State *L, lp_executor *executor);

/* The argument by which a program knows that it is to be a helper. */
#define LP_HELPER_OPTION "--lpool-helper=" LP_VERSION_TEXT

/*
 * Have the path of the helper program, for lp_pool_nursery. 0, LP_NOMEM, or
 * LP_NOHELPER: [-0, +1, e], the text says where it was looked for.
 */
int lp_pool_find_helper(lua_State *L, lpool *pool);

/* Have the nursery of process pools. 0, or an error. */
int lp_pool_nursery(lpool *pool, lp_nursery **nursery);

/* Nothing of the host is traced any more; its tracks are gone. */
void lp_pool_free_trace(lpool *pool);

/* The setup of an executor's workers; any kind but the manual. */
const lp_setup *lp_executor_setup(const lp_executor *executor);

/* The open hook of worker states; argument is the lp_identity. */
void lp_caller_open_worker(lua_State *L, void *argument);

/* Codec hooks. */
bool lp_handle_check(lua_State *L, int index, lp_handle *handle);
const char *lp_handle_explain(lua_State *L, int index);
void lp_handle_push(lua_State *L, const lp_handle *handle);
bool lp_handle_lend(lua_State *L, const char *string, size_t length,
                    lp_handle *handle);

bool lp_object_push_found(lua_State *L, uint64_t number);

/* The handle of the shared object at index; false: it is none of L's host. */
bool lp_object_check(lua_State *L, int index, lp_handle *handle);
const char *lp_object_explain(lua_State *L, int index);

/* Make an object of L's host: see lp_object_make. */
int lp_caller_make_object(lua_State *L, lp_object_kind kind, uint64_t first,
                          uint64_t second, lpool_object **out);

/*
 * The value on top as a message, appended to buffer: as lp_encode. And back:
 * [-0, +1, e]; LP_FAILED: the one is a text that says why not.
 */
int lp_caller_encode_value(lua_State *L, lp_caller *caller, lp_buffer *buffer);
int lp_caller_decode_value(lua_State *L, const uint8_t *bytes, size_t length);

/* LP_INVALID unless the object is of L's host, and of this kind. */
int lp_caller_enter_with(lua_State *L, const lpool_object *object,
                         lp_object_kind kind, lp_caller **caller);

/* Whether it is there, and of this kind. */
bool lp_object_is(const lpool_object *object, lp_object_kind kind);

static inline lp_object *lp_object_inner(const lpool_object *object)
{
    return (lp_object *)(uintptr_t)object;
}

static inline lp_executor *lp_executor_inner(const lpool_executor *executor)
{
    return (lp_executor *)(uintptr_t)executor;
}

static inline lp_task *lp_task_inner(const lpool_future *future)
{
    return (lp_task *)(uintptr_t)future;
}

#endif
