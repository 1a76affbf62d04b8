/* Classic histograms to native ones with custom buckets.
 *
 * The classic series of one metric stand in one run of lines. As long as the base name and the
 * labels without le stay the same, their values are gathered; the first entry that does not belong
 * ends the run: the converted histogram is given first and that entry (held) at the next call. What
 * does not convert is dropped, as Prometheus does. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "scrape/parse_nhcb.h"
#include "scrape/parse_priv.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/histogram_math.h"

enum nhcb_state { NHCB_START, NHCB_COLLECTING, NHCB_EMITTING };

struct nhcb {
    enum nhcb_state state;
    struct buf family; /* name of the last TYPE line */

    /* Being gathered, or at hand. */
    struct nhcb_buckets buckets;
    struct arena arena;
    struct labels labels; /* of the histogram: without le */
    struct buf name;      /* base name */
    uint64_t hash;        /* of labels without le and name */
    int64_t st_ms;
    struct exemplar *exemplars;
    size_t exemplars_nr, exemplars_cap, exemplars_given;
    struct histogram histogram;
    struct buf text;

    /* The entry that ended the run. */
    enum parse_entry held;
    struct str held_series;
};

/* ---- buckets */

void
nhcb_buckets_fini(struct nhcb_buckets *b)
{
    free(b->v);
}

void
nhcb_buckets_reset(struct nhcb_buckets *b)
{
    b->nr = 0;
    b->count = b->sum = 0;
    b->has_count = false;
    b->why[0] = 0;
}

static void
spoil(struct nhcb_buckets *b, const char *what, double x, const char *between, double y)
{
    char left[DECIMAL_BYTES_MAX], right[DECIMAL_BYTES_MAX];
    size_t n = decimal_format_general(x, left), m = decimal_format_general(y, right);

    if (b->why[0] == 0)
        snprintf(b->why, sizeof b->why, "%s%.*s%s%.*s", what, (int)n, left, between, (int)m, right);
}

/* Where bound stands or belongs. */
static size_t
place_of(const struct nhcb_buckets *b, double bound)
{
    size_t at = b->nr;

    while (at > 0 && b->v[at - 1].bound >= bound)
        at--;
    return at;
}

void
nhcb_set_bucket(struct nhcb_buckets *b, double bound, double count)
{
    size_t at = place_of(b, bound);

    if (isnan(bound)) {
        snprintf(b->why, sizeof b->why, "bucket boundary must not be NaN");
        return;
    }
    if (count < 0)
        spoil(b, "bucket count must be non-negative: le=", bound, ", count=", count);
    if (at < b->nr && b->v[at].bound == bound)
        return; /* the first one counts */
    if (at > 0 && count < b->v[at - 1].count)
        spoil(b, "count is not cumulative: ", count, " < ", b->v[at - 1].count);
    if (at < b->nr && count > b->v[at].count)
        spoil(b, "count is not cumulative: ", count, " > ", b->v[at].count);
    MEM_GROW(b->v, b->nr + 1, &b->cap);
    memmove(b->v + at + 1, b->v + at, (b->nr - at) * sizeof *b->v);
    b->v[at] = (struct nhcb_bucket){ bound, count };
    b->nr++;
}

void
nhcb_set_count(struct nhcb_buckets *b, double count)
{
    char text[DECIMAL_BYTES_MAX];

    if (count < 0 && b->why[0] == 0)
        snprintf(b->why, sizeof b->why, "count must be non-negative: count=%.*s",
                 (int)decimal_format_general(count, text), text);
    b->count = count;
    b->has_count = true;
}

static bool
is_whole(double v)
{
    return fabs(v) < 9.2e18 && v == round(v);
}

static bool
all_whole(const struct nhcb_buckets *b)
{
    for (size_t i = 0; i < b->nr; i++)
        if (!is_whole(b->v[i].count))
            return false;
    return is_whole(b->count);
}

static void
fill_int(const struct nhcb_buckets *b, struct arena *arena, struct histogram *h)
{
    int64_t *deltas = ARENA_NEW_ARRAY(arena, int64_t, b->nr), before = 0, last = 0;

    for (size_t i = 0; i < b->nr; i++) {
        int64_t here = (int64_t)b->v[i].count - before;

        deltas[i] = here - last;
        before = (int64_t)b->v[i].count;
        last = here;
    }
    h->is_int = true;
    h->count_int = (uint64_t)b->count;
    h->pos.deltas = deltas;
}

static void
fill_float(const struct nhcb_buckets *b, struct arena *arena, struct histogram *h)
{
    double *counts = ARENA_NEW_ARRAY(arena, double, b->nr);

    for (size_t i = 0; i < b->nr; i++)
        counts[i] = b->v[i].count - (i == 0 ? 0 : b->v[i - 1].count);
    h->pos.counts = counts;
}

static void
fill(const struct nhcb_buckets *b, struct arena *arena, struct histogram *h)
{
    struct histogram_span *span = ARENA_NEW(arena, struct histogram_span);
    double *bounds = ARENA_NEW_ARRAY(arena, double, b->nr);

    *span = (struct histogram_span){ 0, (uint32_t)b->nr };
    for (size_t i = 0; i + 1 < b->nr; i++)
        bounds[i] = b->v[i].bound;
    *h = (struct histogram){ .schema = HISTOGRAM_SCHEMA_CUSTOM,
                             .count = b->count,
                             .sum = b->sum,
                             .pos = { .spans = span, .spans_nr = 1, .buckets_nr = b->nr },
                             .custom_values = bounds,
                             .custom_values_nr = b->nr - 1 };
    if (all_whole(b))
        fill_int(b, arena, h);
    else
        fill_float(b, arena, h);
    histogram_compact(h, h->is_int ? 2 : 0, arena);
}

bool
nhcb_convert(struct nhcb_buckets *b, struct arena *arena, struct histogram *h, struct error *err)
{
    if (b->why[0] != 0)
        return error_set(err, ERR_CORRUPT, "%s", b->why);
    if (!b->has_count && b->nr != 0)
        b->count = b->v[b->nr - 1].count;
    if (b->nr == 0 || b->v[b->nr - 1].bound != INFINITY)
        nhcb_set_bucket(b, INFINITY, b->count);
    if (b->why[0] == 0 && b->v[b->nr - 1].count != b->count)
        spoil(b, "count mismatch: count=", b->count, " != le=+Inf count=", b->v[b->nr - 1].count);
    if (b->why[0] != 0)
        return error_set(err, ERR_CORRUPT, "%s", b->why);
    fill(b, arena, h);
    return true;
}

/* ---- the stream */

struct nhcb *
nhcb_new(void)
{
    struct nhcb *n = MEM_NEW(struct nhcb);

    arena_init(&n->arena, SIZE_MAX);
    return n;
}

void
nhcb_free(struct nhcb *n)
{
    if (n == NULL)
        return;
    nhcb_buckets_fini(&n->buckets);
    free(n->exemplars);
    buf_fini(&n->family);
    buf_fini(&n->name);
    buf_fini(&n->text);
    arena_fini(&n->arena);
    free(n);
}

static void
run_reset(struct nhcb *n)
{
    nhcb_buckets_reset(&n->buckets);
    n->exemplars_nr = n->exemplars_given = 0;
    n->st_ms = 0;
    n->state = NHCB_START;
    arena_rewind(&n->arena, (struct arena_mark){ 0 });
}

void
nhcb_start(struct nhcb *n)
{
    run_reset(n);
    buf_reset(&n->family);
    buf_reset(&n->name);
}

bool
nhcb_emitting(const struct nhcb *n)
{
    return n->state == NHCB_EMITTING;
}

struct labels
nhcb_labels(const struct nhcb *n)
{
    return n->labels;
}

bool
nhcb_exemplar(struct nhcb *n, struct exemplar *e)
{
    if (n->exemplars_given == n->exemplars_nr)
        return false;
    *e = n->exemplars[n->exemplars_given++];
    return true;
}

bool
nhcb_start_timestamp(const struct nhcb *n, int64_t *st_ms)
{
    if (n->state == NHCB_START)
        return false;
    *st_ms = n->st_ms;
    return true;
}

static struct str
label_of(struct labels ls, struct str name)
{
    for (size_t i = 0; i < ls.nr; i++)
        if (str_eq(ls.v[i].name, name))
            return ls.v[i].value;
    return STR_NONE;
}

/* Of everything but name and le. */
static uint64_t
hash_of(struct labels ls)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < ls.nr; i++)
        if (!str_eq(ls.v[i].name, LABEL_NAME) && !str_eq(ls.v[i].name, LABEL_BUCKET))
            hash =
                hash64_mix(hash64_mix(hash, hash64_str(ls.v[i].name)), hash64_str(ls.v[i].value));
    return hash;
}

enum part { PART_NONE, PART_BUCKET, PART_SUM, PART_COUNT };

static enum part
part_of(struct str name, struct str *base)
{
    static const struct {
        const char *suffix;
        enum part part;
    } parts[] = { { "_bucket", PART_BUCKET }, { "_sum", PART_SUM }, { "_count", PART_COUNT } };

    *base = name;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (str_ends(name, str_c(parts[i].suffix))) {
            base->n -= strlen(parts[i].suffix);
            return parts[i].part;
        }
    return PART_NONE;
}

static bool
is_other_metric(const struct nhcb *n, const struct page_parser *p, struct labels ls)
{
    struct str base;

    part_of(label_of(ls, LABEL_NAME), &base);
    return p->type != METADATA_HISTOGRAM || !str_eq(base, buf_as_str(&n->name)) ||
           hash_of(ls) != n->hash;
}

/* The histogram's labels, deep: the line's own go with the line. */
static void
keep_labels(struct nhcb *n, struct labels ls, struct str base)
{
    struct label *v = ARENA_NEW_ARRAY(&n->arena, struct label, ls.nr);
    size_t nr = 0;

    for (size_t i = 0; i < ls.nr; i++)
        if (!str_eq(ls.v[i].name, LABEL_BUCKET)) {
            v[nr] = ls.v[i];
            if (str_eq(v[nr].name, LABEL_NAME))
                v[nr].value = base;
            nr++;
        }
    n->labels = labels_copy(&n->arena, (struct labels){ v, nr });
}

static void
begin_run(struct nhcb *n, struct page_parser *p, struct labels ls, struct str base)
{
    run_reset(n);
    n->state = NHCB_COLLECTING;
    buf_reset(&n->name);
    buf_str(&n->name, base);
    n->hash = hash_of(ls);
    keep_labels(n, ls, base);
    n->st_ms = p->options.skip_start_timestamp_series ? parse_plain_start_timestamp(p) : 0;
}

static void
keep_exemplars(struct nhcb *n, struct page_parser *p)
{
    struct exemplar e;

    while (parse_plain_exemplar(p, &e, &n->arena)) {
        e.labels = labels_copy(&n->arena, e.labels);
        MEM_GROW(n->exemplars, n->exemplars_nr + 1, &n->exemplars_cap);
        n->exemplars[n->exemplars_nr++] = e;
    }
}

/* Takes the series at hand into the run when it is a part of a classic histogram. */
static bool
gather(struct nhcb *n, struct page_parser *p, struct labels ls)
{
    struct str base, le = label_of(ls, LABEL_BUCKET);
    enum part part = part_of(label_of(ls, LABEL_NAME), &base);
    double bound = 0;

    if (p->type != METADATA_HISTOGRAM || part == PART_NONE || !str_eq(base, buf_as_str(&n->family)))
        return false;
    if (part == PART_BUCKET && (le.n == 0 || !decimal_parse_go(le, &bound) || isnan(bound)))
        return false;
    if (n->state != NHCB_COLLECTING)
        begin_run(n, p, ls, base);
    keep_exemplars(n, p);
    if (part == PART_BUCKET)
        nhcb_set_bucket(&n->buckets, bound, p->value);
    else if (part == PART_COUNT)
        nhcb_set_count(&n->buckets, p->value);
    else
        n->buckets.sum = p->value;
    return true;
}

/* Ends the run; true when its histogram is to be given now. */
static bool
finish_run(struct nhcb *n, struct page_parser *p, enum parse_entry held)
{
    struct error err = { 0 };
    bool ok;

    if (n->state != NHCB_COLLECTING)
        return false;
    ok = nhcb_convert(&n->buckets, &n->arena, &n->histogram, &err) &&
         histogram_validate(&n->histogram, &err);
    error_clear(&err);
    n->state = ok ? NHCB_EMITTING : NHCB_START;
    if (!ok)
        return false;
    n->held = held;
    n->held_series = p->series;
    buf_reset(&n->text);
    labels_print_metric(n->labels, &n->text);
    p->series = buf_as_str(&n->text);
    p->histogram = &n->histogram;
    return true;
}

/* True: the series at hand is to be given (it is no part of a classic histogram, or those are
 * kept). */
static bool
pass_series(struct nhcb *n, struct page_parser *p, struct labels ls)
{
    return !gather(n, p, ls) || p->options.keep_classic_histograms;
}

enum parse_entry
nhcb_next(struct nhcb *n, struct page_parser *p, struct error *err)
{
    struct arena scratch;
    enum parse_entry e;
    bool done = false;

    arena_init(&scratch, SIZE_MAX);
    do {
        bool again = n->state == NHCB_EMITTING;

        p->histogram = NULL;
        e = again ? n->held : parse_plain_next(p, err);
        if (again) {
            p->series = n->held_series;
            n->state = NHCB_START;
        }
        if (e == PARSE_SERIES) {
            struct labels ls = parse_plain_labels(p, &scratch);

            done =
                (n->state == NHCB_COLLECTING && is_other_metric(n, p, ls) && finish_run(n, p, e));
            if (done)
                e = PARSE_HISTOGRAM;
            else
                done = pass_series(n, p, ls);
            continue;
        }
        if (e == PARSE_TYPE && !again) {
            buf_reset(&n->family);
            buf_str(&n->family, p->name);
        }
        if (e != PARSE_ERROR && finish_run(n, p, e))
            e = PARSE_HISTOGRAM;
        done = true;
    } while (!done);
    arena_fini(&scratch);
    return e;
}
