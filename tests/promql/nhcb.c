#include "nhcb.h"
#include <math.h>
#include "base/decimal.h"
#include "base/mem.h"
#include "model/histogram_math.h"

struct bucket {
    double le, count; /* cumulative */
};

struct member {
    enum { MEMBER_BUCKET, MEMBER_COUNT, MEMBER_SUM } kind;
    double le;
    const struct series_desc *series;
};

/* The parts of one classic histogram. */
struct group {
    struct labels labels; /* of the native histogram */
    struct member *members;
    size_t nr, cap;
};

struct groups {
    struct arena arena;
    struct group *items;
    size_t nr, cap;
};

/* What part of a histogram the series is; false when none. */
static bool
classify(const struct series_desc *s, struct member *m, struct str *base)
{
    static const char *const suffixes[] = { "_bucket", "_count", "_sum" };
    struct str name = labels_get(s->labels, LABEL_NAME);

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        struct str suffix = str_c(suffixes[i]);

        if (!str_ends(name, suffix))
            continue;
        *base = (struct str){ name.p, name.n - suffix.n };
        *m = (struct member){ .series = s };
        m->kind = (int)i;
        return m->kind != MEMBER_BUCKET ||
               (labels_has(s->labels, LABEL_BUCKET) &&
                decimal_parse(labels_get(s->labels, LABEL_BUCKET), &m->le) && !isnan(m->le));
    }
    return false;
}

static struct labels
group_labels(struct groups *gs, struct labels labels, struct str base)
{
    struct labels_builder b;

    labels_builder_init(&b);
    labels_builder_reset(&b, labels);
    labels_builder_del(&b, LABEL_BUCKET);
    labels_builder_set(&b, LABEL_NAME, base);
    struct labels made = labels_builder_finish(&b, &gs->arena);
    labels_builder_fini(&b);
    return made;
}

static struct group *
group_get(struct groups *gs, struct labels labels)
{
    for (size_t i = 0; i < gs->nr; i++) {
        if (labels_eq(gs->items[i].labels, labels))
            return &gs->items[i];
    }
    ARENA_GROW(&gs->arena, gs->items, gs->nr, gs->nr + 1, &gs->cap);
    gs->items[gs->nr] = (struct group){ .labels = labels };
    return &gs->items[gs->nr++];
}

static bool
value_at(const struct series_desc *s, size_t n, double *v)
{
    if (n >= s->nr || s->values[n].omitted || s->values[n].h != NULL)
        return false;
    *v = s->values[n].v;
    return true;
}

/* One histogram being put together. */
struct builder {
    struct bucket *buckets; /* by le, no duplicates */
    size_t nr, cap;
    double count, sum;
    bool has_count, any;
};

static void
add_bucket(struct builder *b, double le, double count)
{
    size_t i = b->nr;

    while (i > 0 && b->buckets[i - 1].le > le)
        i--;
    if (i > 0 && b->buckets[i - 1].le == le)
        return;
    MEM_GROW(b->buckets, b->nr + 1, &b->cap);
    memmove(b->buckets + i + 1, b->buckets + i, (b->nr - i) * sizeof *b->buckets);
    b->buckets[i] = (struct bucket){ le, count };
    b->nr++;
}

static void
collect(const struct group *g, size_t n, struct builder *b)
{
    double v;

    b->nr = 0;
    b->count = b->sum = 0;
    b->has_count = b->any = false;
    for (size_t i = 0; i < g->nr; i++) {
        if (!value_at(g->members[i].series, n, &v))
            continue;
        b->any = true;
        if (g->members[i].kind == MEMBER_BUCKET) {
            add_bucket(b, g->members[i].le, v);
        } else if (g->members[i].kind == MEMBER_COUNT) {
            b->count = v;
            b->has_count = true;
        } else {
            b->sum = v;
        }
    }
    if (!b->has_count && b->nr != 0)
        b->count = b->buckets[b->nr - 1].count;
    if (b->nr == 0 || !isinf(b->buckets[b->nr - 1].le))
        add_bucket(b, INFINITY, b->count);
}

static bool
check(const struct builder *b, struct error *err)
{
    bool whole = b->count == floor(b->count);
    double last = 0;

    for (size_t i = 0; i < b->nr; i++) {
        if (b->buckets[i].count < last)
            return error_set(err, ERR_INVALID, "bucket counts of a histogram decrease");
        last = b->buckets[i].count;
        whole = whole && last == floor(last);
    }
    if (b->count < 0 || (whole && last != b->count))
        return error_set(err, ERR_INVALID, "count of a histogram does not fit its buckets");
    return true;
}

static void
store(const struct builder *b, struct labels labels, int64_t t_ms, struct mem_storage *storage)
{
    double *custom = MEM_NEW_ARRAY(double, b->nr), *counts = MEM_NEW_ARRAY(double, b->nr);
    struct histogram_span span = { 0, (uint32_t)b->nr };
    struct histogram h = { .schema = HISTOGRAM_SCHEMA_CUSTOM, .count = b->count, .sum = b->sum };

    for (size_t i = 0; i < b->nr; i++) {
        custom[i] = b->buckets[i].le;
        counts[i] = b->buckets[i].count - (i == 0 ? 0 : b->buckets[i - 1].count);
    }
    h.pos = (struct histogram_side){
        .spans = &span, .spans_nr = 1, .counts = counts, .buckets_nr = b->nr
    };
    h.custom_values = custom;
    h.custom_values_nr = b->nr - 1;

    struct arena scratch;
    arena_init(&scratch, SIZE_MAX);
    struct histogram *compact = histogram_copy(&h, &scratch);
    histogram_compact(compact, 0, &scratch);
    mem_storage_add(storage, labels, t_ms, 0, compact);
    arena_fini(&scratch);
    mem_free(custom);
    mem_free(counts);
}

static bool
load_group(const struct group *g, int64_t step_ms, struct mem_storage *storage, struct error *err)
{
    struct builder b = { 0 };
    size_t steps = 0;
    bool ok = true;

    for (size_t i = 0; i < g->nr; i++)
        steps = MAX(steps, g->members[i].series->nr);
    for (size_t n = 0; ok && n < steps; n++) {
        collect(g, n, &b);
        if (!b.any)
            continue;
        ok = check(&b, err);
        if (ok)
            store(&b, g->labels, (int64_t)n * step_ms, storage);
    }
    mem_free(b.buckets);
    return ok;
}

bool
nhcb_load(struct mem_storage *storage, const struct series_list *list, int64_t step_ms,
          struct error *err)
{
    struct groups gs = { 0 };
    bool ok = true;

    arena_init(&gs.arena, SIZE_MAX);
    for (size_t i = 0; i < list->nr; i++) {
        struct member m;
        struct str base;

        if (!classify(&list->items[i], &m, &base))
            continue;
        struct group *g = group_get(&gs, group_labels(&gs, list->items[i].labels, base));
        ARENA_GROW(&gs.arena, g->members, g->nr, g->nr + 1, &g->cap);
        g->members[g->nr++] = m;
    }
    for (size_t i = 0; ok && i < gs.nr; i++)
        ok = load_group(&gs.items[i], step_ms, storage, err);
    arena_fini(&gs.arena);
    return ok;
}
