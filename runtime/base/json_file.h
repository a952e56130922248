/*
 * json_file.h - a file with a JSON array that is whole after each append,
 * whenever and however the program ends.
 *
 * One thread at a time appends. Nobody else writes the file.
 */
#ifndef LP_BASE_JSON_FILE_H
#define LP_BASE_JSON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lp_json_file {
    int fd;
    int64_t end; /* of the elements: the array's end follows */
    bool empty;
} lp_json_file;

/* Make a file with an empty array. 0, or LP_SYSTEM: see errno. */
int lp_json_file_open(lp_json_file *file, const char *path);

/*
 * Append elements, each with a comma before it. 0; or LP_SYSTEM: see errno,
 * and the array is as it was, if the system lets us repair it.
 */
int lp_json_file_append(lp_json_file *file, const char *elements,
                        size_t length);

/* The file stays as it is. */
void lp_json_file_close(lp_json_file *file);

#endif
