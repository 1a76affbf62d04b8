/* base/ulid.h: the names of blocks: 48 bits of milliseconds and 80 random bits in Crockford's base
 * 32, 26 characters, so that names sort by time. Pure apart from the clock that is passed in. */
#pragma once
#include "base/clock.h"
#include "base/str.h"

#define ULID_CHARS 26

struct ulid {
    uint8_t bytes[16];
};

struct ulid ulid_new(const struct clock *clock);
/* NUL-terminated. */
void ulid_format(const struct ulid *id, char out[ULID_CHARS + 1]);
/* False when s is not exactly a ULID (upper case, as Prometheus writes them; lower case is taken
 * too). */
MUST_CHECK bool ulid_parse(struct str s, struct ulid *id);
int64_t ulid_ms(const struct ulid *id);
static inline int
ulid_cmp(const struct ulid *a, const struct ulid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}
