/*
 * origin.c - the file and line that a task is submitted at.
 *
 * Most submits come from where one came from before. A caller keeps the lines
 * of the function that submitted last. In a state whose frames can be read,
 * and whose memory is its own, it knows them by the instruction that the
 * function is at: as long as the function lives, which the slabs tell.
 */
#include "api/api.h"
#include "base/status.h"
#include "vm/frame.h"

#include <string.h>

/* Where the line of an instruction is kept; another's may be there. */
static size_t index_of(const lp_origins *origins, const void *instruction)
{
    size_t size = sizeof(origins->lines) / sizeof(origins->lines[0]);
    return (size_t)(uintptr_t)instruction / 4 % size;
}

/* Keep a line of a function, whose file is the latest source. */
static void keep_line(lp_caller *caller, const lua_Debug *frame)
{
    lp_origins *origins = &caller->origins;
    if (!caller->slabs || !origins->source || !lp_frame_can_read()) return;
    const lp_frame at = lp_frame_read(frame);
    if (lp_slabs_watched(caller->slabs) != at.function) {
        memset(origins->lines, 0, sizeof(origins->lines));
        lp_slabs_watch(caller->slabs, at.function);
    }
    size_t index = index_of(origins, at.instruction);
    origins->lines[index].instruction = at.instruction;
    origins->lines[index].line = (uint32_t)frame->currentline;
}

static bool find_line(const lp_caller *caller, const lua_Debug *frame,
                      uint32_t *line)
{
    const lp_origins *origins = &caller->origins;
    const void *function =
        caller->slabs ? lp_slabs_watched(caller->slabs) : NULL;
    if (!function) return false; /* nor may frames be read */
    const lp_frame at = lp_frame_read(frame);
    size_t index = index_of(origins, at.instruction);
    if (at.function != function ||
        origins->lines[index].instruction != at.instruction)
        return false;
    *line = origins->lines[index].line;
    return true;
}

/* Have the latest source be this one; NULL: no memory. */
static const char *keep_source(lp_caller *caller, const char *name)
{
    lp_origins *origins = &caller->origins;
    lp_library *library = caller->pool->host.library;
    uint32_t number;
    size_t length;
    if (origins->source && strcmp(name, origins->source) == 0)
        return origins->source;
    if (caller->slabs) lp_slabs_watch(caller->slabs, NULL);
    origins->source = NULL;
    if (lp_library_keep(library, name, strlen(name) + 1, &number) == LP_OK)
        origins->source =
            (const char *)lp_library_find(library, number, &length);
    return origins->source;
}

void lp_caller_origin(lua_State *L, lp_caller *caller, int level,
                      const char **source, uint32_t *line)
{
    lua_Debug frame;
    *source = NULL;
    *line = 0;
    if (!lua_getstack(L, level, &frame)) return;
    if (find_line(caller, &frame, line)) {
        *source = caller->origins.source;
        return;
    }
    if (!lua_getinfo(L, "Sl", &frame)) return;
    if (frame.currentline <= 0) return; /* called by a C function, as pcall */
    *source = keep_source(caller, frame.short_src);
    *line = (uint32_t)frame.currentline;
    keep_line(caller, &frame);
}
