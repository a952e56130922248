/*
 * sigint.c - a handler that sets the debug hook, as lua's own does.
 *
 * All the handler calls is async-signal-safe: lua_sethook and
 * lpool_interrupt are made for it. Workers block signals, so it runs on the
 * main thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/sigint.h"

#include "cli/hook.h"
#include "cli/trace_option.h"
#include "lpool.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_CODE = 130 };

static const char message[] = "interrupted!";

/* A signal handler gets no argument, hence globals. Main thread only. */
static lua_State *volatile state;      /* NULL outside of enter and leave */
static volatile sig_atomic_t pending;  /* the hook is set and has not run */
static volatile sig_atomic_t received; /* since enter */
static volatile time_t last;           /* when, in monotonic seconds */
static lp_saved_hook script_hook;

static void raise_interrupt(lua_State *L, lua_Debug *event)
{
    (void)event; /* The signature is that of lua_Hook. */
    lp_hook_put_back(L, &script_hook);
    pending = 0;
    luaL_error(L, "%s", message);
}

static void on_sigint(int signal)
{
    struct timespec now;
    lua_State *L = state;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (pending || (received && now.tv_sec - last <= 1)) {
        lp_signal_die(signal);
        return;
    }
    received = 1;
    last = now.tv_sec;
    if (lpool_interrupt(L)) return; /* the wait raises */
    pending = 1;
    lp_hook_interpose(L, raise_interrupt, &script_hook);
}

void lp_sigint_enter(lua_State *L)
{
    state = L;
    received = 0;
    pending = 0;
    lp_signal_set(SIGINT, on_sigint);
}

void lp_sigint_leave(void)
{
    lp_signal_set(SIGINT, SIG_DFL);
    if (pending) lp_hook_put_back(state, &script_hook);
    pending = 0;
    state = NULL;
}

bool lp_sigint_caused(lua_State *L, int index)
{
    if (!received) return false;
    if (pending) return true; /* An interrupted system call came first. */
    if (lua_type(L, index) != LUA_TSTRING) return false;

    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    size_t wanted = strlen(message);
    return length >= wanted && strcmp(text + length - wanted, message) == 0;
}

static void on_alarm(int signal)
{
    (void)signal;
    _exit(EXIT_CODE);
}

void lp_sigint_hurry(void)
{
    struct itimerval limit = {{0, 0}, {0, 500000}};

    (void)fflush(stdout); /* There is nobody left to tell of a failure. */
    lp_signal_set(SIGALRM, on_alarm);
    (void)setitimer(ITIMER_REAL, &limit, NULL); /* a valid time: no failure */
}

_Noreturn void lp_sigint_exit(void)
{
    lp_trace_option_end();
    (void)fflush(NULL);
    _exit(EXIT_CODE);
}
