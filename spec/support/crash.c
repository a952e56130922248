/* crash.c - a Lua module of what no program should do; for specs. */
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* crash.untrap(): lets the signals that sanitizers catch kill again. */
static int untrap(lua_State *L)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    (void)L;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], SIG_DFL);
    return 0;
}

/* crash.segfault(): writes to where nothing is. */
static int segfault(lua_State *L)
{
    untrap(L);
    *(volatile int *)16 = 1;
    return 0;
}

/* crash.exit(code): _exit. */
static int exit_at_once(lua_State *L)
{
    _exit((int)luaL_checkinteger(L, 1));
}

/* crash.exit_normally(code): exit, with all its handlers. */
static int exit_normally(lua_State *L)
{
    exit((int)luaL_checkinteger(L, 1));
}

static int call_abort(lua_State *L)
{
    (void)L;
    abort();
}

/* crash.raise(number): with the signal's default action. */
static int raise_signal(lua_State *L)
{
    int number = (int)luaL_checkinteger(L, 1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signal(number, SIG_DFL);
    raise(number);
    return 0;
}

static int sink(volatile char *above)
{
    volatile char frame[4096];
    frame[0] = above ? above[0] : 0;
    return sink(frame) + frame[0];
}

/* crash.overflow(): fills the stack of C. */
static int overflow(lua_State *L)
{
    untrap(L);
    lua_pushinteger(L, sink(NULL));
    return 1;
}

/* crash.fork(): forks a child that lives until it is killed; gives its pid. */
static int fork_child(lua_State *L)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    lua_pushinteger(L, pid);
    return 1;
}

/* crash.exit_in_fork(): forks a child that ends as a program should not. */
static int exit_in_fork(lua_State *L)
{
    pid_t pid = fork();
    if (pid == 0) exit(0);
    lua_pushinteger(L, pid);
    return 1;
}

/* crash.close_all(): closes every descriptor, as daemons do. */
static int close_all(lua_State *L)
{
    (void)L;
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    return 0;
}

/* Write over some words of a region, chosen by the seed. */
static void spoil(uint32_t *words, size_t count, unsigned seed)
{
    for (int i = 0; i < 200; i++) {
        size_t at = (size_t)rand_r(&seed) % count;
        uint32_t value = (uint32_t)rand_r(&seed);
        words[at] = value & 1 ? value : value >> 1 & 15;
    }
}

/*
 * crash.scribble(name [, seed]): fills what is mapped of files of that name,
 * as far as it can be written, or with a seed some words of it; and dies.
 */
static int scribble(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    unsigned seed = (unsigned)luaL_optinteger(L, 2, 0);
    untrap(L);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long first, last;
        char flags[5];
        if (!strstr(line, name)) continue;
        if (sscanf(line, "%lx-%lx %4s", &first, &last, flags) != 3) continue;
        if (flags[1] != 'w') continue;
        /* A file that is shorter than its mapping ends this by SIGBUS. */
        if (seed == 0) {
            memset((void *)first, 0xA5, last - first);
        } else {
            size_t size = last - first < 65536 ? last - first : 65536;
            spoil((uint32_t *)first, size / sizeof(uint32_t), seed);
        }
    }
    raise(SIGKILL);
    return 0;
}

/* crash.limit(name, n): setrlimit. */
static int limit(lua_State *L)
{
    static const char *const names[] = {"as", "nproc", "nofile", "cpu", NULL};
    static const int numbers[] = {RLIMIT_AS, RLIMIT_NPROC, RLIMIT_NOFILE,
                                  RLIMIT_CPU};
    int which = numbers[luaL_checkoption(L, 1, NULL, names)];
    struct rlimit now;
    getrlimit(which, &now);
    now.rlim_cur = (rlim_t)luaL_checkinteger(L, 2);
    lua_pushboolean(L, setrlimit(which, &now) == 0);
    return 1;
}

int luaopen_crash(lua_State *L);
int luaopen_crash(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"untrap", untrap},
        {"segfault", segfault},
        {"exit", exit_at_once},
        {"exit_normally", exit_normally},
        {"abort", call_abort},
        {"raise", raise_signal},
        {"overflow", overflow},
        {"fork", fork_child},
        {"exit_in_fork", exit_in_fork},
        {"close_all", close_all},
        {"scribble", scribble},
        {"limit", limit},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
