/* One series of a page: from the parser's entry to storage's outcome. */
#include "scrape/page_run.h"

#include <math.h>
#include <stdlib.h>

#include "base/quote.h"
#include "model/histogram_math.h"
#include "model/relabel.h"
#include "scrape/scrape_limits.h"

/* The parser learns what the lines that it did not see say of type and unit. */
void
page_run_catch_up(struct page_run *run)
{
    struct page_parser *p = &run->x->parser;
    size_t here = p->lex.i, first = MIN(run->type_at, run->unit_at),
           last = MAX(run->type_at, run->unit_at);
    struct error err = { 0 };

    if (first != NOWHERE) {
        page_parser_seek(p, first);
        page_parser_next(p, &err);
    }
    if (first != NOWHERE && last != NOWHERE) {
        page_parser_seek(p, last);
        page_parser_next(p, &err);
    }
    run->type_at = run->unit_at = NOWHERE;
    error_clear(&err);
    page_parser_seek(p, here);
}

/* ---- outcomes */

/* Whether the sample is in; what is not is counted. */
static bool
count_outcome(struct page_run *run, enum append_outcome outcome)
{
    switch (outcome) {
    case APPEND_OK:
    case APPEND_DUPLICATE:
        return true;
    case APPEND_OUT_OF_ORDER:
        run->r->out_of_order++;
        return false;
    case APPEND_DUPLICATE_TIME:
        run->r->duplicates++;
        return false;
    case APPEND_TOO_OLD:
    case APPEND_OUT_OF_BOUNDS:
        run->r->out_of_bounds++;
        return false;
    default:
        run->r->refused++;
        return false;
    }
}

/* Over sample_limit nothing is appended any more, but the page is read on to count. */
bool
page_run_within_limit(struct page_run *run)
{
    run->samples++;
    if (run->config->sample_limit == 0 || run->samples <= run->config->sample_limit)
        return true;
    run->r->sample_limit = true;
    return false;
}

/* ---- new series */

static bool
labels_differ(struct labels raw, struct error *err)
{
    for (size_t i = 1; i < raw.nr; i++)
        if (str_eq(raw.v[i - 1].name, raw.v[i].name)) {
            struct buf name = { 0 };

            quote_go(raw.v[i].name, &name);
            error_set(err, ERR_INVALID, "label name %s is not unique: invalid sample",
                      buf_z(&name));
            buf_fini(&name);
            return false;
        }
    return true;
}

/* The series' final labels, in x->builder; false: relabelling drops it. */
static bool
series_labels(struct page_run *run, struct labels raw)
{
    struct labels_builder *b = &run->x->builder;

    labels_builder_reset(b, LABELS_NONE);
    for (size_t i = 0; i < raw.nr; i++)
        labels_builder_set(b, raw.v[i].name, raw.v[i].value);
    target_label_series(run->t->public, run->config->honor_labels, raw, b, &run->x->scratch);
    return relabel_apply(run->config->metric_relabel_configs.rules,
                         run->config->metric_relabel_configs.nr, b, &run->x->scratch) &&
           labels_builder_view(b).nr != 0;
}

/* The labels of the series at hand; the parser reads the line again when it was recognised without.
 */
static bool
raw_labels(struct page_run *run, struct labels *raw, struct error *err)
{
    struct page_parser *p = &run->x->parser;

    if (!run->has_labels) {
        page_parser_seek(p, p->start);
        page_run_catch_up(run);
        if (page_parser_next(p, err) == PARSE_ERROR)
            return false;
        run->has_labels = true;
    }
    run->r->parsed++;
    *raw = page_parser_labels(p, &run->x->scratch);
    return true;
}

enum new_series { NEW_SERIES, NEW_DROPPED, NEW_FAILED };

static enum new_series
new_series(struct page_run *run, struct labels *ls, struct error *err)
{
    struct labels raw;

    if (!raw_labels(run, &raw, err))
        return NEW_FAILED;
    if (!series_labels(run, raw))
        return NEW_DROPPED;
    if (!labels_differ(raw, err))
        return NEW_FAILED;
    *ls = labels_builder_view(&run->x->builder);
    if (!labels_have_name(*ls, run->config->name_validation, err))
        return NEW_FAILED;
    if (!labels_within_limits(*ls, run->config, err)) {
        run->r->label_limits = true;
        return NEW_FAILED;
    }
    return NEW_SERIES;
}

/* ---- series */

/* The finest schema whose buckets grow by at least this factor. */
static int32_t
schema_of_factor(double factor)
{
    double schema;

    if (factor <= 1)
        factor = 1.00271;
    schema = floor(-log2(log2(factor)));
    return (int32_t)MAX(HISTOGRAM_SCHEMA_MIN, MIN(HISTOGRAM_SCHEMA_MAX, schema));
}

/* Makes the histogram at hand coarser as the job's limits ask; false: it has too many buckets all
 * the same, and the page fails, but is read on. */
static bool
limit_histogram(struct page_run *run)
{
    struct page_parser *p = &run->x->parser;
    struct histogram *h = &run->limited;
    uint64_t limit = run->config->native_histogram_bucket_limit;
    int32_t finest = schema_of_factor(run->config->native_histogram_min_bucket_factor);
    struct error err = { 0 };
    bool ok = true;

    if (p->histogram == NULL)
        return true;
    *h = *p->histogram;
    if (histogram_schema_exponential(h->schema) && h->schema > finest)
        ok = histogram_reduce(h, finest, &run->x->scratch, &err);
    while (ok && limit != 0 && h->pos.buckets_nr + h->neg.buckets_nr > limit)
        ok = histogram_schema_exponential(h->schema) && h->schema > HISTOGRAM_SCHEMA_MIN &&
             histogram_reduce(h, h->schema - 1, &run->x->scratch, &err);
    error_clear(&err);
    run->r->bucket_limit |= !ok;
    return ok;
}

static enum append_outcome
append_value(struct page_run *run, series_ref *ref, struct labels ls, int64_t t_ms)
{
    struct page_parser *p = &run->x->parser;
    int64_t st_ms = run->x->parse_start_timestamps ? page_parser_start_timestamp(p) : 0;

    if (t_ms > run->max_t_ms)
        return APPEND_OUT_OF_BOUNDS;
    if (p->histogram != NULL)
        return append_histogram(run->app, ref, ls, st_ms, t_ms, &run->limited);
    return append_sample(run->app, ref, ls, st_ms, t_ms, p->value);
}

/* By ref when it is known, else with labels. *in: the sample was accepted. False: the page fails.
 */
bool
page_run_append(struct page_run *run, int64_t t_ms, bool *in, struct error *err)
{
    struct labels ls = LABELS_NONE;
    bool is_new = run->line.ref == SERIES_REF_NONE;
    enum append_outcome outcome = APPEND_REF_UNKNOWN;

    *in = false;
    if (!limit_histogram(run))
        return true;
    if (!is_new) {
        if (!page_run_within_limit(run))
            return true;
        outcome = append_value(run, &run->line.ref, ls, t_ms);
    }
    if (outcome == APPEND_REF_UNKNOWN) { /* new, or collected since */
        switch (new_series(run, &ls, err)) {
        case NEW_FAILED:
            return false;
        case NEW_DROPPED:
            run->line.bytes_flags |= LINE_DROPPED;
            return true;
        case NEW_SERIES:
            break;
        }
        if (is_new && !page_run_within_limit(run))
            return true;
        run->line.ref = SERIES_REF_NONE;
        outcome = append_value(run, &run->line.ref, ls, t_ms);
    }
    if (outcome == APPEND_BAD_LABELS)
        return error_set(err, ERR_INVALID, "empty labelset: invalid sample");
    *in = count_outcome(run, outcome);
    if (is_new && !*in)
        run->line.ref = SERIES_REF_NONE;
    run->r->series_added += is_new && *in && !run->r->sample_limit && !run->r->bucket_limit;
    return true;
}

static int
by_time(const void *a, const void *b)
{
    const struct exemplar *x = a, *y = b;

    return x->t_ms != y->t_ms ? (x->t_ms > y->t_ms) - (x->t_ms < y->t_ms)
                              : (x->v > y->v) - (x->v < y->v);
}

/* Exemplars without a time have the sample's; those of native histograms need one. */
void
page_run_exemplars(struct page_run *run, int64_t t_ms)
{
    struct page_parser *p = &run->x->parser;
    struct exemplar e, *all = NULL;
    size_t nr = 0, cap = 0, out_of_order = 0;

    while (page_parser_exemplar(p, &e, &run->x->scratch)) {
        if (!e.has_t && p->histogram != NULL)
            continue;
        if (!e.has_t)
            e.t_ms = t_ms;
        ARENA_GROW(&run->x->scratch, all, nr, nr + 1, &cap);
        all[nr++] = e;
    }
    if (nr > 1)
        qsort(all, nr, sizeof *all, by_time);
    for (size_t i = 0; i < nr; i++)
        out_of_order += append_exemplar(run->app, run->line.ref, &all[i]) == APPEND_OUT_OF_ORDER;
    if (nr != 0 && out_of_order == nr)
        run->r->exemplars_out_of_order += nr;
}

/* A metadata record when the series is new or its family has changed on this page. */
void
page_run_family(struct page_run *run, bool is_new)
{
    const struct target_family *f = target_meta_find(&run->t->meta, run->family);
    struct labels ls;

    if (f == NULL || run->line.ref == SERIES_REF_NONE ||
        (!is_new && f->changed != run->t->scrape_nr))
        return;
    if (!is_new)
        series_labels(run, page_parser_labels(&run->x->parser, &run->x->scratch));
    ls = labels_builder_view(&run->x->builder);
    if (series_of_family(labels_get(ls, LABEL_NAME), run->family, f->text->meta.type))
        append_metadata(run->app, run->line.ref, &f->text->meta);
}
