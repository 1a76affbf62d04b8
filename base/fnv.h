/* base/fnv.h: FNV-1a, 32 and 64 bits, as Prometheus spreads scrapes and rule groups over their
 * intervals. Chained: start with FNV64_START, feed the pieces in order. Pure. */
#pragma once
#include "base/str.h"

#define FNV64_START 14695981039346656037u
#define FNV32_START 2166136261u

static inline uint64_t
fnv64a(uint64_t hash, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (uint8_t)s.p[i]) * 1099511628211u;
    return hash;
}

static inline uint32_t
fnv32a(uint32_t hash, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (uint8_t)s.p[i]) * 16777619u;
    return hash;
}
