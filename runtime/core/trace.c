/*
 * trace.c - buffers of events, and the way out of them.
 *
 *     track: buffer --+
 *     track: buffer --+--> sink: a file, or the socket to the host
 *     track: buffer --+
 *
 * Only the worker adds to its buffer, so its lock is free, but for the moment
 * in which the trace is closed under workers that go on: programs end so.
 */
#include "core/trace.h"

#include "base/list.h"
#include "base/lock.h"
#include "base/status.h"
#include "core/trace_events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_SIZE ((size_t)32 << 10)

/* What a worker that is killed had done longer ago is in the file. */
#define TICK_NANOSECONDS 1000000

struct lp_trace {
    const lp_allocator *allocator; /* immutable, as the next two */
    lp_trace_sink sink;
    int64_t began;
    _Atomic uint32_t numbers; /* of tracks, that are taken */
    lp_lock lock;             /* guards the list */
    lp_list tracks;
    lp_lock sink_lock; /* guards closed, and calls of the sink's put */
    bool closed;       /* nothing is put any more */
    _Atomic int error; /* errno, if that is why */
    _Atomic bool told; /* and the sink was told */
};

struct lp_track {
    lp_trace *trace;
    lp_list in_trace;
    lp_track_about about; /* immutable */
    int64_t ticked;       /* when it was last flushed; the worker's */
    lp_lock lock;         /* guards the buffer */
    size_t length;
    char buffer[BUFFER_SIZE];
};

/* ---- traces ---- */

lp_trace *lp_trace_new(const lp_allocator *allocator, const lp_trace_sink *sink,
                       int64_t began)
{
    lp_trace *trace = lp_calloc(allocator, 1, sizeof(*trace));
    if (!trace) return NULL;
    trace->allocator = allocator;
    trace->sink = *sink;
    trace->began = began;
    atomic_init(&trace->numbers, 0);
    lp_lock_init(&trace->lock, LP_RANK_TRACE);
    lp_lock_init(&trace->sink_lock, LP_RANK_SINK);
    lp_list_init(&trace->tracks);
    return trace;
}

void lp_trace_free(lp_trace *trace)
{
    lp_free(trace);
}

int64_t lp_trace_began(const lp_trace *trace)
{
    return trace->began;
}

uint32_t lp_trace_take_numbers(lp_trace *trace, uint32_t count)
{
    return 1 + atomic_fetch_add(&trace->numbers, count);
}

void lp_trace_put(lp_trace *trace, const char *events, size_t length)
{
    lp_lock_enter(&trace->sink_lock);
    if (!trace->closed && length > 0 &&
        trace->sink.put(trace->sink.context, events, length) != LP_OK) {
        trace->closed = true;
        atomic_store(&trace->error, errno);
    }
    lp_lock_leave(&trace->sink_lock);
}

/* Tell of a failure that nobody was told of. */
static void tell(lp_trace *trace)
{
    int error = atomic_load(&trace->error);
    if (error == 0 || !trace->sink.failed) return;
    if (!atomic_exchange(&trace->told, true))
        trace->sink.failed(trace->sink.context, error);
}

static void put_buffer(lp_track *track)
{
    lp_lock_enter(&track->lock);
    lp_trace_put(track->trace, track->buffer, track->length);
    track->length = 0;
    lp_lock_leave(&track->lock);
}

void lp_trace_close(lp_trace *trace)
{
    if (!trace) return;
    lp_lock_enter(&trace->lock);
    for (lp_list *node = trace->tracks.next; node != &trace->tracks;
         node = node->next)
        put_buffer(LP_LIST_ENTRY(node, lp_track, in_trace));
    lp_lock_leave(&trace->lock);
    lp_lock_enter(&trace->sink_lock);
    trace->closed = true;
    lp_lock_leave(&trace->sink_lock);
    tell(trace);
}

/* ---- tracks ---- */

lp_track *lp_track_new(lp_trace *trace, lp_track_id id, const char *name,
                       const char *executor)
{
    lp_track *track = lp_alloc(trace->allocator, sizeof(*track));
    if (!track) return NULL;
    track->trace = trace;
    track->about = (lp_track_about){.id = id, .began = trace->began};
    snprintf(track->about.name, LP_TRACE_NAME, "%s", name);
    snprintf(track->about.executor, LP_TRACE_NAME, "%s", executor);
    track->ticked = 0;
    track->length = 0;
    lp_lock_init(&track->lock, LP_RANK_TRACK);
    lp_list_init(&track->in_trace);
    lp_lock_enter(&trace->lock);
    lp_list_append(&trace->tracks, &track->in_trace);
    lp_lock_leave(&trace->lock);
    lp_trace_begins(track);
    return track;
}

void lp_track_free(lp_track *track)
{
    if (!track) return;
    lp_trace_ends(track);
    put_buffer(track);
    lp_lock_enter(&track->trace->lock);
    lp_list_remove(&track->in_trace);
    lp_lock_leave(&track->trace->lock);
    lp_free(track);
}

const lp_track_about *lp_track_about_of(const lp_track *track)
{
    return &track->about;
}

void lp_track_add(lp_track *track, const char *event, size_t length)
{
    lp_lock_enter(&track->lock);
    if (length > BUFFER_SIZE - track->length) {
        lp_trace_put(track->trace, track->buffer, track->length);
        track->length = 0;
    }
    memcpy(track->buffer + track->length, event, length);
    track->length += length;
    lp_lock_leave(&track->lock);
}

void lp_track_flush(lp_track *track)
{
    put_buffer(track);
    tell(track->trace);
}

void lp_track_tick(lp_track *track, int64_t now)
{
    if (now - track->ticked < TICK_NANOSECONDS) return;
    track->ticked = now;
    lp_track_flush(track);
}
