/*
 * main.c - the lpool program: what lua does, with lpool at hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/chunk.h"
#include "cli/options.h"
#include "cli/repl.h"
#include "cli/trace_option.h"
#include "lpool.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The command line, on its way into protected mode. */
typedef struct command_line {
    char **argv;
    int argc;
    lp_options options;
} command_line;

static void print_version(void)
{
    printf("lpool %s (%s)\n", lpool_version(), LUA_COPYRIGHT);
    (void)fflush(stdout); /* The next write will fail too, and say so. */
}

/* Set the global 'arg': the script at 0, what precedes it below. [e] */
static void set_arg(lua_State *L, const command_line *line)
{
    int script = line->options.script;
    if (script == line->argc) script = 0; /* Then argv[0] is at 0. */

    lua_createtable(L, line->argc - script, script + 1);
    for (int i = 0; i < line->argc; i++) {
        lua_pushstring(L, line->argv[i]);
        lua_rawseti(L, -2, i - script);
    }
    lua_setglobal(L, "arg");
}

static const char *environment(const char *name)
{
    return getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
}

/* Run LUA_INIT, or the variable of this version, which comes first. [e] */
static bool run_init(lua_State *L)
{
    const char *name = "=LUA_INIT" LUA_VERSUFFIX;
    const char *init = environment(name + 1);

    if (!init) {
        name = "=LUA_INIT";
        init = environment(name + 1);
    }
    if (!init) return true;
    return *init == '@' ? lp_chunk_file(L, init + 1)
                        : lp_chunk_string(L, init, name);
}

/* Do what the options before the script ask for, in their order. [e] */
static bool run_options(lua_State *L, const command_line *line)
{
    int index = 1;
    bool fine = true;
    lp_option_use use;

    while (fine && index < line->options.script &&
           lp_options_next(line->argv, &index, &use)) {
        if (use.kind == LP_OPTION_EXECUTE) {
            fine = lp_chunk_string(L, use.argument, "=(command line)");
        } else if (use.kind == LP_OPTION_REQUIRE) {
            fine = lp_chunk_library(L, use.argument);
        } else if (use.kind == LP_OPTION_WARN) {
            lua_warning(L, "@on", 0);
        }
    }
    return fine;
}

/* Run the script; "-" is the standard input, except after "--". [e] */
static bool run_script(lua_State *L, const command_line *line)
{
    char **script = line->argv + line->options.script;
    bool is_stdin =
        strcmp(script[0], "-") == 0 && strcmp(script[-1], "--") != 0;

    return lp_chunk_script(L, is_stdin ? NULL : script[0]);
}

/* Without a script: interactive mode, or a script on stdin. [e] */
static bool run_input(lua_State *L, const lp_options *options)
{
    if (options->interactive) {
        lp_repl_run(L);
        return true;
    }
    if (options->executes || options->shows_banner) return true;
    if (!isatty(STDIN_FILENO)) return lp_chunk_file(L, NULL);
    print_version();
    lp_repl_run(L);
    return true;
}

static void print_times(const char *what, const lpool_times *times)
{
    fprintf(stderr,
            "lpool: %s p50 %.6f s, p90 %.6f s, p99 %.6f s, at most %.6f s\n",
            what, (double)times->p50 / 1e9, (double)times->p90 / 1e9,
            (double)times->p99 / 1e9, (double)times->longest / 1e9);
}

/* What all pools of the program have done. [-] */
static void print_stats(lua_State *L, int64_t began)
{
    lpool_stats stats = {.size = sizeof(stats)};
    (void)fflush(stdout); /* Output before it shows before it. */
    if (lpool_of(L)) (void)lpool_host_stats(lpool_of(L), &stats);
    fprintf(
        stderr,
        "lpool: %llu tasks in %.3f s: %llu completed, %llu failed, %llu "
        "cancelled, %llu lost\n",
        (unsigned long long)stats.submitted,
        (double)(lpool_now() - began) / 1e9,
        (unsigned long long)stats.completed, (unsigned long long)stats.failed,
        (unsigned long long)stats.cancelled, (unsigned long long)stats.lost);
    if (stats.submitted == 0) return;
    print_times("ran:", &stats.run);
    print_times("waited:", &stats.wait);
}

/* run(command line) -> true if all went well. */
static int run(lua_State *L)
{
    const command_line *line = lua_touserdata(L, 1);
    const lp_options *options = &line->options;
    bool has_script = options->script < line->argc;
    int64_t began = lpool_now();

    luaL_checkversion(L);
    if (options->ignores_environment) {
        lua_pushboolean(L, 1); /* The libraries look for this field. */
        lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    }
    luaL_openlibs(L);
    lpool_openlibs(L);
    set_arg(L, line);
    lua_gc(L, LUA_GCGEN, 0, 0); /* as lua does */

    bool fine = !options->trace || lp_trace_option_begin(L, options->trace);
    fine = fine && (options->ignores_environment || run_init(L)) &&
           run_options(L, line) && (!has_script || run_script(L, line));
    if (fine && (!has_script || options->interactive))
        fine = run_input(L, options);
    fine = lp_chunk_finish(L) && fine;
    if (options->shows_stats) print_stats(L, began);
    lua_pushboolean(L, fine);
    return 1;
}

static int run_program(command_line *line)
{
    lua_State *L = lpool_newstate();
    if (!L) {
        fputs("lpool: cannot create a state: not enough memory\n", stderr);
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, line);
    int status = lua_pcall(L, 1, 1, 0);
    bool fine = status == LUA_OK && lua_toboolean(L, -1);
    if (status != LUA_OK) lp_chunk_report(L, "lpool");
    /* Finishes what was submitted, and joins the workers. */
    lpool_closestate(L);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    command_line line = {argv, argc, {0}};
    const lp_options *options = &line.options;

    lpool_config config;
    lpool_config_init(&config);
    lpool_config_lua(&config);
    int code = lpool_helper_main(argc, argv, &config);
    if (code >= 0) return code;

    if (!lp_options_parse(argv, &line.options)) return EXIT_FAILURE;
    if (options->wants_help) {
        lp_options_help();
        return EXIT_SUCCESS;
    }
    if (options->shows_banner || options->wants_version) print_version();
    if (options->wants_version) return EXIT_SUCCESS;
    return run_program(&line);
}
