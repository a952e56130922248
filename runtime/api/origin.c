/*
 * origin.c - where a task is submitted, as "file:line".
 *
 * Most submits come from where one came from before. In a state whose frames
 * can be read, and whose memory is its own, a caller knows the origins of the
 * function that submitted last by the instruction that the function is at: as
 * long as the function lives, which the slabs tell. In other states it knows
 * the latest by what lua_getinfo says.
 */
#include "api/api.h"
#include "base/hints.h"
#include "base/status.h"
#include "vm/frame.h"

#include <stdio.h>
#include <string.h>

/* Where the origin of an instruction is kept; another's may be there. */
static size_t index_of(const lp_origins *origins, const void *instruction)
{
    size_t size = sizeof(origins->known) / sizeof(origins->known[0]);
    return (size_t)(uintptr_t)instruction / 4 % size;
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
    size_t index = index_of(origins, at.instruction);
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
    size_t index = index_of(origins, at.instruction);
    if (at.function != function ||
        origins->known[index].instruction != at.instruction)
        return NULL;
    return origins->known[index].origin;
}

static bool is_latest(const lp_origins *origins, const lua_Debug *frame)
{
    if (!origins->latest || origins->line != (uint32_t)frame->currentline)
        return false;
    size_t length = strlen(frame->short_src);
    return strncmp(origins->latest, frame->short_src, length) == 0 &&
           strrchr(origins->latest, ':') == origins->latest + length;
}

/* Have the latest be this one; NULL: no memory. */
static const char *keep(lp_caller *caller, const lua_Debug *frame)
{
    lp_origins *origins = &caller->origins;
    lp_library *library = caller->pool->host.library;
    char text[LUA_IDSIZE + 16];
    uint32_t number;
    size_t length;
    if (is_latest(origins, frame)) return origins->latest;
    snprintf(text, sizeof(text), "%s:%d", frame->short_src, frame->currentline);
    origins->latest = NULL;
    if (lp_library_keep(library, text, strlen(text) + 1, &number) == LP_OK)
        origins->latest =
            (const char *)lp_library_find(library, number, &length);
    origins->line = (uint32_t)frame->currentline;
    return origins->latest;
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
