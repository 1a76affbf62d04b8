/* compare_engines [-v] [-1] [-s seed] [-n queries]: asks the engine and the oracle the same random
 * questions over the same random data. Each round has its own data, and both sets of feature flags
 * take turns. TEST_SEED in the environment is the seed, too; what differs is printed with what is
 * needed to see it again. -1: stop at the first. Exit status 1 when something differs.
 *
 * -q: only print the questions, a line each: type, start, end, step, text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "gen.h"
#include "model/histogram_math.h"
#include "oracle.h"

enum { QUERIES = 20000, PER_ROUND = 200 };

static const double tolerance = 1e-9;

struct run {
    struct gen gen;
    uint64_t seed; /* of the round */
    bool verbose, first_only, print_only;
    size_t nr, failed, refused, empty, differ_nr;
};

static bool
close_to(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

/* By their buckets with observations. */
static bool
same_histograms(const struct histogram *a, const struct histogram *b)
{
    struct histogram_all x, y;

    if (a == NULL || b == NULL)
        return a == b;
    if (a->schema != b->schema || a->hint != b->hint || !close_to(a->count, b->count) ||
        !close_to(a->sum, b->sum))
        return false;
    histogram_all_init(&x, a, false);
    histogram_all_init(&y, b, false);
    for (;;) {
        bool more_x, more_y;

        while ((more_x = histogram_all_next(&x)) && x.at.count == 0)
            ;
        while ((more_y = histogram_all_next(&y)) && y.at.count == 0)
            ;
        if (!more_x || !more_y)
            return more_x == more_y;
        if (!close_to(x.at.lower, y.at.lower) || !close_to(x.at.upper, y.at.upper) ||
            !close_to(x.at.count, y.at.count))
            return false;
    }
}

static bool
say(struct buf *why, const struct result_series *s, size_t i, const char *what)
{
    labels_print_metric(s->labels, why);
    if (i < s->nr)
        buf_printf(why, " at %" PRId64 ": %s %.17g", s->t_ms[i], what, s->v[i]);
    else
        buf_printf(why, ": %s", what);
    return false;
}

static const struct histogram *
histogram_at(const struct result_series *s, size_t i)
{
    return s->h == NULL ? NULL : s->h[i];
}

static bool
same_series(const struct result_series *a, const struct result_series *b, struct buf *why)
{
    for (size_t i = 0; i < a->nr && i < b->nr; i++) {
        const struct histogram *x = histogram_at(a, i), *y = histogram_at(b, i);

        if (a->t_ms[i] != b->t_ms[i])
            return say(why, a, i, "the oracle has another time than the engine's");
        if ((x == NULL) != (y == NULL))
            return say(why, a, i,
                       x != NULL ? "only the engine has a histogram"
                                 : "only the oracle has a histogram");
        if (x != NULL && !same_histograms(x, y)) {
            say(why, a, a->nr, "histograms differ: ");
            histogram_print(x, why);
            buf_c(why, " want ");
            histogram_print(y, why);
            buf_printf(why, " hints %d %d at %" PRId64, (int)x->hint, (int)y->hint, a->t_ms[i]);
            return false;
        }
        if (x == NULL && !close_to(a->v[i], b->v[i])) {
            buf_printf(why, "want %.17g, ", b->v[i]);
            return say(why, a, i, "got");
        }
    }
    if (a->nr != b->nr) {
        buf_printf(why, "%zu points, the oracle has %zu: ", a->nr, b->nr);
        return say(why, a, a->nr, "");
    }
    return true;
}

/* In any order; the i-th of equal labels goes with the i-th. */
static bool
same_matrix(const struct query_result *a, const struct query_result *b, struct buf *why)
{
    bool ok = a->series_nr == b->series_nr;

    for (size_t i = 0; i < a->series_nr; i++) {
        const struct result_series *other = NULL;

        for (size_t k = 0; k < b->series_nr && other == NULL; k++)
            if (labels_eq(a->series[i].labels, b->series[k].labels))
                other = &b->series[k];
        if (other == NULL)
            return say(why, &a->series[i], 0, "only the engine has");
        if (!same_series(&a->series[i], other, why))
            return false;
    }
    if (!ok)
        buf_printf(why, "%zu series, the oracle has %zu", a->series_nr, b->series_nr);
    return ok;
}

static bool
same_texts(const struct str *a, size_t a_nr, const struct str *b, size_t b_nr, struct buf *why)
{
    for (size_t i = 0; i < a_nr || i < b_nr; i++) {
        struct str x = i < a_nr ? a[i] : STR("none"), y = i < b_nr ? b[i] : STR("none");

        if (str_eq(x, y))
            continue;
        buf_printf(why, "says \"%.*s\", the oracle \"%.*s\"", STR_ARG(x), STR_ARG(y));
        return false;
    }
    return true;
}

static bool
same_result(const struct query_result *a, const struct query_result *b, struct buf *why)
{
    if (a->type != b->type) {
        buf_printf(why, "types differ: %s, %s", value_type_text(a->type), value_type_text(b->type));
        return false;
    }
    if (a->type == VALUE_SCALAR && !close_to(a->scalar, b->scalar)) {
        buf_printf(why, "scalars differ: %.17g, want %.17g", a->scalar, b->scalar);
        return false;
    }
    return same_matrix(a, b, why) &&
           same_texts(a->warnings, a->warnings_nr, b->warnings, b->warnings_nr, why) &&
           same_texts(a->infos, a->infos_nr, b->infos, b->infos_nr, why);
}

/* Equal labels, or several partners where there may be one. Which pair is named depends on an order
 * that is nobody's, and of two such mistakes in one query Prometheus tells the one it comes to
 * first. */
static bool
is_collision(const char *text)
{
    static const char *const starts[] = { "found duplicate series for the match group ",
                                          "multiple matches for labels: ",
                                          "vector cannot contain metrics with the same labelset" };

    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static bool
same_error(const struct error *a, const struct error *b)
{
    const char *x = error_text(a), *y = error_text(b);

    return strcmp(x, y) == 0 || (is_collision(x) && is_collision(y));
}

static struct query
query_of(struct gen *g, struct str text, bool instant)
{
    static const int64_t steps[] = { 1000, 15000, 30000, 60000, 75000, 7000 };
    struct query q = { .text = text };

    q.start_ms = GEN_START_MS + (int64_t)gen_below(g, (unsigned)GEN_SPAN_MS + 300000);
    if (gen_below(g, 2))
        q.start_ms -= q.start_ms % 15000; /* where windows' edges meet samples */
    q.end_ms = q.start_ms;
    if (instant)
        return q;
    q.step_ms = steps[gen_below(g, ARRAY_LEN(steps))];
    q.end_ms += (int64_t)gen_below(g, 24) * q.step_ms + (int64_t)gen_below(g, 1000);
    return q;
}

static void
complain(struct run *r, const struct query *q, const char *why)
{
    printf("seed %" PRIu64 " %s %" PRId64 " %" PRId64 " %" PRId64 "\n  %.*s\n  %s\n", r->seed,
           r->gen.experimental ? "all" : "default", q->start_ms, q->end_ms, q->step_ms,
           STR_ARG(q->text), why);
    r->differ_nr++;
}

static void
compare(struct run *r, struct engine *e, struct queryable *storage, const struct query *q)
{
    struct oracle_options o = { 300000, 60000, r->gen.experimental };
    struct query_result a = { 0 }, b = { 0 };
    struct error err_a = { 0 }, err_b = { 0 };
    struct buf why = { 0 };
    bool ok_a = engine_query(e, storage, q, &a, &err_a);

    if (!ok_a && err_a.kind == ERR_INVALID) {
        r->refused++;
        if (r->verbose)
            printf("refused: %.*s: %s\n", STR_ARG(q->text), error_text(&err_a));
        error_clear(&err_a);
        return;
    }
    bool ok_b = oracle_query(&o, storage, q, &b, &err_b);
    r->failed += !ok_a;
    r->empty += ok_a && a.series_nr == 0;
    if (ok_a != ok_b)
        buf_printf(&why, "engine: %s; oracle: %s", ok_a ? "fine" : error_text(&err_a),
                   ok_b ? "fine" : error_text(&err_b));
    else if (!ok_a && !same_error(&err_a, &err_b))
        buf_printf(&why, "engine: %s; oracle: %s", error_text(&err_a), error_text(&err_b));
    else if (ok_a)
        same_result(&a, &b, &why);
    if (why.n > 0)
        complain(r, q, buf_z(&why));
    buf_fini(&why);
    if (ok_a)
        query_result_fini(&a);
    if (ok_b)
        query_result_fini(&b);
    error_clear(&err_a);
    error_clear(&err_b);
}

static void
one_query(struct run *r, struct engine *e, struct queryable *storage)
{
    struct buf text = { 0 };
    bool instant = gen_below(&r->gen, 2);

    gen_query(&r->gen, instant, &text);
    struct query q = query_of(&r->gen, buf_as_str(&text), instant);
    r->nr++;
    if (r->print_only)
        printf("%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%.*s\n", instant ? "instant" : "range",
               q.start_ms, q.end_ms, q.step_ms, STR_ARG(q.text));
    else
        compare(r, e, storage, &q);
    buf_fini(&text);
}

static void
round_of(struct run *r, uint64_t seed, size_t queries)
{
    bool all = seed % 2;
    struct engine_options o = { .lookback_ms = 300000,
                                .timeout_ms = 100000,
                                .samples_max = 50000000,
                                .subquery_step_ms = 60000,
                                .experimental_functions = all,
                                .extended_range_selectors = all,
                                .binop_fill = all,
                                .delayed_name_removal = all,
                                .clock = clock_real() };
    struct engine *e = engine_new(&o);
    struct mem_storage *s = mem_storage_new();

    r->seed = seed;
    r->gen = (struct gen){ .state = seed, .experimental = all };
    gen_data(&r->gen, s);
    for (size_t i = 0; i < queries && !(r->first_only && r->differ_nr > 0); i++)
        one_query(r, e, mem_storage_queryable(s));
    engine_free(e);
    mem_storage_free(s);
}

int
main(int argc, char **argv)
{
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    size_t nr = QUERIES;
    struct run r = { 0 };

    for (int c; (c = getopt(argc, argv, "v1qs:n:")) != -1;) {
        r.verbose |= c == 'v';
        r.first_only |= c == '1';
        r.print_only |= c == 'q';
        if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        if (c == 'n')
            nr = strtoull(optarg, NULL, 10);
    }
    for (size_t done = 0; done < nr && !(r.first_only && r.differ_nr > 0); done += PER_ROUND)
        round_of(&r, seed++, MIN((size_t)PER_ROUND, nr - done));
    if (!r.print_only)
        printf("%zu queries: %zu differ; %zu refused, %zu failed, %zu with an empty answer\n", r.nr,
               r.differ_nr, r.refused, r.failed, r.empty);
    return r.differ_nr > 0;
}
