/* hash.h - a fast 64-bit hash of bytes. Not for keys a stranger chooses. */
#ifndef LP_BASE_HASH_H
#define LP_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Spread the bits of a word over all of it (the finalizer of MurmurHash3). */
static inline uint64_t lp_hash_word(uint64_t word)
{
    word ^= word >> 33;
    word *= 0xff51afd7ed558ccdu;
    word ^= word >> 33;
    word *= 0xc4ceb9fe1a85ec53u;
    return word ^ (word >> 33);
}

static inline uint64_t lp_hash_bytes(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t hash = length;
    uint64_t word;

    for (; length >= sizeof(word); length -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
        at += sizeof(word);
    }
    word = 0;
    if (length > 0) memcpy(&word, at, length);
    return lp_hash_word(hash ^ word);
}

#endif
