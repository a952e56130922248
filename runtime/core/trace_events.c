/* trace_events.c - events as text. */
#include "core/trace_events.h"

#include "base/clock.h"
#include "base/json.h"

#include <assert.h>

/* All texts of an event as long as they can be, and what stands around. */
#define EVENT_SIZE 3200u
static_assert(LP_JSON_GROWTH *
                          (LP_NOTE_ORIGIN + LP_NOTE_LABEL + 2 * LP_TRACE_NAME) +
                      400 <
                  EVENT_SIZE,
              "an event fits");

const char *lp_trace_ending(lp_phase phase, const lp_reason *reason)
{
    static const char *const causes[] = {
        [LP_CAUSE_BROKEN] = "broken",
        [LP_CAUSE_EXIT] = "exit",
        [LP_CAUSE_UNSENDABLE] = "unsendable",
        [LP_CAUSE_UNREADABLE] = "unreadable",
        [LP_CAUSE_MEMORY] = "no memory",
        [LP_CAUSE_LOST] = "lost",
        [LP_CAUSE_TIMEOUT] = "timeout",
        [LP_CAUSE_INTERRUPT] = "cancelled",
        [LP_CAUSE_LIMIT] = "limit",
    };
    if (phase == LP_FINISHED) return "finished";
    if (phase == LP_RAISED) return "failed";
    if (phase == LP_CANCELLED) return "cancelled";
    uint32_t cause = reason ? reason->cause : LP_CAUSE_BROKEN;
    bool known = cause >= LP_CAUSE_BROKEN && cause <= LP_CAUSE_LIMIT;
    return known ? causes[cause] : "lost";
}

/* ---- parts ---- */

/* An event up to its name, which is to be written, and is a string. */
static char *put_head(char *at, const char *phase, const char *category)
{
    at = lp_json_raw(at, ",\n{\"ph\":\"");
    at = lp_json_raw(at, phase);
    if (*category) {
        at = lp_json_raw(at, "\",\"cat\":\"");
        at = lp_json_raw(at, category);
    }
    return lp_json_raw(at, "\",\"name\":\"");
}

/* The end of the name, and where the event is. */
static char *put_track(char *at, lp_track_id id)
{
    at = lp_json_raw(at, "\",\"pid\":");
    at = lp_json_number(at, (uint64_t)id.pid);
    at = lp_json_raw(at, ",\"tid\":");
    return lp_json_number(at, id.number);
}

static char *put_time(char *at, const char *key, int64_t time)
{
    at = lp_json_raw(at, ",\"");
    at = lp_json_raw(at, key);
    at = lp_json_raw(at, "\":");
    return lp_json_microseconds(at, time);
}

static char *put_count(char *at, const char *key, uint64_t count)
{
    at = lp_json_raw(at, ",\"");
    at = lp_json_raw(at, key);
    at = lp_json_raw(at, "\":");
    return lp_json_number(at, count);
}

/* Where and when it was run, and the begin of the arguments. */
static char *put_run(char *at, const lp_run *run, const lp_track_about *about)
{
    at = put_track(at, run->id);
    at = put_time(at, "ts", run->began - about->began);
    at = put_time(at, "dur", run->ended - run->began);
    at = lp_json_raw(at, ",\"args\":{\"executor\":\"");
    at = lp_json_text(at, about->executor);
    return lp_json_raw(at, "\"");
}

/* What is known since the submit, and how the run ended: the last arguments. */
static char *put_rest(char *at, const lp_note *note, const lp_run *run)
{
    if (note->origin[0]) {
        at = lp_json_raw(at, ",\"submitted_at\":\"");
        at = lp_json_text(at, note->origin);
        at = lp_json_raw(at, "\"");
    }
    at = put_time(at, "waited_us", run->began - note->submitted_at);
    at = lp_json_raw(at, ",\"ended\":\"");
    at = lp_json_raw(at, run->ending);
    return lp_json_raw(at, "\"}}");
}

static void add(lp_track *track, const char *event, const char *end)
{
    lp_track_add(track, event, (size_t)(end - event));
}

/* ---- events ---- */

void lp_trace_task(lp_track *track, const lp_note *note, const lp_run *run)
{
    char event[EVENT_SIZE];
    char *at = put_head(event, "X", "task");
    if (note->label[0]) {
        at = lp_json_text(at, note->label);
    } else {
        at = lp_json_raw(at, "task #");
        at = lp_json_number(at, note->number);
    }
    at = put_run(at, run, lp_track_about_of(track));
    at = put_count(at, "task", note->number);
    add(track, event, put_rest(at, note, run));
}

void lp_trace_items(lp_track *track, const lp_note *note,
                    const lp_run_items *items, const lp_run *run)
{
    char event[EVENT_SIZE];
    uint64_t first = note->number + items->first + 1;
    char *at = put_head(event, "X", "items");
    at = lp_json_raw(at, items->count == 1 ? "item " : "items ");
    at = lp_json_number(at, first);
    if (items->count > 1) {
        at = lp_json_raw(at, "-");
        at = lp_json_number(at, first + items->count - 1);
    }
    at = lp_json_raw(at, note->label[0] ? " of map '" : " of a map");
    if (note->label[0]) {
        at = lp_json_text(at, note->label);
        at = lp_json_raw(at, "'");
    }
    at = put_run(at, run, lp_track_about_of(track));
    at = put_count(at, "items", items->count);
    at = put_count(at, "failed", items->failed);
    at = put_count(at, "cancelled", items->cancelled);
    add(track, event, put_rest(at, note, run));
}

/* An event that says what a process or a track is called. */
static char *put_naming(char *at, const char *what, lp_track_id id,
                        const char *name)
{
    at = put_head(at, "M", "");
    at = lp_json_raw(at, what);
    at = put_track(at, id);
    at = lp_json_raw(at, ",\"args\":{\"name\":\"");
    at = lp_json_text(at, name);
    return lp_json_raw(at, "\"}}");
}

void lp_trace_name_process(lp_trace *trace, int32_t pid, const char *name)
{
    char event[EVENT_SIZE], known[LP_TRACE_NAME];
    size_t length = strnlen(name, sizeof(known) - 1);
    memcpy(known, name, length);
    known[length] = '\0';
    const lp_track_id id = {.pid = pid};
    char *end = put_naming(event, "process_name", id, known);
    lp_trace_put(trace, event, (size_t)(end - event));
}

/* A moment on a track. */
static char *put_moment(char *at, const char *what, lp_track_id id,
                        const lp_track_about *about)
{
    at = put_head(at, "i", "worker");
    at = lp_json_raw(at, what);
    at = put_track(at, id);
    at = put_time(at, "ts", lp_clock_now() - about->began);
    return lp_json_raw(at, ",\"s\":\"t\"");
}

static void add_moment(lp_track *track, const char *what)
{
    char event[EVENT_SIZE];
    const lp_track_about *about = lp_track_about_of(track);
    char *at = put_moment(event, what, about->id, about);
    add(track, event, lp_json_raw(at, "}"));
}

void lp_trace_begins(lp_track *track)
{
    char event[EVENT_SIZE];
    const lp_track_about *about = lp_track_about_of(track);
    add(track, event, put_naming(event, "thread_name", about->id, about->name));
    add_moment(track, "begins");
}

void lp_trace_ends(lp_track *track)
{
    add_moment(track, "ends");
}

void lp_trace_death(lp_track *track, lp_track_id id, const char *how)
{
    char event[EVENT_SIZE];
    char *at = put_moment(event, "dies", id, lp_track_about_of(track));
    at = lp_json_raw(at, ",\"args\":{\"how\":\"");
    at = lp_json_text(at, how);
    add(track, event, lp_json_raw(at, "\"}}"));
}
