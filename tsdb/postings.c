/* Galloping finds the next element by doubling steps, then halving: a small set against a large one
 * costs the small one's size times the log of the gaps. Wide unions mark bits over the sets' range
 * and collect them again: 2 ns an element against 30 for a heap. */
#include "tsdb/postings.h"

#include <string.h>

enum {
    MERGE_SETS_MAX = 2, /* more than two are dearer to merge pairwise than to mark */
    WORD_BITS = 64
};

/* The first index >= from with v[index] >= want, or nr. */
static size_t
gallop(const uint32_t *v, size_t nr, size_t from, uint32_t want)
{
    size_t step = 1, lo = from, hi = from;

    while (hi < nr && v[hi] < want) {
        lo = hi + 1;
        hi += step;
        step *= 2;
    }
    hi = MIN(hi, nr);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid] < want)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool
postings_has(struct postings set, uint32_t v)
{
    size_t i = gallop(set.v, set.nr, 0, v);

    return i < set.nr && set.v[i] == v;
}

/* Sets of about equal size: one step each, without branches on the data. */
static size_t
intersect_linear(uint32_t *out, struct postings a, struct postings b)
{
    size_t i = 0, j = 0, n = 0;

    while (i < a.nr && j < b.nr) {
        uint32_t x = a.v[i], y = b.v[j];
        out[n] = x;
        n += x == y;
        i += x <= y;
        j += y <= x;
    }
    return n;
}

static size_t
intersect_gallop(uint32_t *out, struct postings small, struct postings large)
{
    size_t at = 0, n = 0;

    for (size_t i = 0; i < small.nr; i++) {
        at = gallop(large.v, large.nr, at, small.v[i]);
        if (at == large.nr)
            break;
        if (large.v[at] == small.v[i])
            out[n++] = small.v[i];
    }
    return n;
}

static size_t
smallest(const struct postings *sets, size_t nr)
{
    size_t best = 0;

    for (size_t i = 1; i < nr; i++)
        if (sets[i].nr < sets[best].nr)
            best = i;
    return best;
}

struct postings
postings_intersect(struct arena *a, const struct postings *sets, size_t nr)
{
    enum { GALLOP_RATIO = 16 };
    size_t lead = smallest(sets, nr);
    struct postings r = sets[lead];

    if (nr == 1 || r.nr == 0)
        return r;
    uint32_t *out = arena_alloc(a, arena_array_bytes(r.nr + 1, sizeof *out));
    for (size_t i = 0; i < nr && r.nr != 0; i++) {
        if (i == lead)
            continue;
        /* Writing onto its own input is fine: what is written was read before. */
        if (sets[i].nr / GALLOP_RATIO > r.nr)
            r.nr = intersect_gallop(out, r, sets[i]);
        else
            r.nr = intersect_linear(out, r, sets[i]);
        r.v = out;
    }
    return r;
}

static struct postings
union_merge(struct arena *arena, struct postings a, struct postings b)
{
    uint32_t *out = arena_alloc(arena, arena_array_bytes(a.nr + b.nr + 1, sizeof *out));
    size_t i = 0, j = 0, n = 0;

    while (i < a.nr && j < b.nr) {
        uint32_t x = a.v[i], y = b.v[j];
        out[n++] = MIN(x, y);
        i += x <= y;
        j += y <= x;
    }
    if (i < a.nr)
        memcpy(out + n, a.v + i, (a.nr - i) * sizeof *out);
    n += a.nr - i;
    if (j < b.nr)
        memcpy(out + n, b.v + j, (b.nr - j) * sizeof *out);
    n += b.nr - j;
    return (struct postings){ out, n };
}

static size_t
bits_collect(const uint64_t *bits, size_t words_nr, uint32_t base, uint32_t *out)
{
    size_t n = 0;

    for (size_t w = 0; w < words_nr; w++)
        for (uint64_t left = bits[w]; left != 0; left &= left - 1)
            out[n++] = base + (uint32_t)(w * WORD_BITS) + (uint32_t)__builtin_ctzll(left);
    return n;
}

static struct postings
union_bitmap(struct arena *a, const struct postings *sets, size_t nr, uint32_t lo, uint32_t hi,
             size_t total)
{
    size_t words_nr = (size_t)(hi - lo) / WORD_BITS + 1;
    uint32_t *out =
        arena_alloc(a, arena_array_bytes(MIN(total, words_nr * WORD_BITS), sizeof *out));
    struct arena_mark mark = arena_mark(a);
    uint64_t *bits = ARENA_NEW_ARRAY(a, uint64_t, words_nr);

    for (size_t s = 0; s < nr; s++) {
        for (size_t i = 0; i < sets[s].nr; i++) {
            uint32_t at = sets[s].v[i] - lo;
            bits[at / WORD_BITS] |= UINT64_C(1) << at % WORD_BITS;
        }
    }
    size_t n = bits_collect(bits, words_nr, lo, out);
    arena_rewind(a, mark);
    return (struct postings){ out, n };
}

/* Sparse sets over a wide range: halves are merged, log(nr) passes over the elements. */
static struct postings
union_halves(struct arena *a, const struct postings *sets, size_t nr)
{
    if (nr == 0)
        return POSTINGS_NONE;
    if (nr == 1)
        return sets[0];
    return union_merge(a, union_halves(a, sets, nr / 2),
                       union_halves(a, sets + nr / 2, nr - nr / 2));
}

struct postings
postings_union(struct arena *a, const struct postings *sets, size_t nr)
{
    uint32_t lo = UINT32_MAX, hi = 0;
    size_t total = 0, used = 0, last = 0;

    for (size_t i = 0; i < nr; i++) {
        if (sets[i].nr == 0)
            continue;
        lo = MIN(lo, sets[i].v[0]);
        hi = MAX(hi, sets[i].v[sets[i].nr - 1]);
        total += sets[i].nr;
        used++;
        last = i;
    }
    if (used == 0)
        return POSTINGS_NONE;
    if (used == 1)
        return sets[last];
    /* Clearing and scanning a word costs about an eighth of merging an element. */
    bool dense = (size_t)(hi - lo) / WORD_BITS < total * 8;
    if (used <= MERGE_SETS_MAX || !dense)
        return union_halves(a, sets, nr);
    return union_bitmap(a, sets, nr, lo, hi, total);
}

struct postings
postings_subtract(struct arena *a, struct postings from, struct postings minus)
{
    uint32_t *out = arena_alloc(a, arena_array_bytes(from.nr + 1, sizeof *out));
    size_t at = 0, n = 0;

    if (minus.nr == 0)
        return from;
    for (size_t i = 0; i < from.nr; i++) {
        at = gallop(minus.v, minus.nr, at, from.v[i]);
        if (at == minus.nr || minus.v[at] != from.v[i])
            out[n++] = from.v[i];
    }
    return (struct postings){ out, n };
}
