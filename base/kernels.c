#include "base/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

static struct cpu_features features;
static pthread_once_t features_once = PTHREAD_ONCE_INIT;

static void
features_ask(void)
{
    const char *how = getenv("NARTHEX_KERNELS");

    if (how != NULL && strcmp(how, "plain") == 0)
        return;
#if defined(__x86_64__)
    __builtin_cpu_init();
    features.sse42 = __builtin_cpu_supports("sse4.2") != 0;
    features.avx2 = __builtin_cpu_supports("avx2") != 0;
    features.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__)
    features.arm_crc = (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
    features.neon = true;
#endif
}

const struct cpu_features *
cpu_features(void)
{
    pthread_once(&features_once, features_ask);
    return &features;
}
