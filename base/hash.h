/* base/hash.h: the 64-bit hash of labels, symbols and keys: XXH64 with seed 0, as Prometheus hashes
 * labels where it shows. Pure, thread-safe. Inlined, since most keys are a few bytes long. */
#pragma once
#include "base/str.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t
hash64(const void *p, size_t n)
{
    return XXH64(p, n, 0);
}

static inline uint64_t
hash64_str(struct str s)
{
    return XXH64(s.p, s.n, 0);
}

/* Mixes one more value into a hash; for keys made of ids. Not XXH64 of the concatenation. */
static inline uint64_t
hash64_mix(uint64_t hash, uint64_t more)
{
    hash ^= more + 0x9E3779B97F4A7C15u + (hash << 6) + (hash >> 2);
    hash ^= hash >> 32;
    return hash * 0xD6E8FEB86659FD93u;
}
