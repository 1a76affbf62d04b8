/* Places of the ring are numbered; `next` leads to the following exemplar of the same series. A
 * series' entry lives while it has one. The text of an exemplar's labels and of a series' labels is
 * one allocation each. */
#include "tsdb/exemplar.h"

#include <stdlib.h>
#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/table.h"
#include "model/sample.h"

#define NO_PLACE UINT32_MAX

struct exemplar_index {
    struct labels labels; /* owned: one allocation */
    uint64_t hash;
    uint32_t oldest, newest;
};

struct exemplar_place {
    struct exemplar_index *series; /* NULL: free */
    struct label *labels;          /* owned, one allocation */
    uint32_t labels_nr;
    uint32_t next;
    double v;
    int64_t t_ms;
};

struct exemplars {
    struct rwlock lock;
    struct exemplar_place *ring;
    uint32_t max, at; /* places; the next one to be written */
    uint32_t used;
    struct table series;
    struct metric *appended, *out_of_order, *in_storage, *series_nr, *max_gauge, *last_ts;
    struct metric unused;
};

static struct label *
labels_own(struct labels in)
{
    size_t bytes = in.nr * sizeof(struct label);

    for (size_t i = 0; i < in.nr; i++)
        bytes += in.v[i].name.n + in.v[i].value.n;
    struct label *v = mem_alloc(bytes + 1);
    char *text = (char *)(v + in.nr);
    for (size_t i = 0; i < in.nr; i++) {
        struct str from[2] = { in.v[i].name, in.v[i].value }, to[2];
        for (size_t k = 0; k < 2; k++) {
            if (from[k].n > 0)
                memcpy(text, from[k].p, from[k].n);
            to[k] = (struct str){ text, from[k].n };
            text += from[k].n;
        }
        v[i] = (struct label){ to[0], to[1] };
    }
    return v;
}

static bool
series_is(const void *item, const void *key)
{
    return labels_eq(((const struct exemplar_index *)item)->labels, *(const struct labels *)key);
}

static struct exemplar_index *
series_find(const struct exemplars *x, uint64_t hash, struct labels labels)
{
    return table_find(&x->series, hash, series_is, &labels);
}

struct exemplars *
exemplars_new(uint32_t max, struct metrics *m)
{
    struct exemplars *x = MEM_NEW(struct exemplars);

    rwlock_init(&x->lock, LOCK_STRIPE, "exemplars");
    x->appended = x->out_of_order = x->in_storage = x->series_nr = x->max_gauge = x->last_ts =
        &x->unused;
    if (m != NULL) {
        x->appended = metrics_counter(m, "prometheus_tsdb_exemplar_exemplars_appended_total",
                                      "Total number of appended exemplars.");
        x->out_of_order =
            metrics_counter(m, "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
                            "Total number of out of order exemplar ingestion failed attempts.");
        x->in_storage = metrics_gauge(m, "prometheus_tsdb_exemplar_exemplars_in_storage",
                                      "Number of exemplars currently in circular storage.");
        x->series_nr =
            metrics_gauge(m, "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
                          "Number of series with exemplars currently in circular storage.");
        x->max_gauge =
            metrics_gauge(m, "prometheus_tsdb_exemplar_max_exemplars",
                          "Total number of exemplars the exemplar storage can store, resizeable.");
        x->last_ts = metrics_gauge(
            m, "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
            "The timestamp of the oldest exemplar stored in circular storage. Useful to "
            "check for what time range the current exemplar buffer limit allows. This "
            "usually means the last timestamp for all exemplars for a typical setup. This "
            "is not true though if one of the series timestamp is in future compared to "
            "rest series.");
    }
    exemplars_resize(x, max);
    return x;
}

/* Frees what stands at place i. */
static void
place_clear(struct exemplars *x, uint32_t i)
{
    struct exemplar_place *p = &x->ring[i];
    struct exemplar_index *s = p->series;

    if (s == NULL)
        return;
    mem_free(p->labels);
    s->oldest = p->next;
    if (s->oldest == NO_PLACE) {
        table_remove(&x->series, s->hash, series_is, &s->labels);
        mem_free((void *)(uintptr_t)s->labels.v);
        mem_free(s);
    }
    *p = (struct exemplar_place){ .next = NO_PLACE };
    x->used--;
}

void
exemplars_free(struct exemplars *x)
{
    if (x == NULL)
        return;
    for (uint32_t i = 0; i < x->max; i++)
        place_clear(x, (x->at + i) % x->max);
    mem_free(x->ring);
    table_fini(&x->series);
    rwlock_fini(&x->lock);
    mem_free(x);
}

static void
gauges_set(struct exemplars *x)
{
    metric_set(x->in_storage, x->used);
    metric_set(x->series_nr, (double)x->series.nr);
    metric_set(x->max_gauge, x->max);
    for (uint32_t i = 0; i < x->max;
         i++) { /* the first occupied place is nearly always the first looked at */
        const struct exemplar_place *p = &x->ring[(x->at + i) % x->max];
        if (p->series != NULL) {
            metric_set(x->last_ts, (double)p->t_ms / 1000);
            return;
        }
        if (x->used == 0)
            return;
    }
}

static void
put(struct exemplars *x, struct labels series, uint64_t hash, const struct exemplar *e)
{
    place_clear(x, x->at);
    struct exemplar_index *s = series_find(x, hash, series);
    if (s == NULL) {
        s = MEM_NEW(struct exemplar_index);
        *s = (struct exemplar_index){ { labels_own(series), series.nr }, hash, x->at, x->at };
        table_add(&x->series, hash, s);
    } else {
        x->ring[s->newest].next = x->at;
        s->newest = x->at;
    }
    x->ring[x->at] = (struct exemplar_place){ .series = s,
                                              .labels = labels_own(e->labels),
                                              .labels_nr = (uint32_t)e->labels.nr,
                                              .next = NO_PLACE,
                                              .v = e->v,
                                              .t_ms = e->t_ms };
    x->at = (x->at + 1) % x->max;
    x->used++;
}

void
exemplars_resize(struct exemplars *x, uint32_t max)
{
    rwlock_write(&x->lock);
    if (max != x->max) {
        struct exemplar_place *old = x->ring;
        uint32_t old_max = x->max, old_at = x->at;
        struct table old_series = x->series;
        x->ring = max == 0 ? NULL : MEM_NEW_ARRAY(struct exemplar_place, max);
        for (uint32_t i = 0; i < max; i++)
            x->ring[i].next = NO_PLACE;
        x->series = (struct table){ 0 };
        x->max = max;
        x->at = x->used = 0;
        for (uint32_t i = 0; i < old_max; i++) {
            struct exemplar_place *p = &old[(old_at + i) % old_max];
            if (p->series == NULL)
                continue;
            struct exemplar e = {
                .labels = { p->labels, p->labels_nr }, .v = p->v, .t_ms = p->t_ms, .has_t = true
            };
            if (max > 0)
                put(x, p->series->labels, p->series->hash, &e);
            mem_free(p->labels);
        }
        struct exemplar_index *s;
        for (size_t at = 0; (s = table_next(&old_series, &at)) != NULL;) {
            mem_free((void *)(uintptr_t)s->labels.v);
            mem_free(s);
        }
        table_fini(&old_series);
        mem_free(old);
    }
    gauges_set(x);
    rwlock_release(&x->lock);
}

bool
exemplars_on(struct exemplars *x)
{
    rwlock_read(&x->lock);
    bool on = x->max > 0;
    rwlock_release(&x->lock);
    return on;
}

static size_t
runes(struct labels ls)
{
    size_t nr = 0;

    for (size_t i = 0; i < ls.nr; i++) {
        struct str both[2] = { ls.v[i].name, ls.v[i].value };
        for (size_t k = 0; k < 2; k++)
            for (uint32_t rune; both[k].n > 0; nr++)
                both[k] = str_skip(both[k], str_rune(both[k], &rune));
    }
    return nr;
}

static bool
same(const struct exemplar_place *p, const struct exemplar *e)
{
    return p->t_ms == e->t_ms && double_bits(p->v) == double_bits(e->v) &&
           labels_eq((struct labels){ p->labels, p->labels_nr }, e->labels);
}

static enum exemplar_outcome
check(const struct exemplars *x, uint64_t hash, struct labels series, const struct exemplar *e)
{
    if (x->max == 0)
        return EXEMPLAR_OFF;
    if (runes(e->labels) > EXEMPLAR_RUNES_MAX)
        return EXEMPLAR_TOO_LONG;
    const struct exemplar_index *s = series_find(x, hash, series);
    if (s == NULL)
        return EXEMPLAR_OK;
    const struct exemplar_place *newest = &x->ring[s->newest];
    if (same(newest, e))
        return EXEMPLAR_DUPLICATE;
    /* At the same time, exemplars must come in the order of their values, then of their labels'
     * hashes. */
    if (e->t_ms < newest->t_ms || (e->t_ms == newest->t_ms && e->v < newest->v) ||
        (e->t_ms == newest->t_ms && e->v == newest->v &&
         labels_hash(e->labels) <
             labels_hash((struct labels){ newest->labels, newest->labels_nr })))
        return EXEMPLAR_OUT_OF_ORDER;
    return EXEMPLAR_OK;
}

enum exemplar_outcome
exemplars_check(struct exemplars *x, struct labels series, const struct exemplar *e)
{
    uint64_t hash = labels_hash(series);

    rwlock_read(&x->lock);
    enum exemplar_outcome outcome = check(x, hash, series, e);
    rwlock_release(&x->lock);
    if (outcome == EXEMPLAR_OUT_OF_ORDER)
        metric_inc(x->out_of_order);
    return outcome;
}

enum exemplar_outcome
exemplars_add(struct exemplars *x, struct labels series, const struct exemplar *e)
{
    uint64_t hash = labels_hash(series);

    rwlock_write(&x->lock);
    enum exemplar_outcome outcome = check(x, hash, series, e);
    if (outcome == EXEMPLAR_OK) {
        put(x, series, hash, e);
        metric_inc(x->appended);
        gauges_set(x);
    } else if (outcome == EXEMPLAR_OUT_OF_ORDER) {
        metric_inc(x->out_of_order);
    }
    rwlock_release(&x->lock);
    return outcome;
}

static bool
matches_any(struct labels labels, const struct exemplar_matchers *sets, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        bool all = true;
        for (size_t k = 0; all && k < sets[i].nr; k++)
            all = matcher_matches(&sets[i].v[k], labels_get(labels, sets[i].v[k].name));
        if (all)
            return true;
    }
    return nr == 0;
}

static bool
select_series(const struct exemplars *x, const struct exemplar_index *s, int64_t min_ms,
              int64_t max_ms, struct arena *arena, struct exemplar_series *out)
{
    size_t nr = 0;

    for (uint32_t i = s->oldest; i != NO_PLACE; i = x->ring[i].next)
        nr += x->ring[i].t_ms >= min_ms && x->ring[i].t_ms <= max_ms;
    if (nr == 0)
        return false;
    *out = (struct exemplar_series){ labels_copy(arena, s->labels),
                                     ARENA_NEW_ARRAY(arena, struct exemplar, nr), 0 };
    for (uint32_t i = s->oldest; i != NO_PLACE; i = x->ring[i].next) {
        const struct exemplar_place *p = &x->ring[i];
        if (p->t_ms < min_ms || p->t_ms > max_ms)
            continue;
        out->exemplars[out->nr++] =
            (struct exemplar){ .labels =
                                   labels_copy(arena, (struct labels){ p->labels, p->labels_nr }),
                               .v = p->v,
                               .t_ms = p->t_ms,
                               .has_t = true };
    }
    return true;
}

static int
series_cmp(const void *a, const void *b)
{
    return labels_cmp(((const struct exemplar_series *)a)->labels,
                      ((const struct exemplar_series *)b)->labels);
}

void
exemplars_select(struct exemplars *x, const struct exemplar_matchers *sets, size_t sets_nr,
                 int64_t min_ms, int64_t max_ms, struct arena *arena,
                 struct exemplar_series **series, size_t *nr)
{
    const struct exemplar_index *s;

    *nr = 0;
    rwlock_read(&x->lock);
    *series = ARENA_NEW_ARRAY(arena, struct exemplar_series, x->series.nr);
    for (size_t at = 0; (s = table_next(&x->series, &at)) != NULL;)
        if (matches_any(s->labels, sets, sets_nr) &&
            select_series(x, s, min_ms, max_ms, arena, &(*series)[*nr]))
            ++*nr;
    rwlock_release(&x->lock);
    if (*nr > 1)
        qsort(*series, *nr, sizeof **series, series_cmp);
}
