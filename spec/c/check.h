/*
 * check.h - a claim of a test in C, and how many did not hold. Each test is a
 * program of its own.
 */
#ifndef SPEC_C_CHECK_H
#define SPEC_C_CHECK_H

#include <stdio.h>

static int failures;

#define CHECK(claim)                                                           \
    do {                                                                       \
        if (!(claim)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,         \
                    #claim);                                                   \
            failures++;                                                        \
        }                                                                      \
    } while (0)

#endif
