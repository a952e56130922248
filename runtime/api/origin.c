/*
 * origin.c - where a task is submitted, as "file:line".
 *
 * Most submits come from where one came from before. In a state whose frames
 * can be read, and whose memory is its own, a caller knows the origins of the
 * function that submitted last by the instruction that the function is at: as
 * long as the function lives, which the slabs tell. Others it finds among the
 * recent ones by what lua_getinfo says.
 */
#include "api/api.h"
#include "base/hints.h"
#include "base/status.h"
#include "vm/frame.h"

#include <stdio.h>
#include <string.h>

/*
 * Lines are kept while the library has no more entries than this. A program
 * that makes functions for ever needs its room for these, and its memory.
 */
#define MOST_KEPT 65536u

/* Where the origin of an instruction is kept; another's may be there. */
static size_t index_of(const void *instruction)
{
    return (size_t)(uintptr_t)instruction / 4 % LP_ORIGINS;
}

/* Remember the origin by the instruction. */
static void remember(lp_caller *caller, const lua_Debug *frame,
                     const char *origin)
{
    lp_origins *origins = &caller->origins;
    if (!caller->slabs || !lp_frame_can_read()) return;
    const lp_frame at = lp_frame_read(frame);
    if (lp_slabs_watched(caller->slabs) != at.function) {
        memset(origins->known, 0, sizeof(origins->known));
        lp_slabs_watch(caller->slabs, at.function);
    }
    size_t index = index_of(at.instruction);
    origins->known[index].instruction = at.instruction;
    origins->known[index].origin = origin;
}

/* The origin by the instruction; NULL if it is not remembered. */
static const char *recall(const lp_caller *caller, const lua_Debug *frame)
{
    const lp_origins *origins = &caller->origins;
    const void *function =
        caller->slabs ? lp_slabs_watched(caller->slabs) : NULL;
    if (!function) return NULL; /* nor may frames be read */
    const lp_frame at = lp_frame_read(frame);
    size_t index = index_of(at.instruction);
    if (at.function != function ||
        origins->known[index].instruction != at.instruction)
        return NULL;
    return origins->known[index].origin;
}

/* The origin of a frame as a text that lasts; NULL: no memory. */
static const char *keep(lp_caller *caller, const lua_Debug *frame)
{
    lp_library *library = caller->pool->host.library;
    uint32_t number, line = (uint32_t)frame->currentline;
    size_t length, file = strlen(frame->short_src);
    size_t index = line % LP_RECENT;
    const char *recent = caller->origins.recent[index].origin;
    if (recent && caller->origins.recent[index].line == line &&
        caller->origins.recent[index].file == file &&
        memcmp(recent, frame->short_src, file) == 0)
        return recent;

    char text[LUA_IDSIZE + 16];
    if (caller->origins.crowded) {
        snprintf(text, sizeof(text), "%s:?", frame->short_src);
    } else {
        snprintf(text, sizeof(text), "%s:%u", frame->short_src, (unsigned)line);
    }
    if (lp_library_keep(library, text, strlen(text) + 1, &number) != LP_OK)
        return NULL;
    if (number > MOST_KEPT) caller->origins.crowded = true;
    const char *kept = (const char *)lp_library_find(library, number, &length);
    caller->origins.recent[index].origin = kept;
    caller->origins.recent[index].file = (uint32_t)file;
    caller->origins.recent[index].line = line;
    return kept;
}

static LP_APART const char *find_out(lua_State *L, lp_caller *caller,
                                     lua_Debug *frame)
{
    if (!lua_getinfo(L, "Sl", frame)) return NULL;
    if (frame->currentline <= 0) return NULL; /* called by C, as by pcall */
    const char *origin = keep(caller, frame);
    if (origin) remember(caller, frame, origin);
    return origin;
}

const char *lp_caller_origin(lua_State *L, lp_caller *caller, int level)
{
    lua_Debug frame;
    if (!lua_getstack(L, level, &frame)) return NULL;
    const char *origin = recall(caller, &frame);
    return origin ? origin : find_out(L, caller, &frame);
}
