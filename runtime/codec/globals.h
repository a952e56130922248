/*
 * globals.h - reads bytecode: which globals a function uses.
 *
 * Works on what lua_dump writes, format 5.4, without Lua. Any thread.
 */
#ifndef LP_CODEC_GLOBALS_H
#define LP_CODEC_GLOBALS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytecode instructions that others than globals.c know. */
enum { LP_OP_CLOSURE = 79, LP_OP_RETURN = 70 };

#define LP_MOST_UPVALUES 255

/* Where things are in a dump, and what its upvalues are called. */
typedef struct lp_layout {
    size_t function; /* offset of the function: what comes before is header */
    size_t code;     /* offset of its first instruction */
    size_t upvalues; /* offset of the descriptions, three bytes each */
    unsigned upvalue_count;
    bool named; /* there are names: the debug information is there */
    bool environments[LP_MOST_UPVALUES]; /* which are called _ENV */
} lp_layout;

/* One access to a global. */
typedef struct lp_access {
    const char *name; /* borrowed from the dump, not terminated */
    size_t length;
    bool assigns;
} lp_access;

/* Whether the dump begins as those of Lua 5.4 on this machine do. */
bool lp_globals_check_header(const uint8_t *dump, size_t length);

/* 0, or LP_CORRUPT if the dump has not the form we know. */
int lp_globals_layout(const uint8_t *dump, size_t length, lp_layout *layout);

/*
 * Append an lp_access to accesses for each one in the function and those
 * inside it, where environments says which upvalues hold the globals. Gives
 * also whether some other upvalue is assigned to. 0, LP_CORRUPT, LP_NOMEM.
 */
int lp_globals_scan(const uint8_t *dump, size_t length, const lp_layout *layout,
                    lp_buffer *accesses, bool *assigns);

#endif
