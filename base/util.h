/* base/util.h: the few macros that every file may use.
 *
 * ASSERT states what only a bug of ours can break; it stays on in every build, prints the
 * expression with its place and aborts. Bytes from disk, wire or user are input: they are checked
 * and refused, never asserted. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a)          (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, t, m) ((t *)(void *)((char *)(p)-offsetof(t, m)))
#define MIN(a, b)             ((a) < (b) ? (a) : (b))
#define MAX(a, b)             ((a) > (b) ? (a) : (b))

#define MUST_CHECK            __attribute__((warn_unused_result))
#define PRINTF(f, a)          __attribute__((format(printf, f, a)))
#define NORETURN              __attribute__((noreturn))
#define LIKELY(x)             __builtin_expect(!!(x), 1)
#define UNLIKELY(x)           __builtin_expect(!!(x), 0)

#define ASSERT(cond)                                  \
    do {                                              \
        if (UNLIKELY(!(cond)))                        \
            assert_failed(#cond, __FILE__, __LINE__); \
    } while (0)

NORETURN void assert_failed(const char *cond, const char *file, int line);

/* Times are milliseconds since the epoch unless a name says otherwise. These stand for "no bound";
 * they are the bounds that Prometheus uses for queries without start or end. */
#define TIME_MIN_MS INT64_MIN
#define TIME_MAX_MS INT64_MAX
