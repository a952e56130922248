/*
 * heap.c - counting, refusing, and a loan for strings in the making.
 *
 * Lua collects before it gives up on an object, but not before it gives up
 * on the buffer of a string in the making (string.rep, table.concat,
 * io.read): lauxlib asks the allocator for those directly, and raises "not
 * enough memory" if there is none. With a limit, garbage that nobody has
 * collected yet would fail such a task. So a buffer may be as large as the
 * limit as long as all else is within it; the string that is made of it is
 * an object again, for which Lua collects, and which has to fit.
 *
 * A buffer is known by how it begins: lauxlib makes a small userdata for it,
 * and then asks for a block without a type. A table's part that is taken
 * for one gets the loan too, which does no harm.
 */
#include "vm/heap.h"

#include <lauxlib.h>

/* The userdata of a buffer is no larger, with Lua's own header. */
#define MOST_HANDLE 64u

/* Place of the buffer in the list; LP_HEAP_BUFFERS if it is none. */
static unsigned find_buffer(const lp_heap *heap, const void *block)
{
    unsigned i = 0;
    while (i < LP_HEAP_BUFFERS && heap->buffers[i] != block)
        i++;
    return i;
}

/* Whether a block is a buffer's: type as Lua says it, for a new block. */
static bool is_buffer(lp_heap *heap, const void *block, size_t type,
                      size_t size)
{
    if (block) return find_buffer(heap, block) < LP_HEAP_BUFFERS;
    if (type == LUA_TUSERDATA && size <= MOST_HANDLE) heap->expects = true;
    return type == 0 && heap->expects && size > LUAL_BUFFERSIZE;
}

/* A buffer has moved, begun (before is NULL) or ended (after is NULL). */
static void note_buffer(lp_heap *heap, const void *before, void *after)
{
    unsigned i = before ? find_buffer(heap, before) : LP_HEAP_BUFFERS;
    if (i == LP_HEAP_BUFFERS) {
        if (before) return;
        heap->expects = false;
        i = heap->forgets++ % LP_HEAP_BUFFERS;
    }
    heap->buffers[i] = after;
}

static bool has_room(const lp_heap *heap, size_t before, size_t after,
                     bool buffer)
{
    size_t others = heap->used - before;
    if (after > heap->limit) return false;
    return buffer ? others <= heap->limit : others <= heap->limit - after;
}

/* A block is refused. Lua asks once more for all but buffers. */
static void *refuse(lp_heap *heap, size_t size, bool buffer)
{
    if (buffer || heap->pending == size) {
        heap->refused = true;
        heap->pending = 0;
    } else {
        heap->pending = size;
    }
    return NULL;
}

/* A lua_Alloc. */
static void *allocate(void *context, void *block, size_t before, size_t after)
{
    lp_heap *heap = context;
    size_t type = block ? 0 : before;
    if (!block) before = 0;
    if (after <= before) { /* never fails */
        heap->used -= before - after;
        if (after == 0 && before > LUAL_BUFFERSIZE)
            note_buffer(heap, block, NULL);
        return heap->allocate(heap->context, block, block ? before : type,
                              after);
    }
    if (heap->pending != 0 && heap->pending != after) {
        heap->refused = true; /* nobody has asked once more */
        heap->pending = 0;
    }
    bool buffer = is_buffer(heap, block, type, after);
    if (!has_room(heap, before, after, buffer))
        return refuse(heap, after, buffer);
    void *moved =
        heap->allocate(heap->context, block, block ? before : type, after);
    if (!moved) {
        heap->starved = true;
        return refuse(heap, after, buffer);
    }
    heap->pending = 0;
    heap->used += after - before;
    if (buffer) note_buffer(heap, block, moved);
    return moved;
}

void lp_heap_impose(lp_heap *heap, lua_State *L, size_t limit)
{
    heap->used =
        (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
    heap->limit = limit;
    heap->allocate = lua_getallocf(L, &heap->context);
    lp_heap_reset(heap);
    lua_setallocf(L, allocate, heap);
}
