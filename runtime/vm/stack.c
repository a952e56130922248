/*
 * stack.c - where a task is, for whoever asks from outside.
 *
 * The question comes as a signal, in the middle of anything, so it only sets
 * a debug hook, which runs at the next instruction and puts back the hook
 * that was there. Who waits in lpool looks whether somebody has asked. The
 * stack is written down without Lua's memory, which may be limited.
 */
#include "vm/vm.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_BYTES 3072u
#define LEVELS     24

typedef struct text {
    size_t length;
    char bytes[TEXT_BYTES];
} text;

/* Append to the text what has room. */
__attribute__((format(printf, 2, 3))) static void
append(text *out, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof(out->bytes) - out->length;
    va_start(arguments, format);
    int length = vsnprintf(out->bytes + out->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        out->length += (size_t)length < room ? (size_t)length : room - 1;
}

/* A line for one function, worded as Lua words it in tracebacks. */
static void append_function(text *out, const lua_Debug *about)
{
    append(out, "\n\t%s:", about->short_src);
    if (about->currentline > 0) append(out, "%d:", about->currentline);
    if (about->name) {
        append(out, " in %s '%s'", about->namewhat, about->name);
    } else if (*about->what == 'm') {
        append(out, " in main chunk");
    } else if (*about->what == 'C') {
        append(out, " in ?");
    } else {
        append(out, " in function <%s:%d>", about->short_src,
               about->linedefined);
    }
}

static void append_stack(text *out, lua_State *L)
{
    lua_Debug about;
    for (int level = 0; lua_getstack(L, level, &about); level++) {
        if (level == LEVELS) {
            append(out, "\n\t...");
            return;
        }
        lua_getinfo(L, "nSl", &about);
        /* A C function without a name is the one that called the task. */
        if (*about.what != 'C' || about.name) append_function(out, &about);
    }
}

void lp_stack_show(lua_State *L)
{
    lp_state *state = lp_state_of(L);
    lp_stop *stop = state ? state->stop : NULL;
    text out = {.length = 0};
    if (!lp_stop_is_asked(stop)) return;
    atomic_store(&stop->words->asked, 0);
    append(&out, "stack traceback:");
    append_stack(&out, L);
    if (L != state->L) {
        append(&out, "\n\t(in a coroutine, resumed by)");
        append_stack(&out, state->L);
    }
    stop->show(stop->shower, out.bytes, out.length);
}

static void show_hook(lua_State *L, lua_Debug *event)
{
    lp_state *state = lp_state_of(L);
    (void)event;
    if (state->asked == L) {
        lua_sethook(L, state->hook, state->hook_mask, state->hook_count);
    } else {
        lua_sethook(L, NULL, 0, 0);
    }
    state->asked = NULL;
    /* Stopped meanwhile: that hook is the one to have. */
    if (lp_stop_is_set(state->stop)) lp_stop_arm(L);
    lp_stack_show(L);
}

/* In a signal handler, on the state's own thread. */
void lp_stack_ask(lp_stop *stop)
{
    lp_state *state = stop->asked;
    lua_State *L = stop->current;
    if (!stop->show || lua_gethook(L) == show_hook) return;
    state->asked = L;
    state->hook = lua_gethook(L);
    state->hook_mask = lua_gethookmask(L);
    state->hook_count = lua_gethookcount(L);
    lua_sethook(L, show_hook, LUA_MASKCOUNT, 1);
}
