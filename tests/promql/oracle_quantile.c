/* Quantiles of values, of classic buckets and of native histograms; fractions of the latter two. */
#include "oracle_priv.h"

#include <stdlib.h>

#include "base/decimal.h"
#include "promql/annotations.h"

static int
nan_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y))
        return !!isnan(y) - !!isnan(x);
    return (x > y) - (x < y);
}

double
quantile_of(double q, double *values, size_t nr)
{
    if (nr == 0 || isnan(q))
        return NAN;
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    qsort(values, nr, sizeof *values, nan_first);
    double rank = q * ((double)nr - 1), low = floor(rank) > 0 ? floor(rank) : 0;
    double high = low + 1 < (double)nr - 1 ? low + 1 : (double)nr - 1, weight = rank - floor(rank);
    return values[(size_t)low] * (1 - weight) + values[(size_t)high] * weight;
}

void
check_quantile(struct oracle *o, double q, const struct expr *at)
{
    char text[ANNO_NUMBER_BYTES];

    if (isnan(q) || q < 0 || q > 1)
        oracle_warn(o, at, "quantile value should be between 0 and 1, got %s",
                    anno_number(q, text));
}

/* ---- classic buckets ---- */

struct bucket {
    double upper, count;
};

struct classic {
    struct labels key, labels; /* without le */
    struct bucket *b;
    size_t nr, cap;
};

static int
by_upper(const void *a, const void *b)
{
    double x = ((const struct bucket *)a)->upper, y = ((const struct bucket *)b)->upper;

    return (x > y) - (x < y);
}

/* Sorts, adds up equal bounds; false when the last is not +Inf. */
static bool
tidy(struct classic *c)
{
    size_t nr = 0;

    qsort(c->b, c->nr, sizeof c->b[0], by_upper);
    if (!isinf(c->b[c->nr - 1].upper) || c->b[c->nr - 1].upper < 0)
        return false;
    for (size_t i = 1; i < c->nr; i++) {
        if (c->b[i].upper == c->b[nr].upper)
            c->b[nr].count += c->b[i].count;
        else
            c->b[++nr] = c->b[i];
    }
    c->nr = nr + 1;
    return true;
}

static bool
almost_equal(double a, double b)
{
    double sum = fabs(a) + fabs(b), diff = fabs(a - b), tiny = 0x1p-1022;

    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    if (a == 0 || b == 0 || sum < tiny)
        return diff < 1e-12 * tiny;
    return diff / min_of(sum, 1.79769313486231570814527423731704357e308) < 1e-12;
}

/* Counts that fall are lifted; true when one fell by more than rounding. */
static bool
make_monotonic(struct classic *c, struct note *n)
{
    double prev = c->b[0].count;
    bool forced = false;

    n->bucket_min = INFINITY;
    n->bucket_max = -INFINITY;
    for (size_t i = 1; i < c->nr; i++) {
        struct bucket *b = &c->b[i];

        if (b->count == prev)
            continue;
        if (almost_equal(prev, b->count)) {
            b->count = prev;
        } else if (b->count < prev) {
            forced = true;
            n->bucket_min = b->upper < n->bucket_min ? b->upper : n->bucket_min;
            n->bucket_max = b->upper > n->bucket_max ? b->upper : n->bucket_max;
            n->diff_max = prev - b->count > n->diff_max ? prev - b->count : n->diff_max;
            b->count = prev;
        } else {
            prev = b->count;
        }
    }
    return forced;
}

/* Repairs the buckets in place, as Prometheus does: a second quantile finds them repaired. */
static double
bucket_quantile(double q, const struct classic *from, struct note *n, bool *forced)
{
    struct classic copy = *from, *c = &copy;
    size_t i = 0;

    *forced = false;
    if (isnan(q))
        return NAN;
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (!tidy(c))
        return NAN;
    *forced = make_monotonic(c, n);
    if (c->nr < 2 || c->b[c->nr - 1].count == 0)
        return NAN;
    double rank = q * c->b[c->nr - 1].count;
    while (i < c->nr - 1 && !(c->b[i].count >= rank))
        i++;
    if (i == c->nr - 1)
        return c->b[c->nr - 2].upper;
    if (i == 0 && c->b[0].upper <= 0)
        return c->b[0].upper;
    double start = i > 0 ? c->b[i - 1].upper : 0, below = i > 0 ? c->b[i - 1].count : 0;
    return start + (c->b[i].upper - start) * ((rank - below) / (c->b[i].count - below));
}

static double
bucket_rank(const struct classic *c, double at)
{
    double rank = 0, low = c->b[0].upper <= 0 ? -INFINITY : 0;

    for (size_t i = 0; i < c->nr; i++) {
        low = i > 0 ? c->b[i - 1].upper : low;
        if (low >= at)
            return rank;
        if (c->b[i].upper > at)
            return isinf(low) ? c->b[i].count
                              : rank + (c->b[i].count - rank) * (at - low) / (c->b[i].upper - low);
        rank = c->b[i].count;
    }
    return INFINITY;
}

static double
bucket_fraction(double lower, double upper, struct classic *c)
{
    if (!tidy(c))
        return NAN;
    double count = c->b[c->nr - 1].count;
    if (count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    double l = bucket_rank(c, lower), u = bucket_rank(c, upper);
    return ((u > count ? count : u) - (l > count ? count : l)) / count;
}

/* ---- native histograms ---- */

static void
named_info(struct oracle *o, const struct expr *at, const char *text, struct str name)
{
    if (name.n > 0)
        oracle_info(o, at, "%s for metric name \"%.*s\"", text, STR_ARG(name));
    else
        oracle_info(o, at, "%s", text);
}

static double
interpolate_exponential(const struct histogram_bucket *b, double fraction)
{
    double l = log2(fabs(b->lower)), u = log2(fabs(b->upper));

    return b->lower > 0 ? exp2(l + (u - l) * fraction) : -exp2(u + (l - u) * (1 - fraction));
}

static double
native_quantile(struct oracle *o, double q, const struct histogram *h, struct str name,
                const struct expr *at)
{
    struct histogram_all it;
    struct histogram_bucket b = { 0 };
    bool forward = isnan(h->sum) || q < 0.5, custom = histogram_is_custom(h);
    double count = 0, rank = (forward ? q : 1 - q) * h->count;

    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (h->count == 0 || isnan(q))
        return NAN;
    histogram_all_init(&it, h, !forward);
    while (histogram_all_next(&it)) {
        b = it.at;
        if (b.count == 0)
            continue;
        count += b.count;
        if (count >= rank)
            break;
    }
    if (!custom && b.lower < 0 && b.upper > 0) {
        if (h->neg.buckets_nr == 0 && h->pos.buckets_nr > 0)
            b.lower = 0;
        else if (h->pos.buckets_nr == 0 && h->neg.buckets_nr > 0)
            b.upper = 0;
    } else if (custom && isinf(b.lower) && b.lower < 0) {
        if (b.upper <= 0)
            return b.upper;
        b.lower = 0;
    } else if (custom && isinf(b.upper) && b.upper > 0) {
        return b.lower;
    }
    count = count > h->count ? h->count : count;
    if (count < rank) {
        if (!isnan(h->sum))
            return b.upper;
        named_info(o, at, "input to histogram_quantile has NaN observations, result is NaN", name);
        return NAN;
    }
    rank = forward ? rank - (count - b.count) : count - rank;
    double b_count = b.count, fraction = rank / b_count;
    struct histogram_bucket found = b;
    if (isnan(h->sum)) {
        /* Prometheus reads on into the same variable; the last bucket is the one it then uses. */
        while (histogram_all_next(&it)) {
            found = it.at;
            count += it.at.count;
        }
        if (count < h->count)
            named_info(o, at,
                       "input to histogram_quantile has NaN observations, result is skewed higher",
                       name);
        fraction = rank / found.count;
    }
    if (custom || (found.lower <= 0 && found.upper >= 0))
        return found.lower + (found.upper - found.lower) * fraction;
    return interpolate_exponential(&found, fraction);
}

static double
fraction_below(const struct histogram_bucket *b, double v, bool linear)
{
    if (linear)
        return (v - b->lower) / (b->upper - b->lower);
    double l = log2(fabs(b->lower)), u = log2(fabs(b->upper)), at = log2(fabs(v));
    return v > 0 ? (at - l) / (u - l) : 1 - (at - u) / (l - u);
}

/* Observations below `at`; infinite when it is above all buckets. */
static double
native_rank(const struct histogram *h, double at)
{
    struct histogram_all it;
    double rank = 0;
    bool custom = histogram_is_custom(h);

    histogram_all_init(&it, h, false);
    while (histogram_all_next(&it)) {
        struct histogram_bucket b = it.at;
        bool zero = b.lower <= 0 && b.upper >= 0;

        if (zero && h->neg.buckets_nr == 0 && h->pos.buckets_nr > 0)
            b.lower = 0;
        else if (zero && h->pos.buckets_nr == 0 && h->neg.buckets_nr > 0)
            b.upper = 0;
        if (b.lower >= at)
            return rank;
        if (b.upper > at)
            return (custom || zero) && isinf(b.lower)
                       ? b.count
                       : rank + b.count * fraction_below(&b, at, custom || zero);
        rank += b.count;
    }
    return INFINITY;
}

static double
native_fraction(struct oracle *o, double lower, double upper, const struct histogram *h,
                struct str name, const struct expr *at)
{
    struct histogram_all it;
    double count = 0;

    if (h->count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    double l = native_rank(h, lower), u = native_rank(h, upper);
    histogram_all_init(&it, h, false);
    while (histogram_all_next(&it))
        count += it.at.count;
    if (!isnan(h->sum))
        count = h->count;
    else if (count < h->count)
        named_info(o, at,
                   "input to histogram_fraction has NaN observations, which are excluded from all "
                   "fractions",
                   name);
    return ((u > count ? count : u) - (l > count ? count : l)) / h->count;
}

/* ---- both kinds in one vector ---- */

struct split {
    struct classic *classic;
    size_t classic_nr, classic_cap;
    struct vec native;
};

static void
named_warning(struct ev *ev, const struct expr *at, const char *text, struct str name)
{
    if (ev->o->options.all_features && name.n > 0)
        oracle_warn(ev->o, at, "%s for metric name \"%.*s\"", text, STR_ARG(name));
    else
        oracle_warn(ev->o, at, "%s", text);
}

static struct classic *
classic_of(struct ev *ev, struct split *s, struct labels key)
{
    for (size_t i = 0; i < s->classic_nr; i++)
        if (labels_eq(s->classic[i].key, key))
            return &s->classic[i];
    ARENA_GROW(ev->o->arena, s->classic, s->classic_nr, s->classic_nr + 1, &s->classic_cap);
    s->classic[s->classic_nr] = (struct classic){ .key = key, .labels = key };
    return &s->classic[s->classic_nr++];
}

static void
add_bucket(struct ev *ev, struct split *s, const struct sample *from, const struct expr *at)
{
    struct str le = STR("le"), text = labels_get(from->labels, le);
    double upper;

    if (text.n == 0 || !decimal_parse(text, &upper)) {
        struct str t = arena_printf(
            ev->o->arena, "bucket label \"le\" is missing or has a malformed value of \"%.*s\"",
            STR_ARG(text));
        named_warning(ev, at, t.p, name_of(from->labels));
        return;
    }
    struct classic *c = classic_of(ev, s, labels_drop(ev->o->arena, from->labels, &le, 1, false));
    ARENA_GROW(ev->o->arena, c->b, c->nr, c->nr + 1, &c->cap);
    c->b[c->nr++] = (struct bucket){ upper, from->v };
}

static struct split
split_of(struct ev *ev, const struct vec *v, const struct expr *at)
{
    struct split s = { 0 };

    for (size_t i = 0; i < v->nr; i++) {
        if (v->v[i].h != NULL)
            vec_add(ev->o, &s.native, v->v[i]);
        else
            add_bucket(ev, &s, &v->v[i], at);
    }
    for (size_t i = 0; i < s.native.nr; i++)
        for (size_t k = 0; k < s.classic_nr; k++) {
            if (s.classic[k].nr == 0 || !labels_eq(s.classic[k].key, s.native.v[i].labels))
                continue;
            named_warning(ev, at, "vector contains a mix of classic and native histograms",
                          name_of(s.native.v[i].labels));
            s.classic[k].nr = 0;
            s.native.v[i].h = NULL;
        }
    return s;
}

static void
give(struct ev *ev, struct vec *out, struct labels ls, double v, struct str label, struct str value)
{
    ls = dropped_now(ev->o, ls);
    if (label.n > 0)
        ls = labels_set(ev->o->arena, ls, label, value);
    vec_add(ev->o, out, (struct sample){ .labels = ls, .v = v, .drop_name = true });
}

static void
quantile_of_all(struct ev *ev, const struct split *s, double q, const struct expr *at, int64_t t_ms,
                struct str label, struct str value, struct vec *out)
{
    static const char text[] =
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
    bool named = ev->o->options.all_features, forced;

    for (size_t i = 0; i < s->native.nr; i++) {
        struct labels ls = s->native.v[i].labels;

        if (s->native.v[i].h != NULL)
            give(ev, out, ls,
                 native_quantile(ev->o, q, s->native.v[i].h, named ? name_of(ls) : STR_NONE, at),
                 label, value);
    }
    for (size_t i = 0; i < s->classic_nr; i++) {
        struct note n = {
            .start = at->pos.start, .monotonicity = true, .min_ms = t_ms, .max_ms = t_ms, .nr = 1
        };
        struct str name = named ? name_of(s->classic[i].labels) : STR_NONE;

        if (s->classic[i].nr == 0)
            continue;
        double v = bucket_quantile(q, &s->classic[i], &n, &forced);
        n.text = name.n > 0 ? arena_printf(ev->o->arena, "%s for metric name \"%.*s\"", text,
                                           STR_ARG(name))
                            : str_c(text);
        if (forced)
            oracle_note(ev->o, n);
        give(ev, out, s->classic[i].labels, v, label, value);
    }
}

static struct str
quantile_text(struct arena *a, double q)
{
    char text[DECIMAL_BYTES_MAX + 2];
    size_t n = decimal_format_general(q, text);

    if (!isnan(q) && !isinf(q) && memchr(text, '.', n) == NULL && memchr(text, 'e', n) == NULL) {
        text[n++] = '.';
        text[n++] = '0';
    }
    return arena_str(a, (struct str){ text, n });
}

void
step_histogram_quantile(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms,
                        struct vec *out)
{
    struct expr **args = e->call.args;

    if (e->call.fn->id == FN_HISTOGRAM_QUANTILE) {
        check_quantile(ev->o, in[0].v[0].v, args[0]);
        struct split s = split_of(ev, &in[1], args[1]);
        quantile_of_all(ev, &s, in[0].v[0].v, args[1], t_ms, STR_NONE, STR_NONE, out);
        return;
    }
    for (size_t i = 2; i < e->call.args_nr; i++)
        check_quantile(ev->o, in[i].v[0].v, args[i]);
    struct split s = split_of(ev, &in[0], args[0]);
    for (size_t i = 2; i < e->call.args_nr; i++)
        quantile_of_all(ev, &s, in[i].v[0].v, args[0], t_ms, args[1]->string.v,
                        quantile_text(ev->o->arena, in[i].v[0].v), out);
}

void
step_histogram_fraction(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms,
                        struct vec *out)
{
    double lower = in[0].v[0].v, upper = in[1].v[0].v;
    const struct expr *at = e->call.args[2];
    struct split s = split_of(ev, &in[2], at);
    bool named = ev->o->options.all_features;

    (void)t_ms;
    for (size_t i = 0; i < s.native.nr; i++) {
        struct labels ls = s.native.v[i].labels;

        if (s.native.v[i].h != NULL)
            give(ev, out, ls,
                 native_fraction(ev->o, lower, upper, s.native.v[i].h,
                                 named ? name_of(ls) : STR_NONE, at),
                 STR_NONE, STR_NONE);
    }
    for (size_t i = 0; i < s.classic_nr; i++)
        if (s.classic[i].nr > 0)
            give(ev, out, s.classic[i].labels, bucket_fraction(lower, upper, &s.classic[i]),
                 STR_NONE, STR_NONE);
}
