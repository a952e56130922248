/*
 * boxes.c - userdata that stand for executors, futures and shared objects, and
 * what happens when Lua frees that of a future.
 *
 * A box is known by its mark: to look up a metatable by name would take longer
 * than most of what is done with what is in it.
 *
 * Futures are many. A state that lpool made needs no finalizer for them: they
 * are tied to their tasks, and a task loses a reference when Lua frees the
 * userdata. Lua cannot be called at that moment. So what takes Lua - to report
 * a failure that nobody looked at, to forget what a manual future holds - waits
 * among the caller's dropped tasks until the state uses lpool again, or closes.
 * In other states a finalizer does it at once.
 */
#include "api/api.h"
#include "vm/blank.h"

#include <assert.h>

/* What every box begins with. */
typedef struct box {
    void *object; /* NULL: its finalizer has run */
    uint64_t mark;
} box;

static_assert(offsetof(lp_tie, object) == offsetof(box, object) &&
                  offsetof(lp_tie, mark) == offsetof(box, mark),
              "a tie is a box");

void *lp_box_new(lua_State *L, int values, lp_mark_kind kind)
{
    box *new = lua_newuserdatauv(L, sizeof(*new), values);
    *new = (box){NULL, lp_mark(new, kind)};
    return new;
}

void *lp_box_test(lua_State *L, int index, lp_mark_kind kind)
{
    const box *found = lua_touserdata(L, index);
    if (!found || lua_rawlen(L, index) < sizeof(*found)) return NULL;
    return found->mark == lp_mark(found, kind) ? found->object : NULL;
}

void *lpool_unbox(lua_State *L, int index)
{
    lp_caller *caller = lp_caller_find(L);
    box *found = lua_touserdata(L, index);
    /* A task in the pile may be all that keeps the executor in this box. */
    if (caller) lp_task_pile_free(&caller->pile);
    void *object = found->object;
    *found = (box){NULL, 0}; /* its memory may be another userdata's soon */
    return object;
}

/* ---- futures ---- */

lpool_future *lpool_test_future(lua_State *L, int index)
{
    return lp_box_test(L, index, LP_MARK_TIED);
}

void lpool_future_drop(lua_State *L, lpool_future *future)
{
    if (!future) return;
    if (lpool_future_state(future) == LPOOL_FAILED) lpool_report(L, future);
    /* Whoever else has it may want its values. */
    if (atomic_load(&lp_task_inner(future)->references) == 1)
        lpool_future_forget(L, future);
    lpool_future_release(future);
}

/* Whether there is more to do for a task than to release it. */
static bool takes_lua(lp_task *task)
{
    if (task->manual) return true;
    return !atomic_load_explicit(&task->seen, memory_order_relaxed) &&
           lp_task_ended_badly(task);
}

/* Lua frees the userdata of a future. */
static void let_go(void *context, void *object)
{
    lp_caller *caller = context;
    lp_task *task = object;
    if (takes_lua(task) && lp_task_set_aside(task, &caller->dropped)) return;
    if (caller->identity) {
        lp_task_release(task); /* a worker may not come back for its pile */
    } else {
        lp_task_release_later(task, &caller->pile);
    }
}

void lp_boxes_open(lua_State *L, lp_caller *caller)
{
    lp_list_init(&caller->dropped);
    caller->slabs = lp_slabs_can_tie() ? lp_blank_slabs(L) : NULL;
    if (caller->slabs) lp_slabs_on_let_go(caller->slabs, let_go, caller);
}

void lp_boxes_collect(lua_State *L, lp_caller *caller)
{
    if (lp_list_is_empty(&caller->dropped)) return;
    lp_task *task;
    while ((task = lp_task_take_aside(&caller->pool->host, &caller->dropped)) !=
           NULL)
        lpool_future_drop(L, (lpool_future *)task);
}

void lp_boxes_close(lua_State *L, lp_caller *caller)
{
    lpool_future *future;
    if (!caller->slabs) return;
    while ((future = lp_slabs_untie(caller->slabs)) != NULL)
        lpool_future_drop(L, future);
    lp_boxes_collect(L, caller);
    lp_task_pile_free(&caller->pile);
    lp_slabs_on_let_go(caller->slabs, NULL, NULL);
    caller->slabs = NULL;
}

bool lpool_needs_finalizer(lua_State *L)
{
    const lp_caller *caller = lp_caller_find(L);
    return !caller || !caller->slabs;
}

void lpool_box_future(lua_State *L, lpool_future *future, int metatable)
{
    lp_box_future(L, future, metatable, false);
}

void lp_box_future(lua_State *L, lpool_future *future, int metatable,
                   bool retains)
{
    const lp_caller *caller = lp_caller_find(L);
    int at = lua_absindex(L, metatable);
    lp_tie *tie = lua_newuserdatauv(L, sizeof(*tie), 0);
    if (retains) lpool_future_retain(future);
    lp_slabs_tie(caller ? caller->slabs : NULL, tie, future);
    lua_pushvalue(L, at);
    lua_setmetatable(L, -2);
}
