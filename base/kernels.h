/* base/kernels.h: which instructions this CPU has, asked once; each module with a wide version of a
 * loop keeps its own small table of functions and picks by these flags at start (never
 * target_clones: it breaks the thread sanitizer). A wide kernel returns the plain one's bits; a
 * test compares them. Immutable after the first call; thread-safe. */
#pragma once
#include "base/util.h"

struct cpu_features {
    bool sse42, avx2, avx512; /* x86-64; avx512 means F, DQ, BW and VL */
    bool arm_crc, neon;       /* arm64 */
};

/* NARTHEX_KERNELS=plain in the environment switches all wide kernels off (tests and bug reports).
 */
const struct cpu_features *cpu_features(void);
