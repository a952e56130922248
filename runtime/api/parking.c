/*
 * parking.c - how the thread of a Lua state waits, and what wakes it: what it
 * waits for, a deadline, an interrupt, a signal with a debug hook.
 */
#include "api/api.h"
#include "base/clock.h"
#include "base/status.h"

#include <string.h>

bool lpool_interrupt(lua_State *L)
{
    if (!L) return false;
    lp_caller *caller = *(lp_caller **)lua_getextraspace(L);
    if (!caller) return false;
    _Atomic uint32_t *word = atomic_load(&caller->parked);
    if (!word) return false;
    atomic_store(&caller->interrupted, 1);
    /* Change the word, in case its thread is only about to park on it. */
    atomic_fetch_add(word, LP_POKE);
    return true;
}

bool lpool_is_interrupt(lua_State *L, int index)
{
    static const char end[] = "interrupted!";
    size_t length, wanted = sizeof(end) - 1;
    if (!L || lua_type(L, index) != LUA_TSTRING) return false;
    const char *text = lua_tolstring(L, index, &length);
    return length >= wanted && memcmp(text + length - wanted, end, wanted) == 0;
}

/*
 * A signal handler may have set a debug hook after this C function was
 * called, and the hook would not run before the wait is over. True for a
 * hook that was not given a chance yet.
 */
static bool has_new_hook(lp_caller *caller)
{
    lua_Hook hook = lua_gethook(caller->main);
    if (!hook) {
        caller->harmless_hook = NULL;
        return false;
    }
    return hook != caller->harmless_hook;
}

int lp_caller_park(lp_caller *caller, _Atomic uint32_t *word, uint32_t expected,
                   int64_t deadline)
{
    lp_stop *stop = caller->identity ? caller->identity->stop : NULL;
    atomic_store(&caller->parked, word);
    if (stop) atomic_store(&stop->parked, word);
    int status = LP_INTERRUPTED;
    /* From here on whoever interrupts changes the word first. */
    if (!has_new_hook(caller) && !lp_stop_is_set(stop) &&
        !lp_stop_is_asked(stop) && !atomic_load(&caller->interrupted))
        status = lp_park(word, expected, deadline);
    if (stop) atomic_store(&stop->parked, NULL);
    atomic_store(&caller->parked, NULL);
    if (lp_stop_is_set(stop) || lp_stop_is_asked(stop)) status = LP_INTERRUPTED;
    if (atomic_load(&caller->interrupted)) status = LP_INTERRUPTED;
    return status;
}

int lp_caller_park_for(lp_caller *caller, const lp_awaited *what,
                       _Atomic uint32_t *word, uint32_t expected,
                       int64_t deadline)
{
    lp_executor *own = caller->identity ? caller->identity->executor : NULL;
    if (!own || lp_executor_is_serial(own))
        return lp_caller_park(caller, word, expected, deadline);
    /* A worker waits: others may do what is queued meanwhile. */
    lp_blocked blocked = {
        .worker = caller->identity->number,
        .waits_for = what && what->task ? lp_task_serial(what->task) : 0,
    };
    if (what && (deadline == LP_NEVER || what->goes_on)) {
        blocked.task = what->task && !what->task->manual ? what->task : NULL;
        blocked.room = what->room;
        /* A callback of the caller's may do anything. */
        if (caller->mailbox.count == 0) blocked.outlook = what->outlook;
        blocked.what = what->what;
    }
    int status = lp_executor_block(own, &blocked);
    if (status != LP_OK) return status;
    status = lp_caller_park(caller, word, expected, deadline);
    lp_executor_unblock(own, &blocked);
    return status;
}

int lp_caller_wait(lua_State *L, lp_caller *caller, bool (*ready)(void *what),
                   void *what, const lp_awaited *awaited, int64_t deadline)
{
    lp_bell *bell = caller->pool->host.bell;
    uint32_t heard = lp_bell_listen(bell);
    lp_caller_collect(L, caller);
    if (ready(what)) return LP_OK;
    if (!caller->dispatching && lp_mailbox_has_mail(&caller->mailbox))
        return LP_OK;
    return lp_caller_park_for(caller, awaited, &bell->word, heard, deadline);
}

static bool has_room(void *executor)
{
    return lp_executor_ask_for_room(executor) != LP_FULL;
}

int lp_caller_await_room(lua_State *L, lp_caller *caller, lp_executor *executor)
{
    const lp_awaited awaited = {.room = executor};
    return lp_caller_wait(L, caller, has_room, executor, &awaited, LP_NEVER);
}

static bool has_mail(void *mailbox)
{
    return lp_mailbox_has_mail(mailbox);
}

int lp_caller_await_mail(lua_State *L, lp_caller *caller, lp_mailbox *mailbox,
                         int64_t deadline)
{
    const lp_awaited awaited = {.outlook = lp_mailbox_outlook, .what = mailbox};
    return lp_caller_wait(L, caller, has_mail, mailbox, &awaited, deadline);
}

static void cancel_pending(lp_executor *executor, void *unused)
{
    (void)unused;
    lp_executor_cancel_pending(executor);
}

void lp_caller_interrupted(lua_State *L, lp_caller *caller)
{
    bool ours = atomic_exchange(&caller->interrupted, 0) != 0;
    if (caller->identity) lp_stack_show(L);
    if (ours) lp_host_each(&caller->pool->host, cancel_pending, NULL);
    /* A debug hook that was set meanwhile raises in here. */
    lua_Hook hook = lua_gethook(caller->main);
    if (luaL_loadbuffer(L, "local _", 7, "=(wait)") == LUA_OK)
        lua_call(L, 0, 0);
    caller->harmless_hook = hook;
    if (ours) luaL_error(L, "interrupted!");
}

int lpool_sleep(lua_State *L, int64_t timeout)
{
    lp_caller *caller;
    int status = lp_caller_enter(L, &caller);
    if (status != LP_OK) return status;
    int64_t deadline = lp_clock_after(timeout);
    _Atomic uint32_t word = 0;
    lpool_dispatch(L);
    for (;;) {
        uint32_t expected = atomic_load(&word);
        status = lp_caller_park(caller, &word, expected, deadline);
        if (status == LP_INTERRUPTED) lp_caller_interrupted(L, caller);
        if (lp_clock_now() >= deadline) break;
    }
    lpool_dispatch(L);
    return LP_OK;
}
