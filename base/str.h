/* base/str.h: a borrowed piece of text, passed by value: not NUL-terminated, may hold any byte.
 *
 * A str owns nothing and is valid while the bytes it points to are. p may be NULL only when n is 0.
 */
#pragma once
#include <string.h>
#include "base/util.h"

struct str {
    const char *p;
    size_t n;
};

/* Raw bytes, likewise borrowed: chunk data, records, bodies. */
struct bytes {
    const uint8_t *p;
    size_t n;
};

#define STR(lit)   ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_NONE   ((struct str){ NULL, 0 })
#define STR_ARG(s) (int)(s).n, (s).p == NULL ? "" : (s).p /* for "%.*s" */

static inline struct str
str_c(const char *z)
{
    return (struct str){ z, z == NULL ? 0 : strlen(z) };
}

static inline bool
str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
str_is(struct str a, const char *z)
{
    return str_eq(a, str_c(z));
}

/* Bytewise order; a prefix sorts first. As Go compares strings. */
static inline int
str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static inline struct str
str_skip(struct str s, size_t n)
{
    return (struct str){ s.p + n, s.n - n };
}

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Index of the first byte c at or after `from`, or s.n. */
size_t str_find(struct str s, char c, size_t from);
/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);
/* A NUL-terminated copy on the heap; the caller frees it. */
char *str_dup(struct str s);

/* True when s is well-formed UTF-8: no overlong forms, surrogates or values above U+10FFFF (as Go's
 * utf8.ValidString). */
bool str_utf8_valid(struct str s);
/* Decodes the rune at s.p[0]; returns its length, or 1 with *rune = 0xFFFD when malformed; 0 when s
 * is empty. */
size_t str_rune(struct str s, uint32_t *rune);
