/*
 * line.h - reads lines from the person at the terminal.
 *
 * Lines can be edited, with a history, if GNU readline or libedit is on the
 * machine. It is loaded when it is first needed, so that the program neither
 * depends on it nor starts the later for it. Main thread only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_CLI_LINE_H
#define LP_CLI_LINE_H

#include <lua.h>

typedef struct lp_line_reader {
    char *(*read)(const char *prompt); /* NULL: read stdin as it comes */
    void (*remember)(const char *line);
} lp_line_reader;

void lp_line_open(lp_line_reader *reader);

/*
 * Read a line and push it, without its end, or nil at the end of the input.
 * [-0, +1, m]
 */
void lp_line_push(const lp_line_reader *reader, lua_State *L,
                  const char *prompt);

/* Put a line into the history, if there is one. */
void lp_line_remember(const lp_line_reader *reader, const char *line);

#endif
