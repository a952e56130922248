/* numbers.c - the sizes of numbers. */
#include "shared/numbers.h"

size_t lp_number_size(lp_number type)
{
    static const uint8_t sizes[LP_NUMBER_TYPES] = {
        [LP_NUMBER_U8] = 1,  [LP_NUMBER_I32] = 4, [LP_NUMBER_I64] = 8,
        [LP_NUMBER_F32] = 4, [LP_NUMBER_F64] = 8,
    };
    return sizes[type];
}
