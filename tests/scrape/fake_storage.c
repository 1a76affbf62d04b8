#include "fake_storage.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/sample.h"

struct fake_appender {
    struct appender base;
    struct fake_storage *s;
    struct fake_sample *samples;
    size_t nr, cap;
};

static series_ref
series_of(struct fake_storage *s, struct labels ls)
{
    struct buf text = { 0 };
    series_ref ref = 0;

    labels_print(ls, &text);
    for (size_t i = 0; i < s->series_nr && ref == 0; i++)
        if (!s->series[i].collected && str_is(buf_as_str(&text), s->series[i].labels))
            ref = i + 1;
    if (ref == 0 && !s->refuse_new) {
        MEM_GROW(s->series, s->series_nr + 1, &s->series_cap);
        s->series[s->series_nr++] = (struct fake_series){ .labels = str_dup(buf_as_str(&text)) };
        ref = s->series_nr;
    }
    buf_fini(&text);
    return ref;
}

static enum append_outcome
judge(const struct fake_series *series, int64_t t_ms, double v)
{
    if (!series->has_last || t_ms > series->last_t_ms)
        return APPEND_OK;
    if (t_ms < series->last_t_ms)
        return APPEND_OUT_OF_ORDER;
    return double_bits(v) == double_bits(series->last_v) ? APPEND_DUPLICATE : APPEND_DUPLICATE_TIME;
}

static enum append_outcome
fake_sample(struct appender *base, series_ref *ref, struct labels ls, int64_t st_ms, int64_t t_ms,
            double v)
{
    struct fake_appender *a = CONTAINER_OF(base, struct fake_appender, base);
    struct fake_storage *s = a->s;
    enum append_outcome outcome = APPEND_OK;

    (void)st_ms;
    lock_take(&s->lock);
    if (*ref != 0 && s->series[*ref - 1].collected)
        *ref = 0;
    if (*ref == 0 && ls.nr == 0) {
        outcome = APPEND_REF_UNKNOWN;
    } else if (*ref == 0) {
        s->lookups_nr++;
        *ref = series_of(s, ls);
        if (*ref == 0)
            outcome = APPEND_OVER_LIMIT;
    }
    if (outcome == APPEND_OK && s->strict)
        outcome = judge(&s->series[*ref - 1], t_ms, v);
    if (outcome == APPEND_OK) {
        MEM_GROW(a->samples, a->nr + 1, &a->cap);
        a->samples[a->nr++] = (struct fake_sample){ *ref, t_ms, v };
        s->series[*ref - 1].last_t_ms = t_ms;
        s->series[*ref - 1].last_v = v;
        s->series[*ref - 1].has_last = true;
    }
    lock_release(&s->lock);
    return outcome;
}

static enum append_outcome
fake_histogram(struct appender *base, series_ref *ref, struct labels ls, int64_t st_ms,
               int64_t t_ms, const struct histogram *h)
{
    return fake_sample(base, ref, ls, st_ms, t_ms, h->sum);
}

static enum append_outcome
fake_exemplar(struct appender *base, series_ref ref, const struct exemplar *e)
{
    struct fake_storage *s = CONTAINER_OF(base, struct fake_appender, base)->s;

    if (s->exemplars_nr < ARRAY_LEN(s->exemplars)) {
        s->exemplars[s->exemplars_nr].ref = ref;
        s->exemplars[s->exemplars_nr].t_ms = e->t_ms;
        s->exemplars[s->exemplars_nr++].v = e->v;
    }
    return APPEND_OK;
}

static void
fake_metadata(struct appender *base, series_ref ref, const struct metadata *m)
{
    (void)base;
    (void)ref;
    (void)m;
}

static void
fake_free(struct fake_appender *a)
{
    free(a->samples);
    free(a);
}

static bool
fake_commit(struct appender *base, struct error *err)
{
    struct fake_appender *a = CONTAINER_OF(base, struct fake_appender, base);
    struct fake_storage *s = a->s;

    (void)err;
    lock_take(&s->lock);
    MEM_GROW(s->samples, s->samples_nr + a->nr + 1, &s->samples_cap);
    memcpy(s->samples + s->samples_nr, a->samples, a->nr * sizeof *a->samples);
    s->samples_nr += a->nr;
    s->commits_nr++;
    lock_release(&s->lock);
    fake_free(a);
    return true;
}

static void
fake_rollback(struct appender *base)
{
    struct fake_appender *a = CONTAINER_OF(base, struct fake_appender, base);

    lock_take(&a->s->lock);
    a->s->rollbacks_nr++;
    for (size_t i = 0; i < a->nr; i++)
        a->s->series[a->samples[i].ref - 1].has_last = false;
    lock_release(&a->s->lock);
    fake_free(a);
}

static const struct append_ops fake_ops = { fake_sample,   fake_histogram, fake_exemplar,
                                            fake_metadata, fake_commit,    fake_rollback };

static struct appender *
fake_begin(struct appendable *base, const struct append_options *options)
{
    struct fake_appender *a = MEM_NEW(struct fake_appender);

    (void)options;
    a->base.ops = &fake_ops;
    a->s = CONTAINER_OF(base, struct fake_storage, base);
    a->samples = mem_alloc(16 * sizeof *a->samples);
    a->cap = 16;
    return &a->base;
}

void
fake_storage_init(struct fake_storage *s)
{
    memset(s, 0, sizeof *s);
    s->base.begin = fake_begin;
    lock_init(&s->lock, LOCK_SERIES, "fake storage");
}

void
fake_storage_fini(struct fake_storage *s)
{
    for (size_t i = 0; i < s->series_nr; i++)
        free(s->series[i].labels);
    free(s->series);
    free(s->samples);
    lock_fini(&s->lock);
}

void
fake_storage_forget(struct fake_storage *s)
{
    lock_take(&s->lock);
    s->samples_nr = 0;
    s->exemplars_nr = 0;
    lock_release(&s->lock);
}

static bool
is_series(const struct fake_storage *s, const struct fake_sample *sample, const char *labels)
{
    return strcmp(s->series[sample->ref - 1].labels, labels) == 0;
}

bool
fake_storage_at(struct fake_storage *s, const char *labels, int64_t t_ms, double *v)
{
    bool found = false;

    lock_take(&s->lock);
    for (size_t i = 0; i < s->samples_nr; i++)
        if (s->samples[i].t_ms == t_ms && is_series(s, &s->samples[i], labels)) {
            *v = s->samples[i].v;
            found = true;
        }
    lock_release(&s->lock);
    return found;
}

size_t
fake_storage_count(struct fake_storage *s, const char *labels)
{
    size_t nr = 0;

    lock_take(&s->lock);
    for (size_t i = 0; i < s->samples_nr; i++)
        nr += is_series(s, &s->samples[i], labels);
    lock_release(&s->lock);
    return nr;
}

void
fake_storage_collect(struct fake_storage *s, const char *labels)
{
    lock_take(&s->lock);
    for (size_t i = 0; i < s->series_nr; i++)
        if (strcmp(s->series[i].labels, labels) == 0)
            s->series[i].collected = true;
    lock_release(&s->lock);
}
