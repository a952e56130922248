/*
 * json.h - putting JSON together, in memory that is large enough, for a zero
 * behind it too: each function writes at at, and gives where it ended.
 */
#ifndef LP_BASE_JSON_H
#define LP_BASE_JSON_H

#include <stdint.h>

/* A byte of a text takes this many at most. */
#define LP_JSON_GROWTH 6u

/* Text that is JSON already. */
char *lp_json_raw(char *at, const char *text);

/*
 * Text for the inside of a string. What is not UTF-8 is taken for Latin 1, so
 * that the result is JSON whatever the text.
 */
char *lp_json_text(char *at, const char *text);

char *lp_json_number(char *at, uint64_t number);

/* Nanoseconds as microseconds: 1234567 is 1234.567. */
char *lp_json_microseconds(char *at, int64_t nanoseconds);

#endif
