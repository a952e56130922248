/*
 * options.h - the command line: one table of options, which the parser,
 * --help and (through a spec that compares them) the manual page share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_OPTIONS_H
#define LP_CLI_OPTIONS_H

#include <stdbool.h>

typedef enum lp_option_kind {
    LP_OPTION_EXECUTE,            /* -e: run a string */
    LP_OPTION_REQUIRE,            /* -l: require a module */
    LP_OPTION_INTERACTIVE,        /* -i */
    LP_OPTION_BANNER,             /* -v: the version, and then go on */
    LP_OPTION_IGNORE_ENVIRONMENT, /* -E */
    LP_OPTION_WARN,               /* -W */
    LP_OPTION_STATS,              /* --stats */
    LP_OPTION_TRACE,              /* --trace: write a trace file */
    LP_OPTION_HELP,               /* --help */
    LP_OPTION_VERSION,            /* --version: and nothing else */
    LP_OPTION_END,                /* --: what follows is the script */
    LP_OPTION_STDIN,              /* -: the script is the standard input */
} lp_option_kind;

/* What the whole line says. */
typedef struct lp_options {
    int script; /* index of the script in argv; argc if there is none */
    bool wants_help;
    bool wants_version;
    bool shows_banner;
    bool executes; /* there is an -e */
    bool interactive;
    bool ignores_environment;
    bool shows_stats;
    const char *trace; /* the file; borrowed from argv; NULL: none */
} lp_options;

/* One option as it was given. */
typedef struct lp_option_use {
    lp_option_kind kind;
    const char *argument; /* borrowed from argv; NULL if it takes none */
} lp_option_use;

/* Read the line. False if it is wrong; stderr then says how. */
bool lp_options_parse(char **argv, lp_options *options);

/*
 * Read the option at argv[*index] and move *index past it and its argument.
 * False if no option is there, or a wrong one.
 */
bool lp_options_next(char **argv, int *index, lp_option_use *use);

/* Print what --help shows. */
void lp_options_help(void);

#endif
