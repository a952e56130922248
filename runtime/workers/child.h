/*
 * child.h - the process in which a worker runs, from its inside.
 *
 * The zygote has opened a state and holds it ready; each child is a copy of
 * the zygote. It is given its name, the memory files and a socket to the
 * host; it serves its executor and ends.
 */
#ifndef LP_WORKERS_CHILD_H
#define LP_WORKERS_CHILD_H

#include "shared/object.h"
#include "workers/setup.h"

/* What a child is told when it is forked; descriptors come beside it. */
typedef struct lp_child_request {
    uint32_t size; /* of this */
    uint32_t number;
    uint32_t arena;
    uint32_t depth; /* of nested executors */
    uint64_t seed;
    uint32_t traced;           /* it is, */
    int64_t trace_began;       /* by a trace that began then */
    char prefix[LP_NAME_SIZE]; /* of its name */
} lp_child_request;

enum {
    LP_CHILD_HOST_FILE, /* read only */
    LP_CHILD_WORDS_FILE,
    LP_CHILD_OUTCOMES_FILE,
    LP_CHILD_LIBRARY_FILE, /* read only */
    LP_CHILD_BELL_FILE,
    LP_CHILD_OBJECTS_FILE,
    LP_CHILD_SOCKET,
    LP_CHILD_FDS
};

/*
 * What all workers of an executor are told, in the host's arena: see
 * lp_executor_keep_setup. The two parcels follow, one after the other.
 */
typedef struct lp_child_setup {
    uint64_t max_tasks;
    uint64_t memory_limit;
    uint64_t initializer; /* bytes of the parcel */
    uint64_t finalizer;
} lp_child_setup;

/* From a child to its host, with so many bytes behind it. */
typedef enum lp_child_word {
    LP_CHILD_ASKS = 1,   /* an lp_library_question, and the bytes it is about */
    LP_CHILD_BROKEN = 2, /* it could not begin: the text says why */
    LP_CHILD_USES = 3,   /* an lp_object_question, and its bytes */
    LP_CHILD_HAS_READ = 4, /* the bytes of the last answer */
    LP_CHILD_TRACES = 5    /* events: see core/trace.h */
} lp_child_word;

/* A child that says more at a time is out of its mind. */
#define LP_CHILD_MOST_BYTES (((size_t)1 << 30) + ((size_t)1 << 20))

/* The answer to a use of an object. */
typedef struct lp_child_answer {
    lp_object_answer object;
    lp_place place; /* of its bytes, in the host's arena; until the next use */
} lp_child_answer;

typedef struct lp_child_header {
    uint32_t word;
    uint32_t unused;
    uint64_t length;
} lp_child_header;

/* In the zygote: what its children will start with. */
typedef struct lp_cradle {
    lp_host *host; /* the children's own, for what their tasks open */
    lp_setup setup;
    lp_identity identity; /* of the state; a child fills it in */
    lp_state *state;
    lp_stop stop; /* of what the state runs; without words in the zygote */
    /* A child has its depth and a seed now. */
    void (*begun)(void *context, uint32_t depth, uint64_t seed);
    /* Its state is closed: finish what its tasks have begun. */
    void (*ended)(void *context);
    void *context;
} lp_cradle;

/* Open the state. The caller has filled in the rest. 0, or an error and text.
 */
int lp_cradle_open(lp_cradle *cradle, char *text, size_t size);

/* Hooks of the zygote; context is the cradle. */
int lp_cradle_preload(void *cradle, const void *bytes, size_t length,
                      char *text, size_t size);
int lp_cradle_child(void *cradle, const void *bytes, size_t length,
                    const int *fds, size_t fd_count);

#endif
