/*
 * find_helper.c - looks for the program that process pools run.
 *
 * A program that was not made for it must never be run as a helper: it would
 * do whatever it does, again. So this program serves only if it has called
 * lpool_helper_main. That is a fact of the program and not of a host, which
 * is why it is the one variable here that all hosts share.
 *
 * The installed lpool is looked for near the file this code was loaded from,
 * and only then in the folder that the build was configured for: so a tree
 * that was moved, or a rock, finds the program that came with it.
 */
#include "api/find_helper.h"

#include "api/api.h"
#include "base/alloc.h"
#include "base/status.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The build says where make install puts the program. */
#ifndef LP_PROGRAM_PATH
#    define LP_PROGRAM_PATH "/usr/local/bin/lpool"
#endif

static const char variable[] = "LPOOL_HELPER";

static atomic_bool announced;

void lp_helper_announce(void)
{
    atomic_store(&announced, true);
}

static int copy_path(const lpool *pool, const char *from, char **path)
{
    *path = lp_alloc_text(pool->host.allocator, from);
    return *path ? LP_OK : LP_NOMEM;
}

/* The folder above that of path, so many times; false if there is none. */
static bool climb(char *path, int levels)
{
    for (int i = 0; i <= levels; i++) {
        char *slash = strrchr(path, '/');
        if (!slash) return false;
        *slash = '\0';
    }
    return true;
}

/*
 * bin/lpool of the tree in which this code lies, as PREFIX/lib/liblpool.so or
 * as PREFIX/lib/lua/5.4/lpool/core.so. If there is none, the file of this
 * code, for people. found has room for PATH_MAX bytes.
 */
static bool find_beside(char *found)
{
    static const int levels[] = {1, 4};
    static const char program[] = "/bin/lpool";
    Dl_info library;
    char file[PATH_MAX];
    if (!dladdr(levels, &library) || !library.dli_fname ||
        !realpath(library.dli_fname, file))
        return false;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        memcpy(found, file, sizeof(file));
        if (!climb(found, levels[i]) ||
            strlen(found) + sizeof(program) > PATH_MAX)
            continue;
        memcpy(found + strlen(found), program, sizeof(program));
        if (access(found, X_OK) == 0) return true;
    }
    memcpy(found, file, sizeof(file));
    return false;
}

/* The program, or NULL: then text says where it was looked for. */
static const char *find(const char *configured, char *beside, char *text,
                        size_t size)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment. */
    const char *wanted = configured ? configured : secure_getenv(variable);
    if (wanted && *wanted) {
        if (access(wanted, X_OK) == 0) return wanted;
        snprintf(text, size, "the helper program '%s' (from %s) cannot be run",
                 wanted, configured ? "lpool_config.helper" : variable);
        return NULL;
    }
    if (atomic_load(&announced)) return "/proc/self/exe";
    if (find_beside(beside)) return beside;
    if (access(LP_PROGRAM_PATH, X_OK) == 0) return LP_PROGRAM_PATH;
    snprintf(text, size,
             "no helper program for process pools: there is no '%s', and none "
             "beside '%s'; set %s to the path of the lpool program",
             LP_PROGRAM_PATH, *beside ? beside : "?", variable);
    return NULL;
}

int lp_pool_find_helper(lua_State *L, lpool *pool)
{
    char beside[PATH_MAX] = "", text[3 * PATH_MAX];
    int status = LP_OK;
    lp_lock_enter(&pool->lock);
    if (!pool->helper) {
        const char *found =
            find(pool->config.helper, beside, text, sizeof(text));
        status = found ? copy_path(pool, found, &pool->helper) : LP_NOHELPER;
    }
    lp_lock_leave(&pool->lock);
    if (status == LP_NOHELPER) lua_pushstring(L, text);
    return status;
}
