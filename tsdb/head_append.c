/* One batch: samples are checked and collected while it is open, logged and put into the open
 * chunks at commit.
 *
 * Order of a commit:
 *   1. encode: series records (series whose record nobody has logged yet), metadata, samples in the
 * order of their appending, exemplars
 *   2. one write to the WAL; when it fails nothing happened, except that a full disk lets batches
 * that need not be durable go on: the WAL keeps their records until there is room
 *   3. take a batch number; append to the chunks, each series under its lock; give the number back:
 * now readers see the batch
 *   4. finished chunks go to chunks_head, exemplars to their ring
 *
 * A sample counts as pending in its series from its check until step 3, so that collection leaves
 * the series alone. */
#include "tsdb/head_append_priv.h"

#include "base/mem.h"
#include "model/histogram_math.h"

static const struct append_ops head_append_ops;

static struct head_appender *
appender_of(struct appender *a)
{
    return CONTAINER_OF(a, struct head_appender, base);
}

static int64_t
appendable_min_valid(const struct head *h, int64_t horizon_ms)
{
    int64_t max_ms = head_max_ms(h), min_valid = head_min_valid_ms(h);

    /* Half a range behind the newest sample the window of the next block cut begins. */
    if (max_ms == INT64_MIN)
        return min_valid;
    max_ms = MIN(max_ms, horizon_ms);
    return MAX(max_ms < INT64_MIN + h->o.range_ms ? INT64_MIN : max_ms - h->o.range_ms / 2,
               min_valid);
}

struct appender *
head_append_begin(struct appendable *storage, const struct append_options *options)
{
    struct head *h = CONTAINER_OF(storage, struct head, appendable);
    int64_t horizon_ms = head_horizon_ms(h);

    lock_take(&h->appenders_lock);
    struct head_appender *a = h->idle;
    if (a != NULL)
        h->idle = a->next;
    else
        a = MEM_NEW(struct head_appender);
    a->horizon_ms = horizon_ms;
    a->min_valid_ms = appendable_min_valid(h, horizon_ms);
    a->next = h->open;
    a->prev = NULL;
    if (h->open != NULL)
        h->open->prev = a;
    h->open = a;
    lock_release(&h->appenders_lock);
    if (a->head == NULL) {
        a->head = h;
        arena_init(&a->arena, SIZE_MAX);
        a->start = arena_mark(&a->arena);
    }
    a->base.ops = &head_append_ops;
    a->options = *options;
    a->empty = head_max_ms(h) == INT64_MIN;
    metric_inc(h->m.appenders_created);
    metric_add(h->m.active_appenders, 1);
    return &a->base;
}

/* Empties a and gives it back to the pool. */
static void
appender_done(struct head_appender *a)
{
    struct head *h = a->head;

    a->hint = NULL;
    a->samples_nr = a->runs_nr = a->histograms_nr = a->unlogged_nr = a->exemplars_nr =
        a->metadata_nr = 0;
    arena_rewind(&a->arena, a->start);
    wal_batch_reset(&a->wal);
    lock_take(&h->appenders_lock);
    if (a->prev != NULL)
        a->prev->next = a->next;
    else
        h->open = a->next;
    if (a->next != NULL)
        a->next->prev = a->prev;
    a->next = h->idle;
    h->idle = a;
    lock_release(&h->appenders_lock);
    metric_add(h->m.active_appenders, -1);
}

bool
head_appends_below(struct head *h, int64_t t_ms)
{
    bool found = false;

    lock_take(&h->appenders_lock);
    for (struct head_appender *a = h->open; a != NULL && !found; a = a->next)
        found = a->min_valid_ms < t_ms;
    lock_release(&h->appenders_lock);
    return found;
}

void
head_appenders_free(struct head *h)
{
    ASSERT(h->open == NULL);
    for (struct head_appender *a = h->idle, *next; a != NULL; a = next) {
        next = a->next;
        wal_batch_fini(&a->wal);
        arena_fini(&a->arena);
        head_seals_fini(&a->seals);
        mem_free(a->samples);
        mem_free(a->series);
        mem_free(a->runs);
        mem_free(a->histograms);
        mem_free(a->histogram_series);
        mem_free(a->unlogged);
        mem_free(a->exemplars);
        mem_free(a->metadata);
        mem_free(a->metadata_series);
        mem_free(a);
    }
}

/* The first sample ever decides where the head begins. */
static void
head_begin_at(struct head_appender *a, int64_t t_ms)
{
    struct head *h = a->head;
    int64_t none = INT64_MIN;

    if (atomic_compare_exchange_strong(&h->max_ms, &none, t_ms)) {
        none = INT64_MAX;
        atomic_compare_exchange_strong(&h->min_ms, &none, t_ms);
    }
    lock_take(&h->appenders_lock);
    a->min_valid_ms = appendable_min_valid(h, a->horizon_ms);
    lock_release(&h->appenders_lock);
    a->empty = false;
}

static inline bool
in_bounds(struct head_appender *a, int64_t t_ms)
{
    if (UNLIKELY(t_ms > a->horizon_ms))
        return false; /* before it could be the head's first */
    if (UNLIKELY(a->empty))
        head_begin_at(a, t_ms);
    return t_ms >= a->min_valid_ms;
}

static bool
labels_clean(struct labels in, struct arena *arena, struct labels *out)
{
    size_t nr = 0;
    bool empty = false;

    for (size_t i = 0; i < in.nr; i++) {
        empty |= in.v[i].value.n == 0;
        if (i > 0 && str_eq(in.v[i].name, in.v[i - 1].name))
            return false;
    }
    *out = in;
    if (empty) {
        struct label *v = ARENA_NEW_ARRAY(arena, struct label, in.nr);
        for (size_t i = 0; i < in.nr; i++)
            if (in.v[i].value.n != 0)
                v[nr++] = in.v[i];
        *out = (struct labels){ v, nr };
    }
    return out->nr > 0 && out->nr <= UINT16_MAX;
}

static enum append_outcome
series_by_labels(struct head_appender *a, struct labels labels, struct head_series **series)
{
    struct arena_mark mark = arena_mark(&a->arena);
    bool created, refused;

    if (!labels_clean(labels, &a->arena, &labels))
        return APPEND_BAD_LABELS;
    *series = head_get_or_create(a->head, labels_hash(labels), labels, SERIES_REF_NONE, a->hint,
                                 &created, &refused);
    if (labels.nr == 0)
        arena_rewind(&a->arena, mark);
    return refused ? APPEND_OVER_LIMIT : APPEND_OK;
}

/* The series, locked, with one pending sample counted. */
static enum append_outcome
series_take(struct head_appender *a, series_ref ref, struct labels labels,
            struct head_series **series)
{
    struct head *h = a->head;

    if (ref != SERIES_REF_NONE) {
        uint32_t sid = head_refs_find(&h->refs, ref);
        /* Callers walk references upwards: the series a dozen further on is fetched while this one
         * is worked on. */
        uint32_t ahead = head_refs_find(&h->refs, ref + APPEND_AHEAD);
        if (ahead != SID_NONE) {
            const char *p = (const char *)head_series_at(h, ahead);
            __builtin_prefetch(p, 1);
            __builtin_prefetch(p + 64, 1);
        }
        if (sid != SID_NONE) {
            struct head_series *s = head_series_at(h, sid);
            series_lock(s);
            if (LIKELY(
                    (s->flags & SERIES_LIVE) != 0 &&
                    (atomic_load_explicit(&s->ref, memory_order_relaxed) == ref ||
                     ((s->flags & SERIES_ALIASED) != 0 && head_refs_find(&h->refs, ref) == sid)))) {
                s->pending_nr++;
                *series = s;
                return APPEND_OK;
            }
            series_unlock(s);
        }
        if (labels.nr == 0) {
            metric_inc(h->m.series_not_found);
            return APPEND_REF_UNKNOWN;
        }
    }
    enum append_outcome outcome = series_by_labels(a, labels, series);
    if (outcome == APPEND_OK)
        series_lock(*series);
    return outcome;
}

/* With the lock: rules for a sample that is not newer than what the series has. */
static enum append_outcome
check_time(const struct head_appender *a, const struct head_series *s, int64_t t_ms,
           bool *same_time)
{
    *same_time = false;
    if (t_ms < a->min_valid_ms)
        return APPEND_OUT_OF_BOUNDS;
    if (!series_has_samples(s) || t_ms > s->xor.t_ms)
        return APPEND_OK;
    *same_time = t_ms == s->xor.t_ms;
    return APPEND_OUT_OF_ORDER;
}

static enum append_outcome
check_float(const struct head_appender *a, const struct head_series *s, int64_t t_ms, double v)
{
    bool same_time;
    enum append_outcome outcome = check_time(a, s, t_ms, &same_time);

    if (!same_time)
        return outcome;
    if ((s->flags & SERIES_HISTOGRAM) != 0)
        return APPEND_DUPLICATE_TIME;
    return double_bits(s->xor.v) == double_bits(v) ? APPEND_DUPLICATE : APPEND_DUPLICATE_TIME;
}

static void
count_outcome(struct head *h, enum append_outcome outcome, bool histogram)
{
    if (outcome == APPEND_OUT_OF_ORDER)
        metric_inc(h->m.out_of_order[histogram]);
    else if (outcome == APPEND_OUT_OF_BOUNDS)
        metric_inc(h->m.out_of_bounds[histogram]);
    else if (outcome == APPEND_TOO_OLD)
        metric_inc(h->m.too_old[histogram]);
}

/* A series whose record is not in the WAL yet is logged by every batch that uses it until one
 * succeeded. */
static void
note_unlogged(struct head_appender *a, struct head_series *s)
{
    if (a->unlogged_nr > 0 && a->unlogged[a->unlogged_nr - 1] == s)
        return;
    MEM_GROW(a->unlogged, a->unlogged_nr + 1, &a->unlogged_cap);
    a->unlogged[a->unlogged_nr++] = s;
}

static void
run_add(struct head_appender *a, uint8_t type)
{
    if (a->runs_nr > 0 && a->runs[a->runs_nr - 1].type == type) {
        a->runs[a->runs_nr - 1].nr++;
        return;
    }
    MEM_GROW(a->runs, a->runs_nr + 1, &a->runs_cap);
    a->runs[a->runs_nr++] = (struct append_run){ .type = type, .nr = 1 };
}

static void
collect_float(struct head_appender *a, struct head_series *s, int64_t t_ms, double v)
{
    if (a->samples_nr == a->samples_cap) {
        size_t cap = a->samples_cap;
        MEM_GROW(a->samples, a->samples_nr + 1, &a->samples_cap);
        a->series = mem_realloc(a->series, mem_array_bytes(a->samples_cap, sizeof *a->series));
        (void)cap;
    }
    a->samples[a->samples_nr] = (struct record_sample){
        .ref = atomic_load_explicit(&s->ref, memory_order_relaxed), .t_ms = t_ms, .v = v
    };
    a->series[a->samples_nr++] = s;
    a->hint = s; /* pending, so it stays */
    run_add(a, RECORD_SAMPLES);
}

static enum append_outcome
append_float(struct appender *base, series_ref *ref, struct labels labels, int64_t st_ms,
             int64_t t_ms, double v)
{
    struct head_appender *a = appender_of(base);
    struct head_series *s;

    (void)st_ms;
    if (UNLIKELY(!in_bounds(a, t_ms))) {
        count_outcome(a->head, APPEND_OUT_OF_BOUNDS, false);
        return APPEND_OUT_OF_BOUNDS;
    }
    enum append_outcome outcome = series_take(a, *ref, labels, &s);
    if (outcome != APPEND_OK)
        return outcome;
    outcome = check_float(a, s, t_ms, v);
    bool logged = (s->flags & SERIES_LOGGED) != 0;
    if (outcome != APPEND_OK)
        s->pending_nr--;
    else if (s->data != NULL)
        __builtin_prefetch(s->data + s->data_n, 1); /* where the commit will write */
    *ref = atomic_load_explicit(&s->ref, memory_order_relaxed);
    series_unlock(s);
    if (UNLIKELY(outcome != APPEND_OK)) {
        count_outcome(a->head, outcome, false);
        return outcome;
    }
    if (UNLIKELY(!logged))
        note_unlogged(a, s);
    collect_float(a, s, t_ms, v);
    return APPEND_OK;
}

static enum append_outcome
check_histogram(const struct head_appender *a, const struct head_series *s, int64_t t_ms,
                const struct histogram *h)
{
    bool same_time;
    enum append_outcome outcome = check_time(a, s, t_ms, &same_time);

    if (!same_time)
        return outcome;
    return head_histogram_is_newest(s, h) ? APPEND_DUPLICATE : APPEND_DUPLICATE_TIME;
}

static void
collect_histogram(struct head_appender *a, struct head_series *s, int64_t t_ms,
                  const struct histogram *hist)
{
    if (a->histograms_nr == a->histograms_cap) {
        MEM_GROW(a->histograms, a->histograms_nr + 1, &a->histograms_cap);
        a->histogram_series = mem_realloc(
            a->histogram_series, mem_array_bytes(a->histograms_cap, sizeof *a->histogram_series));
    }
    struct record_histogram *r = &a->histograms[a->histograms_nr];
    *r = (struct record_histogram){ .ref = atomic_load_explicit(&s->ref, memory_order_relaxed),
                                    .t_ms = t_ms };
    r->h = *histogram_copy(hist, &a->arena);
    a->histogram_series[a->histograms_nr++] = s;
    run_add(a, (uint8_t)record_histogram_type(hist));
}

static enum append_outcome
append_hist(struct appender *base, series_ref *ref, struct labels labels, int64_t st_ms,
            int64_t t_ms, const struct histogram *hist)
{
    struct head_appender *a = appender_of(base);
    struct head_series *s;
    struct error err = { 0 };

    (void)st_ms;
    if (!in_bounds(a, t_ms)) {
        count_outcome(a->head, APPEND_OUT_OF_BOUNDS, true);
        return APPEND_OUT_OF_BOUNDS;
    }
    if (!histogram_validate(hist, &err)) {
        error_clear(&err);
        return APPEND_BAD_HISTOGRAM;
    }
    enum append_outcome outcome = series_take(a, *ref, labels, &s);
    if (outcome != APPEND_OK)
        return outcome;
    outcome = check_histogram(a, s, t_ms, hist);
    bool logged = (s->flags & SERIES_LOGGED) != 0;
    if (outcome != APPEND_OK)
        s->pending_nr--;
    *ref = atomic_load_explicit(&s->ref, memory_order_relaxed);
    series_unlock(s);
    if (outcome != APPEND_OK) {
        count_outcome(a->head, outcome, true);
        return outcome;
    }
    if (!logged)
        note_unlogged(a, s);
    collect_histogram(a, s, t_ms, hist);
    return APPEND_OK;
}

static struct labels
series_labels_copy(struct head *h, const struct head_series *s, struct arena *arena)
{
    struct label *v = ARENA_NEW_ARRAY(arena, struct label, s->pairs_nr);

    for (uint32_t i = 0; i < s->pairs_nr; i++)
        v[i] = (struct label){ symbols_text(h->o.symbols, s->pairs[i].name),
                               symbols_text(h->o.symbols, s->pairs[i].value) };
    return (struct labels){ v, s->pairs_nr };
}

static enum append_outcome
append_exemplar_(struct appender *base, series_ref ref, const struct exemplar *e)
{
    struct head_appender *a = appender_of(base);
    struct head *h = a->head;
    struct head_series *s;

    if (h->o.exemplars == NULL || !exemplars_on(h->o.exemplars))
        return APPEND_OK;
    if (series_take(a, ref, LABELS_NONE, &s) != APPEND_OK)
        return APPEND_REF_UNKNOWN;
    series_unlock(s); /* stays pending: its texts stay */
    struct labels labels = series_labels_copy(h, s, &a->arena);
    enum exemplar_outcome outcome = exemplars_check(h->o.exemplars, labels, e);
    if (outcome != EXEMPLAR_OK) {
        series_lock(s);
        s->pending_nr--;
        series_unlock(s);
        return outcome == EXEMPLAR_DUPLICATE      ? APPEND_DUPLICATE
               : outcome == EXEMPLAR_OUT_OF_ORDER ? APPEND_OUT_OF_ORDER
                                                  : APPEND_BAD_LABELS;
    }
    MEM_GROW(a->exemplars, a->exemplars_nr + 1, &a->exemplars_cap);
    a->exemplars[a->exemplars_nr++] = (struct append_exemplar_item){
        .s = s,
        .r = { .ref = atomic_load_explicit(&s->ref, memory_order_relaxed),
               .t_ms = e->t_ms,
               .v = e->v,
               .labels = labels_copy(&a->arena, e->labels) }
    };
    return APPEND_OK;
}

static bool
metadata_is(const struct series_ext *ext, const struct metadata *m)
{
    return ext != NULL && ext->has_metadata && ext->metadata.type == m->type &&
           str_eq(ext->metadata.help, m->help) && str_eq(ext->metadata.unit, m->unit);
}

static void
append_metadata_(struct appender *base, series_ref ref, const struct metadata *m)
{
    struct head_appender *a = appender_of(base);
    struct head_series *s;

    if (!a->head->o.metadata_wal || series_take(a, ref, LABELS_NONE, &s) != APPEND_OK)
        return;
    bool same = metadata_is(s->ext, m);
    bool logged = (s->flags & SERIES_LOGGED) != 0;
    if (same)
        s->pending_nr--;
    series_unlock(s);
    if (same)
        return;
    if (!logged)
        note_unlogged(a, s);
    if (a->metadata_nr == a->metadata_cap) {
        MEM_GROW(a->metadata, a->metadata_nr + 1, &a->metadata_cap);
        a->metadata_series = mem_realloc(
            a->metadata_series, mem_array_bytes(a->metadata_cap, sizeof *a->metadata_series));
    }
    a->metadata[a->metadata_nr] =
        (struct record_metadata){ .ref = ref,
                                  .m = { .type = m->type,
                                         .help = arena_str(&a->arena, m->help),
                                         .unit = arena_str(&a->arena, m->unit) } };
    a->metadata_series[a->metadata_nr++] = s;
}

static void
unpend(struct head_series *s)
{
    series_lock(s);
    s->pending_nr--;
    series_unlock(s);
}

static void
rollback(struct appender *base)
{
    struct head_appender *a = appender_of(base);

    for (size_t i = 0; i < a->samples_nr; i++)
        unpend(a->series[i]);
    for (size_t i = 0; i < a->histograms_nr; i++)
        unpend(a->histogram_series[i]);
    for (size_t i = 0; i < a->exemplars_nr; i++)
        unpend(a->exemplars[i].s);
    for (size_t i = 0; i < a->metadata_nr; i++)
        unpend(a->metadata_series[i]);
    appender_done(a);
}

static bool
commit(struct appender *base, struct error *err)
{
    struct head_appender *a = appender_of(base);

    if (!head_commit_log(a, err)) {
        rollback(base);
        return false;
    }
    head_commit_apply(a);
    appender_done(a);
    return true;
}

static const struct append_ops head_append_ops = {
    .sample = append_float,
    .histogram = append_hist,
    .exemplar = append_exemplar_,
    .metadata = append_metadata_,
    .commit = commit,
    .rollback = rollback,
};

/* Used by commit: the same rules again, since other batches may have come first. */
enum append_outcome
head_recheck_float(const struct head_appender *a, const struct head_series *s, int64_t t_ms,
                   double v)
{
    return check_float(a, s, t_ms, v);
}

enum append_outcome
head_recheck_histogram(const struct head_appender *a, const struct head_series *s, int64_t t_ms,
                       const struct histogram *h)
{
    return check_histogram(a, s, t_ms, h);
}

const char *
append_outcome_text(enum append_outcome outcome)
{
    static const char *const texts[APPEND_OUTCOMES_NR] = {
        [APPEND_OK] = "",
        [APPEND_DUPLICATE] = "",
        [APPEND_REF_UNKNOWN] = "unknown series",
        [APPEND_DUPLICATE_TIME] = "duplicate sample for timestamp",
        [APPEND_OUT_OF_ORDER] = "out of order sample",
        [APPEND_TOO_OLD] = "too old sample",
        [APPEND_OUT_OF_BOUNDS] = "out of bounds",
        [APPEND_BAD_LABELS] = "invalid sample",
        [APPEND_BAD_HISTOGRAM] = "invalid histogram",
        [APPEND_OVER_LIMIT] = "series limit exceeded",
    };

    return (unsigned)outcome < APPEND_OUTCOMES_NR ? texts[outcome] : "";
}
