#include "mem_storage.h"
#include "base/mem.h"
#include "model/histogram_math.h"

struct mem_sample {
    int64_t t_ms;
    double v;
    const struct histogram *h;
};

struct mem_series {
    struct labels labels;
    struct symbol_pair *pairs;
    struct mem_sample *samples; /* in time order */
    size_t samples_nr, samples_cap;
};

struct mem_storage {
    struct queryable queryable;
    struct symbols *symbols;
    struct arena arena;         /* labels, pairs, histograms */
    struct mem_series **series; /* in label order */
    size_t series_nr, series_cap;
};

struct mem_querier {
    struct querier querier;
    struct mem_storage *storage;
    struct arena arena; /* its sets */
};

struct mem_set {
    struct series_set set;
    const struct mem_series **series;
};

static struct mem_storage *
storage_of(const struct querier *q)
{
    return CONTAINER_OF(q, struct mem_querier, querier)->storage;
}

static const struct mem_series *
series_of(const struct series_set *set, uint32_t i)
{
    return CONTAINER_OF(set, struct mem_set, set)->series[i];
}

static const struct symbol_pair *
mem_pairs(const struct series_set *set, uint32_t i, uint32_t *nr)
{
    *nr = (uint32_t)series_of(set, i)->labels.nr;
    return series_of(set, i)->pairs;
}

/* The first sample at or after t_ms. */
static size_t
lower_bound(const struct mem_series *s, int64_t t_ms)
{
    size_t lo = 0, hi = s->samples_nr;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (s->samples[mid].t_ms < t_ms)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool
mem_read(const struct series_set *set, uint32_t i, int64_t min_ms, int64_t max_ms,
         struct sample_buf *buf, struct error *err)
{
    const struct mem_series *s = series_of(set, i);

    for (size_t k = lower_bound(s, min_ms); k < s->samples_nr && s->samples[k].t_ms <= max_ms;
         k++) {
        if (s->samples[k].h != NULL)
            sample_buf_add_histogram(buf, s->samples[k].t_ms, s->samples[k].h);
        else
            sample_buf_add(buf, s->samples[k].t_ms, s->samples[k].v);
    }
    return true;
}

static uint64_t
mem_estimate(const struct series_set *set, uint32_t i, int64_t min_ms, int64_t max_ms)
{
    const struct mem_series *s = series_of(set, i);

    if (max_ms < min_ms)
        return 0;
    size_t end = max_ms == INT64_MAX ? s->samples_nr : lower_bound(s, max_ms + 1);
    return end - lower_bound(s, min_ms);
}

static const struct series_set_ops set_ops = { mem_pairs, mem_read, mem_estimate };

static bool
matches(const struct mem_series *s, const struct matcher *matchers, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        if (!matcher_matches(&matchers[i], labels_get(s->labels, matchers[i].name)))
            return false;
    }
    return true;
}

static bool
mem_select(struct querier *q, const struct matcher *matchers, size_t matchers_nr,
           const struct select_hints *hints, struct series_set **out, struct error *err)
{
    struct mem_querier *mq = CONTAINER_OF(q, struct mem_querier, querier);
    struct mem_storage *s = mq->storage;
    struct mem_set *set = ARENA_NEW(&mq->arena, struct mem_set);
    size_t limit = hints == NULL || hints->limit == 0 ? SIZE_MAX : hints->limit;

    set->set = (struct series_set){ .ops = &set_ops, .q = q };
    set->series = ARENA_NEW_ARRAY(&mq->arena, const struct mem_series *, s->series_nr + 1);
    for (size_t i = 0; i < s->series_nr && set->set.nr < limit; i++) {
        if (matches(s->series[i], matchers, matchers_nr))
            set->series[set->set.nr++] = s->series[i];
    }
    *out = &set->set;
    return true;
}

/* Puts text into the sorted list unless it is there. */
static void
add_unique(struct arena *arena, struct str **items, size_t *nr, size_t *cap, struct str text)
{
    size_t i = *nr;

    while (i > 0 && str_cmp((*items)[i - 1], text) > 0)
        i--;
    if (i > 0 && str_eq((*items)[i - 1], text))
        return;
    ARENA_GROW(arena, *items, *nr, *nr + 1, cap);
    memmove(*items + i + 1, *items + i, (*nr - i) * sizeof **items);
    (*items)[i] = text;
    (*nr)++;
}

static void
cut(size_t limit, size_t *nr, bool *truncated)
{
    *truncated = limit != 0 && *nr > limit;
    if (*truncated)
        *nr = limit;
}

static bool
mem_label_names(struct querier *q, const struct matcher *matchers, size_t matchers_nr, size_t limit,
                struct arena *arena, struct str **names, size_t *names_nr, bool *truncated,
                struct error *err)
{
    struct mem_storage *s = storage_of(q);
    size_t cap = 0;

    *names = NULL;
    *names_nr = 0;
    for (size_t i = 0; i < s->series_nr; i++) {
        if (!matches(s->series[i], matchers, matchers_nr))
            continue;
        for (size_t k = 0; k < s->series[i]->labels.nr; k++)
            add_unique(arena, names, names_nr, &cap, s->series[i]->labels.v[k].name);
    }
    cut(limit, names_nr, truncated);
    return true;
}

static bool
mem_label_values(struct querier *q, struct str name, const struct matcher *matchers,
                 size_t matchers_nr, size_t limit, struct arena *arena, struct str **values,
                 size_t *values_nr, bool *truncated, struct error *err)
{
    struct mem_storage *s = storage_of(q);
    size_t cap = 0;

    *values = NULL;
    *values_nr = 0;
    for (size_t i = 0; i < s->series_nr; i++) {
        struct str value = labels_get(s->series[i]->labels, name);

        if (value.n != 0 && matches(s->series[i], matchers, matchers_nr))
            add_unique(arena, values, values_nr, &cap, value);
    }
    cut(limit, values_nr, truncated);
    return true;
}

static struct str
mem_symbol(const struct querier *q, symbol_id id)
{
    return symbols_text(storage_of(q)->symbols, id);
}

static uint64_t
mem_symbol_hash(const struct querier *q, symbol_id id)
{
    return symbols_hash(storage_of(q)->symbols, id);
}

static symbol_id
mem_symbol_find(struct querier *q, struct str text)
{
    return symbols_find(storage_of(q)->symbols, text);
}

static void
mem_close(struct querier *q)
{
    struct mem_querier *mq = CONTAINER_OF(q, struct mem_querier, querier);

    arena_fini(&mq->arena);
    mem_free(mq);
}

static const struct querier_ops querier_ops = { mem_select, mem_label_names, mem_label_values,
                                                mem_symbol, mem_symbol_hash, mem_symbol_find,
                                                mem_close };

static bool
mem_open(struct queryable *queryable, int64_t min_ms, int64_t max_ms, struct querier **q,
         struct error *err)
{
    struct mem_querier *mq = MEM_NEW(struct mem_querier);

    mq->querier = (struct querier){ .ops = &querier_ops, .min_ms = min_ms, .max_ms = max_ms };
    mq->storage = CONTAINER_OF(queryable, struct mem_storage, queryable);
    arena_init(&mq->arena, SIZE_MAX);
    *q = &mq->querier;
    return true;
}

struct mem_storage *
mem_storage_new(void)
{
    struct mem_storage *s = MEM_NEW(struct mem_storage);

    s->queryable.open = mem_open;
    s->symbols = symbols_new();
    arena_init(&s->arena, SIZE_MAX);
    return s;
}

static void
release_series(struct mem_storage *s, struct mem_series *series)
{
    for (size_t i = 0; i < series->labels.nr; i++) {
        symbols_unref(s->symbols, series->pairs[i].name);
        symbols_unref(s->symbols, series->pairs[i].value);
    }
    mem_free(series->samples);
    mem_free(series);
}

void
mem_storage_clear(struct mem_storage *s)
{
    for (size_t i = 0; i < s->series_nr; i++)
        release_series(s, s->series[i]);
    s->series_nr = 0;
    arena_fini(&s->arena);
    arena_init(&s->arena, SIZE_MAX);
}

void
mem_storage_free(struct mem_storage *s)
{
    if (s == NULL)
        return;
    mem_storage_clear(s);
    arena_fini(&s->arena);
    symbols_free(s->symbols);
    mem_free(s->series);
    mem_free(s);
}

struct queryable *
mem_storage_queryable(struct mem_storage *s)
{
    return &s->queryable;
}

static struct mem_series *
series_new(struct mem_storage *s, struct labels labels)
{
    struct mem_series *series = MEM_NEW(struct mem_series);

    series->labels = labels_copy(&s->arena, labels);
    series->pairs = ARENA_NEW_ARRAY(&s->arena, struct symbol_pair, labels.nr + 1);
    for (size_t i = 0; i < labels.nr; i++) {
        series->pairs[i].name = symbols_intern(s->symbols, labels.v[i].name);
        series->pairs[i].value = symbols_intern(s->symbols, labels.v[i].value);
    }
    return series;
}

/* The series of these labels, made when it is missing. */
static struct mem_series *
series_get(struct mem_storage *s, struct labels labels)
{
    size_t lo = 0, hi = s->series_nr;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (labels_cmp(s->series[mid]->labels, labels) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < s->series_nr && labels_eq(s->series[lo]->labels, labels))
        return s->series[lo];
    MEM_GROW(s->series, s->series_nr + 1, &s->series_cap);
    memmove(s->series + lo + 1, s->series + lo, (s->series_nr - lo) * sizeof s->series[0]);
    s->series_nr++;
    return s->series[lo] = series_new(s, labels);
}

void
mem_storage_add(struct mem_storage *s, struct labels labels, int64_t t_ms, double v,
                const struct histogram *h)
{
    struct mem_series *series = series_get(s, labels);
    size_t i = lower_bound(series, t_ms);

    if (i == series->samples_nr || series->samples[i].t_ms != t_ms) {
        MEM_GROW(series->samples, series->samples_nr + 1, &series->samples_cap);
        memmove(series->samples + i + 1, series->samples + i,
                (series->samples_nr - i) * sizeof series->samples[0]);
        series->samples_nr++;
    }
    series->samples[i] = (struct mem_sample){
        .t_ms = t_ms, .v = v, .h = h == NULL ? NULL : histogram_copy(h, &s->arena)
    };
}
