/*
 * options.c - reads the command line as lua does.
 *
 * Options end at the first argument that does not begin with '-', at "-",
 * which is the script itself, and after "--". Options of one letter do not
 * combine; one that takes an argument takes it attached ("-lmod") or as the
 * next word, which may not begin with '-'. Words that are options take it as
 * the next word only.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

typedef struct option {
    const char *name;
    const char *argument; /* what --help calls it; NULL if it takes none */
    const char *help;
    lp_option_kind kind;
} option;

static const option table[] = {
    {"-e", "stat", "run the string 'stat'", LP_OPTION_EXECUTE},
    {"-l", "[g=]mod",
     "require library 'mod' into global 'g' ('mod' if not given)",
     LP_OPTION_REQUIRE},
    {"-i", NULL, "enter interactive mode after the script",
     LP_OPTION_INTERACTIVE},
    {"-v", NULL, "show the version, then go on", LP_OPTION_BANNER},
    {"-E", NULL, "ignore environment variables", LP_OPTION_IGNORE_ENVIRONMENT},
    {"-W", NULL, "turn warnings on", LP_OPTION_WARN},
    {"--stats", NULL, "show at the end what was done, and how fast",
     LP_OPTION_STATS},
    {"--trace", "file", "write what each worker does, and when, for Perfetto",
     LP_OPTION_TRACE},
    {"--help", NULL, "show this list and exit", LP_OPTION_HELP},
    {"--version", NULL, "show the version and exit", LP_OPTION_VERSION},
    {"--", NULL, "stop handling options", LP_OPTION_END},
    {"-", NULL, "stop handling options and run the standard input",
     LP_OPTION_STDIN},
};

static const size_t table_size = sizeof(table) / sizeof(table[0]);

/* The option a word is, or begins with; NULL if none. */
static const option *find(const char *word)
{
    for (size_t i = 0; i < table_size; i++) {
        const option *candidate = &table[i];
        if (strcmp(word, candidate->name) == 0) return candidate;
        if (candidate->argument && candidate->name[1] != '-' &&
            strncmp(word, candidate->name, strlen(candidate->name)) == 0)
            return candidate;
    }
    return NULL;
}

bool lp_options_next(char **argv, int *index, lp_option_use *use)
{
    const char *word = argv[*index];
    const option *found = word ? find(word) : NULL;

    if (!found) return false;
    use->kind = found->kind;
    use->argument = NULL;
    if (found->argument) {
        use->argument = word + strlen(found->name);
        if (*use->argument == '\0') {
            use->argument = argv[*index + 1];
            if (!use->argument || use->argument[0] == '-') return false;
            ++*index;
        }
    }
    ++*index;
    return true;
}

static bool refuse(const char *word)
{
    const option *found = find(word);

    if (found) {
        fprintf(stderr, "lpool: '%s' needs argument '%s'", word,
                found->argument);
    } else {
        fprintf(stderr, "lpool: unrecognized option '%s'", word);
    }
    fputs("; try 'lpool --help'\n", stderr);
    return false;
}

/* Note what one option says; false if no more may follow it. */
static bool apply(const lp_option_use *use, lp_options *options)
{
    switch (use->kind) {
    case LP_OPTION_EXECUTE:
        options->executes = true;
        return true;
    case LP_OPTION_INTERACTIVE:
        options->interactive = true;
        options->shows_banner = true;
        return true;
    case LP_OPTION_BANNER:
        options->shows_banner = true;
        return true;
    case LP_OPTION_IGNORE_ENVIRONMENT:
        options->ignores_environment = true;
        return true;
    case LP_OPTION_STATS:
        options->shows_stats = true;
        return true;
    case LP_OPTION_TRACE:
        options->trace = use->argument;
        return true;
    case LP_OPTION_REQUIRE:
    case LP_OPTION_WARN:
        return true;
    case LP_OPTION_HELP:
        options->wants_help = true;
        return false;
    case LP_OPTION_VERSION:
        options->wants_version = true;
        return false;
    case LP_OPTION_END:
        return false;
    case LP_OPTION_STDIN:
        options->script--; /* It is the script, and not an option. */
        return false;
    }
    return false;
}

bool lp_options_parse(char **argv, lp_options *options)
{
    lp_option_use use;
    bool more = true;

    memset(options, 0, sizeof(*options));
    options->script = argv[0] ? 1 : 0;
    while (more) {
        const char *word = argv[options->script];
        if (!word || word[0] != '-') break;
        if (!lp_options_next(argv, &options->script, &use)) return refuse(word);
        more = apply(&use, options);
    }
    return true;
}

void lp_options_help(void)
{
    printf("usage: lpool [options] [script [args]]\n\n"
           "Run a Lua script, with executors and futures from\n"
           "require \"lpool\". Without a script: the standard input, or\n"
           "interactive mode on a terminal.\n\noptions:\n");
    for (size_t i = 0; i < table_size; i++) {
        const char *argument = table[i].argument ? table[i].argument : "";
        int width = 14 - (int)strlen(table[i].name);
        printf("  %s%s%-*s %s\n", table[i].name, *argument ? " " : "",
               *argument ? width - 1 : width, argument, table[i].help);
    }
}
