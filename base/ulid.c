#include "base/ulid.h"

/* No I, L, O, U. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct ulid
ulid_new(const struct clock *clock)
{
    struct ulid id;
    uint64_t ms = (uint64_t)clock_now_ms(clock), low = clock_random(clock),
             high = clock_random(clock);

    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    memcpy(id.bytes + 6, &low, 8);
    memcpy(id.bytes + 14, &high, 2);
    return id;
}

/* 130 bits in 26 groups of five; the first two are zero. */
void
ulid_format(const struct ulid *id, char out[ULID_CHARS + 1])
{
    for (int i = 0; i < ULID_CHARS; i++) {
        unsigned value = 0;
        for (int bit = 5 * i - 2; bit < 5 * i + 3; bit++)
            value = value << 1 | (bit < 0 ? 0u : id->bytes[bit / 8] >> (7 - bit % 8) & 1u);
        out[i] = alphabet[value];
    }
    out[ULID_CHARS] = '\0';
}

bool
ulid_parse(struct str s, struct ulid *id)
{
    struct ulid parsed = { { 0 } };

    if (s.n != ULID_CHARS || s.p[0] > '7')
        return false;
    for (int i = 0; i < ULID_CHARS; i++) {
        int c = s.p[i] >= 'a' && s.p[i] <= 'z' ? s.p[i] - 'a' + 'A' : s.p[i];
        const char *at = c == '\0' ? NULL : strchr(alphabet, c);
        if (at == NULL)
            return false;
        unsigned value = (unsigned)(at - alphabet);
        for (int k = 0, bit = 5 * i - 2; k < 5; k++, bit++) {
            if (bit >= 0 && (value >> (4 - k) & 1) != 0)
                parsed.bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
        }
    }
    *id = parsed;
    return true;
}

int64_t
ulid_ms(const struct ulid *id)
{
    int64_t ms = 0;

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}
