/* Few texts per query and many repetitions: a list searched from the front under one lock is
 * enough, since nodes ask only when something is wrong with the data. */
#include "promql/annotations.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "promql/quote.h"

#define ANNOTATIONS_MAX 10000 /* a bound on memory; Prometheus has none */

struct annotation {
    bool warning, monotonicity;
    char *text; /* owned */
    struct anno_at at;
    int64_t t_min_ms, t_max_ms;
    double bucket_min, bucket_max, diff_max;
    uint64_t count;
};

void
annotations_init(struct annotations *a)
{
    *a = (struct annotations){ 0 };
    pthread_mutex_init(&a->lock, NULL);
}

void
annotations_fini(struct annotations *a)
{
    for (size_t i = 0; i < a->nr; i++)
        mem_free(a->items[i].text);
    mem_free(a->items);
    pthread_mutex_destroy(&a->lock);
}

static struct annotation *
find(struct annotations *a, bool warning, const char *text)
{
    for (size_t i = 0; i < a->nr; i++)
        if (a->items[i].warning == warning && strcmp(a->items[i].text, text) == 0)
            return &a->items[i];
    return NULL;
}

static void
take_position(struct annotation *x, struct anno_at at)
{
    if (at.rank >= x->at.rank)
        x->at = at;
}

/* The lock is held. Takes the text. */
static struct annotation *
add(struct annotations *a, struct anno_at at, bool warning, char *text, bool *added)
{
    struct annotation *x = find(a, warning, text);

    *added = x == NULL;
    if (x != NULL || a->nr == ANNOTATIONS_MAX) {
        mem_free(text);
        if (x != NULL)
            take_position(x, at);
        return x;
    }
    MEM_GROW(a->items, a->nr + 1, &a->cap);
    x = &a->items[a->nr++];
    *x = (struct annotation){ .warning = warning, .text = text, .at = at };
    return x;
}

static void
add_text(struct annotations *a, struct anno_at at, bool warning, const char *fmt, va_list args)
{
    char *text = NULL;
    bool added;

    if (vasprintf(&text, fmt, args) < 0)
        mem_exhausted(0);
    pthread_mutex_lock(&a->lock);
    add(a, at, warning, text, &added);
    pthread_mutex_unlock(&a->lock);
}

void
anno_warn(struct annotations *a, struct anno_at at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add_text(a, at, true, fmt, args);
    va_end(args);
}

void
anno_info(struct annotations *a, struct anno_at at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add_text(a, at, false, fmt, args);
    va_end(args);
}

static char *
monotonicity_text(struct str metric)
{
    struct buf b = { 0 };
    size_t n;

    buf_c(&b,
          "input to histogram_quantile needed to be fixed for monotonicity (see "
          "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
    if (metric.n > 0) {
        buf_c(&b, " for metric name ");
        quote(&b, metric);
    }
    buf_byte(&b, 0);
    return (char *)buf_take(&b, &n);
}

void
anno_monotonicity(struct annotations *a, struct anno_at at, struct str metric, int64_t t_ms,
                  double bucket_min, double bucket_max, double diff_max)
{
    bool added;

    pthread_mutex_lock(&a->lock);
    struct annotation *x = add(a, at, false, monotonicity_text(metric), &added);
    if (x != NULL && added) {
        x->monotonicity = true;
        x->t_min_ms = x->t_max_ms = t_ms;
        x->bucket_min = bucket_min;
        x->bucket_max = bucket_max;
        x->diff_max = diff_max;
        x->count = 1;
    } else if (x != NULL) {
        x->t_min_ms = MIN(x->t_min_ms, t_ms);
        x->t_max_ms = MAX(x->t_max_ms, t_ms);
        x->bucket_min = MIN(x->bucket_min, bucket_min);
        x->bucket_max = MAX(x->bucket_max, bucket_max);
        x->diff_max = MAX(x->diff_max, diff_max);
        x->count++;
    }
    pthread_mutex_unlock(&a->lock);
}

const char *
anno_number(double v, char out[ANNO_NUMBER_BYTES])
{
    char text[DECIMAL_BYTES_MAX];
    size_t n = decimal_format_general(v, text);

    snprintf(out, ANNO_NUMBER_BYTES, "%.*s", (int)n, text);
    return out;
}

static void
rfc3339(int64_t t_ms, char out[32])
{
    time_t t = (time_t)(t_ms / 1000);
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void
put_monotonicity(struct buf *out, const struct annotation *x)
{
    char low[ANNO_NUMBER_BYTES], high[ANNO_NUMBER_BYTES], diff[DECIMAL_BYTES_MAX], from[32], to[32];
    size_t n = decimal_format_precision(x->diff_max, 2, diff);

    rfc3339(x->t_min_ms, from);
    rfc3339(x->t_max_ms, to);
    buf_printf(out,
               ", from buckets %s to %s, with a max diff of %.*s, over %llu samples from %s to %s",
               anno_number(x->bucket_min, low), anno_number(x->bucket_max, high), (int)n, diff,
               (unsigned long long)x->count, from, to);
}

/* " (line:column)", both from 1, columns in bytes. */
static void
put_position(struct buf *out, struct str query, uint32_t at)
{
    unsigned line = 1, column = 1;

    for (size_t i = 0; i < MIN((size_t)at, query.n); i++) {
        column++;
        if (query.p[i] == '\n') {
            line++;
            column = 1;
        }
    }
    buf_printf(out, " (%u:%u)", line, column);
}

static int
text_cmp(const void *a, const void *b)
{
    const struct str *x = a, *y = b;

    return str_cmp(*x, *y);
}

void
annotations_texts(struct annotations *a, struct str query, struct arena *arena, bool warnings,
                  struct str **texts, size_t *nr)
{
    struct buf b = { 0 };
    size_t n = 0;

    *texts = ARENA_NEW_ARRAY(arena, struct str, a->nr);
    for (size_t i = 0; i < a->nr; i++) {
        const struct annotation *x = &a->items[i];

        if (x->warning != warnings)
            continue;
        buf_reset(&b);
        buf_c(&b, warnings ? "PromQL warning: " : "PromQL info: ");
        buf_c(&b, x->text);
        if (x->monotonicity)
            put_monotonicity(&b, x);
        put_position(&b, query, x->at.pos.start);
        (*texts)[n++] = arena_str(arena, buf_as_str(&b));
    }
    buf_fini(&b);
    if (n > 1)
        qsort(*texts, n, sizeof **texts, text_cmp);
    *nr = n;
}
