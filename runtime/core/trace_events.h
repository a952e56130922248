/*
 * trace_events.h - what a trace says of tasks, items and workers: events in
 * the form of Chrome's trace viewer, which Perfetto reads too.
 *
 * Each is added to a track's buffer. In an event of a run, times are on the
 * clock; what is not known of it is 0, or an empty text.
 */
#ifndef LP_CORE_TRACE_EVENTS_H
#define LP_CORE_TRACE_EVENTS_H

#include "base/reason.h"
#include "core/task.h"
#include "core/trace.h"

#define LP_NOTE_ORIGIN 72u  /* any fits: LUA_IDSIZE, a colon, ten digits */
#define LP_NOTE_LABEL  120u /* longer ones are cut */

/*
 * What a trace wants to know of a task or a group, before it is queued: the
 * host writes it for the workers, which do not see the host's part of either.
 */
typedef struct lp_note {
    int64_t submitted_at; /* the clock */
    uint64_t number; /* of the task; or items of the map before the group's */
    char origin[LP_NOTE_ORIGIN]; /* "": unknown */
    char label[LP_NOTE_LABEL];   /* "": it has none */
} lp_note;

/* From when to when something was run, on which track, and how it ended. */
typedef struct lp_run {
    lp_track_id id;
    int64_t began;
    int64_t ended;
    const char *ending; /* in a word or two */
} lp_run;

/* Items of a group. */
typedef struct lp_run_items {
    uint32_t first; /* its number in the group */
    uint32_t count;
    uint32_t failed; /* of these */
    uint32_t cancelled;
} lp_run_items;

/* How a task ended. The reason is that of a lost one; NULL: its pool broke. */
const char *lp_trace_ending(lp_phase phase, const lp_reason *reason);

void lp_trace_task(lp_track *track, const lp_note *note, const lp_run *run);
void lp_trace_items(lp_track *track, const lp_note *note,
                    const lp_run_items *items, const lp_run *run);

/* What a process is called. */
void lp_trace_name_process(lp_trace *trace, int32_t pid, const char *name);

/* A track begins, and says what it is called; it ends. */
void lp_trace_begins(lp_track *track);
void lp_trace_ends(lp_track *track);

/* The worker of another track has died, in this way. */
void lp_trace_death(lp_track *track, lp_track_id id, const char *how);

#endif
