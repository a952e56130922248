/*
 * trace.h - where the events of a host's workers go, and what they wait in.
 *
 * A host that is traced has one trace; the process of each of its workers has
 * another, whose sink is the host's. Each worker has a track of its own, and
 * so has each executor, for what ends without a worker. What is added to a
 * track stays in its buffer until it is flushed, full, or freed.
 *
 * Any thread may call any function but lp_track_tick, which is the worker's.
 * An event is text, made by core/trace_events.h: an element of a JSON array,
 * with a comma before it. No event is ever torn.
 */
#ifndef LP_CORE_TRACE_H
#define LP_CORE_TRACE_H

#include "base/alloc.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lp_trace lp_trace;
typedef struct lp_track lp_track;

/* The names of workers and executors are not longer. */
#define LP_TRACE_NAME 128u

/* Where the events of a trace go. */
typedef struct lp_trace_sink {
    /*
     * Whole events. 0; or an error, with errno: then it is not called again.
     * By one thread at a time, which may hold locks.
     */
    int (*put)(void *context, const char *events, size_t length);
    /* That happened, for this reason; once, with no lock held. NULL: so be it.
     */
    void (*failed)(void *context, int error);
    void *context;
} lp_trace_sink;

/* A trace whose times count from began, of the clock. NULL: no memory. */
lp_trace *lp_trace_new(const lp_allocator *allocator, const lp_trace_sink *sink,
                       int64_t began);

/* No track is left. NULL is allowed. */
void lp_trace_free(lp_trace *trace);

int64_t lp_trace_began(const lp_trace *trace);

/* Take numbers for so many tracks of this process; gives the first. */
uint32_t lp_trace_take_numbers(lp_trace *trace, uint32_t count);

/* Put out events that were made elsewhere. */
void lp_trace_put(lp_trace *trace, const char *events, size_t length);

/*
 * Put out what is in all tracks, and nothing after that. The caller holds no
 * lock. NULL is allowed, and a second call.
 */
void lp_trace_close(lp_trace *trace);

/* Which track of a viewer's window. */
typedef struct lp_track_id {
    int32_t pid;
    uint32_t number;
} lp_track_id;

typedef struct lp_track_about {
    lp_track_id id;
    int64_t began;                /* of the trace */
    char name[LP_TRACE_NAME];     /* of the worker, or the executor */
    char executor[LP_TRACE_NAME]; /* whose tasks these are */
} lp_track_about;

/* A track, which begins now. NULL: no memory. */
lp_track *lp_track_new(lp_trace *trace, lp_track_id id, const char *name,
                       const char *executor);

/* It ends now. The caller may hold locks. NULL is allowed. */
void lp_track_free(lp_track *track);

const lp_track_about *lp_track_about_of(const lp_track *track);

/* Add an event; what was added before may be put out, this one is not yet. */
void lp_track_add(lp_track *track, const char *event, size_t length);

/* Put out what was added. The caller holds no lock. */
void lp_track_flush(lp_track *track);

/* The same if that was last done some time before now. */
void lp_track_tick(lp_track *track, int64_t now);

#endif
