/* Spans and buckets rearranged: copies, conversions, compaction, coarser schemas. Everything that
 * changes the layout writes a side out as (index, count) pairs, works on those, and makes spans
 * again, so that adjacent buckets always end up in one span and empty spans never appear. */
#include "model/histogram_priv.h"

#include <math.h>

static void *
dup_array(const void *p, size_t nr, size_t item, struct arena *a)
{
    if (nr == 0)
        return NULL;
    void *copy = arena_alloc(a, arena_array_bytes(nr, item));
    memcpy(copy, p, nr * item);
    return copy;
}

static void
side_copy(struct histogram_side *side, struct arena *a)
{
    side->spans = dup_array(side->spans, side->spans_nr, sizeof side->spans[0], a);
    /* Deltas and counts have the same size. */
    side->counts = dup_array(side->counts, side->buckets_nr, sizeof side->counts[0], a);
}

struct histogram *
histogram_copy(const struct histogram *h, struct arena *a)
{
    struct histogram *copy = arena_alloc(a, sizeof *copy);

    *copy = *h;
    side_copy(&copy->pos, a);
    if (histogram_is_custom(h)) {
        copy->neg = (struct histogram_side){ 0 };
        copy->zero_count = copy->zero_threshold = 0;
        copy->zero_count_int = 0;
        copy->custom_values =
            dup_array(h->custom_values, h->custom_values_nr, sizeof h->custom_values[0], a);
    } else {
        side_copy(&copy->neg, a);
        copy->custom_values = NULL;
        copy->custom_values_nr = 0;
    }
    return copy;
}

static void
side_to_float(struct histogram_side *side)
{
    double *counts = (double *)side->counts;
    double run = 0;

    for (size_t i = 0; i < side->buckets_nr; i++) {
        run += (double)side->deltas[i];
        counts[i] = run;
    }
}

struct histogram *
histogram_to_float(const struct histogram *h, struct arena *a)
{
    struct histogram *copy = histogram_copy(h, a);

    if (!h->is_int)
        return copy;
    copy->is_int = false;
    copy->count = (double)h->count_int;
    copy->zero_count = (double)copy->zero_count_int;
    side_to_float(&copy->pos);
    side_to_float(&copy->neg);
    copy->count_int = copy->zero_count_int = 0;
    return copy;
}

static bool
whole(double v, uint64_t *n)
{
    if (!(v >= 0 && v < 9.2e18) || v != trunc(v))
        return false;
    *n = (uint64_t)v;
    return true;
}

static bool
side_to_int(struct histogram_side *side)
{
    int64_t *deltas = (int64_t *)side->deltas;
    uint64_t last = 0, n;

    for (size_t i = 0; i < side->buckets_nr; i++) {
        if (!whole(side->counts[i], &n))
            return false;
        deltas[i] = (int64_t)(n - last);
        last = n;
    }
    return true;
}

struct histogram *
histogram_to_int(const struct histogram *h, struct arena *a)
{
    struct histogram *copy = histogram_copy(h, a);

    if (h->is_int)
        return copy;
    copy->is_int = true;
    bool ok = whole(copy->count, &copy->count_int) &&
              whole(copy->zero_count, &copy->zero_count_int) && side_to_int(&copy->pos) &&
              side_to_int(&copy->neg);
    return ok ? copy : NULL;
}

/* ---- written out */

struct wide
wide_of(const struct histogram *h, bool positive, const struct histogram *comp, struct arena *a)
{
    const struct histogram_side *side = positive ? &h->pos : &h->neg;
    const struct histogram_side *side_comp = comp == NULL ? NULL
                                             : positive   ? &comp->pos
                                                          : &comp->neg;
    struct wide w = { .v = arena_alloc(a, arena_array_bytes(side->buckets_nr, sizeof *w.v)) };
    struct histogram_walk walk;

    histogram_walk_init(&walk, h, positive);
    for (; histogram_walk_step(&walk); w.nr++)
        w.v[w.nr] = (struct wide_bucket){
            .index = walk.at.index,
            .count = walk.at.count,
            .count_int = (int64_t)walk.at.count_int,
            .comp = side_comp != NULL && w.nr < side_comp->buckets_nr ? side_comp->counts[w.nr] : 0,
        };
    return w;
}

void
wide_reduce(struct wide *w, int32_t schema, int32_t target, bool kahan)
{
    size_t nr = 0;

    for (size_t i = 0; i < w->nr; i++) {
        struct wide_bucket b = w->v[i];
        b.index = histogram_target_index(b.index, schema, target);
        struct wide_bucket *last = nr == 0 ? NULL : &w->v[nr - 1];
        if (last == NULL || last->index != b.index) {
            w->v[nr++] = b;
            continue;
        }
        last->count_int = (int64_t)((uint64_t)last->count_int + (uint64_t)b.count_int);
        if (kahan) {
            histogram_kahan(b.count, &last->count, &last->comp);
            histogram_kahan(b.comp, &last->count, &last->comp);
        } else {
            last->count += b.count;
        }
    }
    w->nr = nr;
}

/* Wider gaps are never filled, whatever was asked: indices may come from a damaged block. */
enum { GAP_FILLED_MAX = 1 << 16 };

static size_t
gaps_nr(const struct wide *w, size_t gap_max)
{
    size_t nr = 0;

    for (size_t i = 1; i < w->nr; i++) {
        size_t gap = (size_t)((int64_t)w->v[i].index - w->v[i - 1].index - 1);
        nr += gap <= gap_max ? gap : 0;
    }
    return nr;
}

void
wide_compact(struct wide *w, size_t gap_max, struct arena *a)
{
    size_t nr = 0;

    for (size_t i = 0; i < w->nr; i++)
        if (w->v[i].count != 0 || w->v[i].comp != 0)
            w->v[nr++] = w->v[i];
    w->nr = nr;
    gap_max = MIN(gap_max, (size_t)GAP_FILLED_MAX);
    size_t more = gap_max == 0 ? 0 : gaps_nr(w, gap_max);
    if (more == 0)
        return;
    struct wide filled = { .v = arena_alloc(a, arena_array_bytes(w->nr + more, sizeof *w->v)) };
    for (size_t i = 0; i < w->nr; i++) {
        int64_t last = i == 0 ? 0 : w->v[i - 1].index;
        if (i > 0 && (size_t)(w->v[i].index - last - 1) <= gap_max)
            for (int64_t at = last + 1; at < w->v[i].index; at++)
                filled.v[filled.nr++] = (struct wide_bucket){ .index = (int32_t)at };
        filled.v[filled.nr++] = w->v[i];
    }
    *w = filled;
}

static size_t
spans_make(const struct wide *w, struct histogram_span *spans)
{
    size_t nr = 0;
    int64_t end = 0;

    for (size_t i = 0; i < w->nr; i++) {
        if (nr == 0 || w->v[i].index != end)
            spans[nr++] = (struct histogram_span){ (int32_t)(w->v[i].index - end), 0 };
        spans[nr - 1].length++;
        end = (int64_t)w->v[i].index + 1;
    }
    return nr;
}

static size_t
spans_count(const struct wide *w)
{
    size_t nr = w->nr > 0;

    for (size_t i = 1; i < w->nr; i++)
        nr += (int64_t)w->v[i].index != (int64_t)w->v[i - 1].index + 1;
    return nr;
}

void
wide_store(const struct wide *w, bool is_int, struct histogram_side *side,
           struct histogram_side *comp, struct arena *a)
{
    struct histogram_span *spans = arena_alloc(a, arena_array_bytes(spans_count(w), sizeof *spans));
    double *counts = arena_alloc(a, arena_array_bytes(w->nr, sizeof *counts));
    int64_t last = 0;

    *side = (struct histogram_side){ .spans = spans, .counts = counts, .buckets_nr = w->nr };
    side->spans_nr = spans_make(w, spans);
    for (size_t i = 0; i < w->nr; i++) {
        if (is_int)
            ((int64_t *)counts)[i] = (int64_t)((uint64_t)w->v[i].count_int - (uint64_t)last);
        else
            counts[i] = w->v[i].count;
        last = w->v[i].count_int;
    }
    if (comp == NULL)
        return;
    double *comps = arena_alloc(a, arena_array_bytes(w->nr, sizeof *comps));
    for (size_t i = 0; i < w->nr; i++)
        comps[i] = w->v[i].comp;
    *comp = *side;
    comp->counts = comps;
}

/* ---- */

void
histogram_compact(struct histogram *h, size_t empty_max, struct arena *a)
{
    struct wide pos = wide_of(h, true, NULL, a), neg = wide_of(h, false, NULL, a);

    wide_compact(&pos, empty_max, a);
    wide_compact(&neg, empty_max, a);
    wide_store(&pos, h->is_int, &h->pos, NULL, a);
    wide_store(&neg, h->is_int, &h->neg, NULL, a);
}

static bool
spans_usable(const struct histogram_side *side, struct error *err)
{
    uint64_t need = 0;

    for (size_t i = 0; i < side->spans_nr; i++) {
        if (i > 0 && side->spans[i].offset < 0)
            return error_set(err, ERR_INVALID,
                             "span number %zu with offset %d: histogram has a span whose offset is "
                             "negative",
                             i + 1, side->spans[i].offset);
        need += side->spans[i].length;
    }
    if (need > side->buckets_nr)
        return error_set(err, ERR_INVALID,
                         "have %zu buckets but spans need more: histogram spans specify different "
                         "number of buckets than provided",
                         side->buckets_nr);
    if (need < side->buckets_nr)
        return error_set(err, ERR_INVALID,
                         "spans need %llu buckets, have %zu buckets: histogram spans specify "
                         "different number of buckets than provided",
                         (unsigned long long)need, side->buckets_nr);
    return true;
}

bool
histogram_reduce(struct histogram *h, int32_t target, struct arena *a, struct error *err)
{
    if (histogram_is_custom(h))
        return error_set(err, ERR_INVALID,
                         "cannot reduce resolution when there are custom buckets");
    if (target == HISTOGRAM_SCHEMA_CUSTOM)
        return error_set(err, ERR_INVALID, "cannot reduce resolution to custom buckets schema");
    if (target >= h->schema)
        return error_set(err, ERR_INVALID, "cannot reduce resolution from schema %d to %d",
                         h->schema, target);
    if (!spans_usable(&h->pos, err) || !spans_usable(&h->neg, err))
        return false;
    struct wide pos = wide_of(h, true, NULL, a), neg = wide_of(h, false, NULL, a);
    wide_reduce(&pos, h->schema, target, false);
    wide_reduce(&neg, h->schema, target, false);
    wide_store(&pos, h->is_int, &h->pos, NULL, a);
    wide_store(&neg, h->is_int, &h->neg, NULL, a);
    h->schema = target;
    return true;
}
