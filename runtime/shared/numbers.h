/*
 * numbers.h - counters and buffers: numbers that all processes map.
 *
 * They are read and written without a lock; each number by itself is whole.
 */
#ifndef LP_SHARED_NUMBERS_H
#define LP_SHARED_NUMBERS_H

#include "shared/object.h"

typedef enum lp_number {
    LP_NUMBER_U8,
    LP_NUMBER_I32,
    LP_NUMBER_I64,
    LP_NUMBER_F32,
    LP_NUMBER_F64,
    LP_NUMBER_TYPES
} lp_number;

/* Bytes of one number. */
size_t lp_number_size(lp_number type);

static inline _Atomic int64_t *lp_counter_value(const lp_object *counter)
{
    return counter->memory;
}

/* Of a buffer: its type, and how many numbers its memory has. */
static inline lp_number lp_numbers_type(const lp_object *buffer)
{
    return (lp_number)buffer->numbers[0];
}

static inline uint64_t lp_numbers_count(const lp_object *buffer)
{
    return buffer->numbers[1];
}

#endif
