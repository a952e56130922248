/* mark.c - the secret. */
#include "base/mark.h"

#include <unistd.h>

_Atomic uint64_t lp_mark_secret;

void lp_mark_open(void)
{
    uint64_t none = 0, secret;
    if (atomic_load(&lp_mark_secret) != 0) return;
    if (getentropy(&secret, sizeof(secret)) != 0)
        secret = (uintptr_t)&secret * UINT64_C(0x9E3779B97F4A7C15);
    secret = (secret | 256) & ~UINT64_C(0xff); /* not zero; see lp_mark */
    (void)atomic_compare_exchange_strong(&lp_mark_secret, &none, secret);
}
