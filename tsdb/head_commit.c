#include "base/mem.h"
#include "tsdb/head_append_priv.h"

static void
encode_series(struct head_appender *a, enum wal_compression how)
{
    struct head *h = a->head;

    if (a->unlogged_nr == 0)
        return;
    record_begin(&a->wal.raw, RECORD_SERIES);
    for (size_t i = 0; i < a->unlogged_nr; i++) {
        const struct head_series *s = a->unlogged[i];
        struct arena_mark mark = arena_mark(&a->arena);
        struct label *v = ARENA_NEW_ARRAY(&a->arena, struct label, s->pairs_nr);
        for (uint32_t k = 0; k < s->pairs_nr; k++)
            v[k] = (struct label){ symbols_text(h->o.symbols, s->pairs[k].name),
                                   symbols_text(h->o.symbols, s->pairs[k].value) };
        record_add_series(
            &a->wal.raw,
            atomic_load_explicit(&((struct head_series *)s)->ref, memory_order_relaxed),
            (struct labels){ v, s->pairs_nr });
        arena_rewind(&a->arena, mark);
    }
    wal_batch_add(&a->wal, how);
}

static void
encode_metadata(struct head_appender *a, enum wal_compression how)
{
    if (a->metadata_nr == 0)
        return;
    record_begin(&a->wal.raw, RECORD_METADATA);
    for (size_t i = 0; i < a->metadata_nr; i++)
        record_add_metadata(&a->wal.raw, &a->metadata[i]);
    wal_batch_add(&a->wal, how);
}

static void
encode_samples(struct head_appender *a, enum wal_compression how)
{
    size_t at = 0, histogram_at = 0;

    for (size_t i = 0; i < a->runs_nr; i++) {
        const struct append_run *run = &a->runs[i];
        if (run->type == RECORD_SAMPLES) {
            record_put_samples(&a->wal.raw, a->samples + at, run->nr);
            at += run->nr;
        } else {
            record_put_histograms(&a->wal.raw, (enum record_type)run->type,
                                  a->histograms + histogram_at, run->nr);
            histogram_at += run->nr;
        }
        wal_batch_add(&a->wal, how);
    }
}

static void
encode_exemplars(struct head_appender *a, enum wal_compression how)
{
    if (a->exemplars_nr == 0)
        return;
    struct record_exemplar *v = ARENA_NEW_ARRAY(&a->arena, struct record_exemplar, a->exemplars_nr);
    for (size_t i = 0; i < a->exemplars_nr; i++)
        v[i] = a->exemplars[i].r;
    record_put_exemplars(&a->wal.raw, v, a->exemplars_nr);
    wal_batch_add(&a->wal, how);
}

bool
head_commit_log(struct head_appender *a, struct error *err)
{
    struct wal *wal = a->head->wal;

    if (wal == NULL)
        return true;
    enum wal_compression how = wal_compression_of(wal);
    encode_series(a, how);
    encode_metadata(a, how);
    encode_samples(a, how);
    encode_exemplars(a, how);
    if (!(a->options.must_be_durable ? wal_commit(wal, &a->wal, err)
                                     : wal_commit_or_hold(wal, &a->wal, err)))
        return false;
    for (size_t i = 0; i < a->unlogged_nr; i++) {
        series_lock(a->unlogged[i]);
        a->unlogged[i]->flags |= SERIES_LOGGED;
        series_unlock(a->unlogged[i]);
    }
    return true;
}

struct apply {
    struct head_appender *a;
    struct head *h;
    uint64_t batch, settled;
    int64_t min_ms, max_ms;
    uint64_t floats_nr, histograms_nr;
};

static void
applied(struct apply *ap, struct head_series *s, int64_t t_ms)
{
    series_batch_note(s, ap->batch, ap->settled);
    ap->min_ms = MIN(ap->min_ms, t_ms);
    ap->max_ms = MAX(ap->max_ms, t_ms);
}

/* A float stale marker ends a histogram series as a histogram. */
static void
apply_stale(struct apply *ap, struct head_series *s, int64_t t_ms, double v, enum head_kind kind)
{
    struct histogram stale = { .is_int = kind == HEAD_HISTOGRAM, .sum = v };

    if (head_recheck_histogram(ap->a, s, t_ms, &stale) == APPEND_OK &&
        head_histogram_append(ap->h, s, t_ms, &stale, &ap->a->seals)) {
        applied(ap, s, t_ms);
        ap->histograms_nr++;
    }
}

static inline void
apply_float(struct apply *ap, struct head_series *s, int64_t t_ms, double v)
{
    series_lock(s);
    s->pending_nr--;
    enum head_kind kind = UNLIKELY(is_stale(v)) ? head_newest_kind(s) : HEAD_FLOAT;
    if (UNLIKELY(kind != HEAD_FLOAT)) {
        apply_stale(ap, s, t_ms, v, kind);
    } else {
        enum append_outcome outcome = head_recheck_float(ap->a, s, t_ms, v);
        if (LIKELY(outcome == APPEND_OK)) {
            if (head_chunk_append(ap->h, s, t_ms, v, &ap->a->seals)) {
                applied(ap, s, t_ms);
                ap->floats_nr++;
            }
        } else if (outcome == APPEND_OUT_OF_ORDER) {
            metric_inc(ap->h->m.out_of_order[0]);
        }
    }
    series_unlock(s);
}

static void
apply_histogram(struct apply *ap, struct head_series *s, const struct record_histogram *r)
{
    series_lock(s);
    s->pending_nr--;
    enum append_outcome outcome = head_recheck_histogram(ap->a, s, r->t_ms, &r->h);
    if (outcome == APPEND_OK && head_histogram_append(ap->h, s, r->t_ms, &r->h, &ap->a->seals)) {
        applied(ap, s, r->t_ms);
        ap->histograms_nr++;
    } else if (outcome == APPEND_OUT_OF_ORDER) {
        metric_inc(ap->h->m.out_of_order[1]);
    }
    series_unlock(s);
}

/* The end of the open chunk was fetched when the sample was checked; the series itself may have
 * left the nearest cache since. */
static inline void
prefetch(const struct head_appender *a, size_t i)
{
    if (i + APPEND_AHEAD >= a->samples_nr)
        return;
    const char *p = (const char *)a->series[i + APPEND_AHEAD];
    __builtin_prefetch(p, 1);
    __builtin_prefetch(p + 64, 1);
}

static void
apply_samples(struct apply *ap)
{
    struct head_appender *a = ap->a;
    size_t at = 0, histogram_at = 0;

    for (size_t i = 0; i < a->runs_nr; i++) {
        const struct append_run *run = &a->runs[i];
        for (uint32_t k = 0; k < run->nr; k++) {
            if (run->type == RECORD_SAMPLES) {
                prefetch(a, at);
                apply_float(ap, a->series[at], a->samples[at].t_ms, a->samples[at].v);
                at++;
            } else {
                apply_histogram(ap, a->histogram_series[histogram_at],
                                &a->histograms[histogram_at]);
                histogram_at++;
            }
        }
    }
}

static void
metadata_set(struct head_series *s, const struct metadata *m)
{
    if (s->ext == NULL)
        s->ext = MEM_NEW(struct series_ext);
    char *texts = mem_alloc(m->help.n + m->unit.n + 1);
    memcpy(texts, m->help.p == NULL ? "" : m->help.p, m->help.n);
    memcpy(texts + m->help.n, m->unit.p == NULL ? "" : m->unit.p, m->unit.n);
    mem_free(s->ext->texts);
    s->ext->texts = texts;
    s->ext->metadata = (struct metadata){ .type = m->type,
                                          .help = { texts, m->help.n },
                                          .unit = { texts + m->help.n, m->unit.n } };
    s->ext->has_metadata = true;
}

static void
apply_metadata(struct head_appender *a)
{
    for (size_t i = 0; i < a->metadata_nr; i++) {
        struct head_series *s = a->metadata_series[i];
        series_lock(s);
        s->pending_nr--;
        metadata_set(s, &a->metadata[i].m);
        series_unlock(s);
    }
}

void
head_replay_metadata(struct head *h, struct head_series *s, const struct metadata *m)
{
    (void)h;
    series_lock(s);
    metadata_set(s, m);
    series_unlock(s);
}

static void
apply_exemplars(struct head_appender *a)
{
    struct head *h = a->head;

    for (size_t i = 0; i < a->exemplars_nr; i++) {
        struct head_series *s = a->exemplars[i].s;
        const struct record_exemplar *r = &a->exemplars[i].r;
        struct exemplar e = { .labels = r->labels, .v = r->v, .t_ms = r->t_ms, .has_t = true };
        struct arena_mark mark = arena_mark(&a->arena);
        struct label *v = ARENA_NEW_ARRAY(&a->arena, struct label, s->pairs_nr);
        for (uint32_t k = 0; k < s->pairs_nr; k++)
            v[k] = (struct label){ symbols_text(h->o.symbols, s->pairs[k].name),
                                   symbols_text(h->o.symbols, s->pairs[k].value) };
        (void)exemplars_add(h->o.exemplars, (struct labels){ v, s->pairs_nr }, &e);
        arena_rewind(&a->arena, mark);
        series_lock(s);
        s->pending_nr--;
        series_unlock(s);
    }
}

void
head_commit_apply(struct head_appender *a)
{
    struct head *h = a->head;
    struct apply ap = { .a = a, .h = h, .min_ms = INT64_MAX, .max_ms = INT64_MIN };
    struct error err = { 0 };

    if (a->runs_nr > 0) {
        ap.batch = isolation_begin(&h->isolation, &ap.settled);
        apply_samples(&ap);
        if (ap.max_ms != INT64_MIN)
            head_bounds_update(h, ap.min_ms, ap.max_ms);
        isolation_end(&h->isolation, ap.batch);
        metric_add(h->m.appended_float, (double)ap.floats_nr);
        metric_add(h->m.appended_histogram, (double)ap.histograms_nr);
    }
    apply_metadata(a);
    apply_exemplars(a);
    /* What cannot be written stays in memory; maintenance tries again and reports. */
    if (a->seals.nr > 0)
        error_ignored(head_seals_write(h, &a->seals, &err));
    error_clear(&err);
}
