/*
 * origin.c - the file and line that a task is submitted at.
 *
 * Most submits are at a place that was looked up before. A caller keeps the
 * lines of the function that submitted last. In a state whose frames can be
 * read, and whose memory is its own, it knows them by the instruction that
 * the function is at: as long as the function lives, which the slabs tell.
 */
#include "api/api.h"
#include "base/status.h"
#include "vm/frame.h"

#include <string.h>

/* The line that is kept for an instruction, or in whose place it will be. */
static lp_known_line *entry_of(lp_caller *caller, const void *instruction)
{
    return &caller->lines[(uintptr_t)instruction / 4 % LP_KNOWN_LINES];
}

/* Keep a line of a function, whose file is the caller's latest. */
static void keep_line(lp_caller *caller, const lua_Debug *frame)
{
    if (!caller->slabs || !caller->source || !lp_frame_is_known()) return;
    const lp_frame at = lp_frame_read(frame);
    if (lp_slabs_watched(caller->slabs) != at.function) {
        memset(caller->lines, 0, sizeof(caller->lines));
        lp_slabs_watch(caller->slabs, at.function);
    }
    *entry_of(caller, at.instruction) =
        (lp_known_line){at.instruction, (uint32_t)frame->currentline};
}

static bool find_line(lp_caller *caller, const lua_Debug *frame, uint32_t *line)
{
    const void *function =
        caller->slabs ? lp_slabs_watched(caller->slabs) : NULL;
    if (!function) return false; /* nor may frames be read */
    const lp_frame at = lp_frame_read(frame);
    const lp_known_line *known = entry_of(caller, at.instruction);
    if (at.function != function || known->instruction != at.instruction)
        return false;
    *line = known->line;
    return true;
}

/* Have the caller's latest file be this one; NULL: no memory. */
static const char *keep_source(lp_caller *caller, const char *name)
{
    lp_library *library = caller->pool->host.library;
    uint32_t number;
    size_t length;
    if (caller->source && strcmp(name, caller->source) == 0)
        return caller->source;
    if (caller->slabs) lp_slabs_watch(caller->slabs, NULL);
    caller->source = NULL;
    if (lp_library_keep(library, name, strlen(name) + 1, &number) == LP_OK)
        caller->source =
            (const char *)lp_library_find(library, number, &length);
    return caller->source;
}

void lp_caller_origin(lua_State *L, lp_caller *caller, int level,
                      const char **source, uint32_t *line)
{
    lua_Debug frame;
    *source = NULL;
    *line = 0;
    if (!lua_getstack(L, level, &frame)) return;
    if (find_line(caller, &frame, line)) {
        *source = caller->source;
        return;
    }
    if (!lua_getinfo(L, "Sl", &frame)) return;
    if (frame.currentline <= 0) return; /* called by a C function, as pcall */
    *source = keep_source(caller, frame.short_src);
    *line = (uint32_t)frame.currentline;
    keep_line(caller, &frame);
}
