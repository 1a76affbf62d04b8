#include "cmd/tool_test_text.h"

#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/quote.h"

/* What the texts stand under in the report. */
#define INDENT "            "

/* ---- alerts ---- */

static int
alert_cmp(const void *a, const void *b)
{
    const struct shown_alert *x = a, *y = b;
    int c = labels_cmp(x->labels, y->labels);

    return c != 0 ? c : labels_cmp(x->annotations, y->annotations);
}

void
shown_alerts_sort(struct shown_alerts *a)
{
    if (a->nr > 1)
        qsort(a->v, a->nr, sizeof *a->v, alert_cmp);
}

bool
shown_alerts_equal(const struct shown_alerts *a, const struct shown_alerts *b)
{
    bool equal = a->nr == b->nr;

    for (size_t i = 0; equal && i < a->nr; i++)
        equal = alert_cmp(&a->v[i], &b->v[i]) == 0;
    return equal;
}

void
shown_alerts_print(const struct shown_alerts *a, struct buf *out)
{
    buf_byte(out, '[');
    for (size_t i = 0; i < a->nr; i++) {
        buf_printf(out, "%s\n" INDENT "%zu:\n" INDENT "  Labels:", i == 0 ? "" : ",", i);
        labels_print(a->v[i].labels, out);
        buf_c(out, "\n" INDENT "  Annotations:");
        labels_print(a->v[i].annotations, out);
    }
    buf_c(out, a->nr == 0 ? "]" : "\n" INDENT "]");
}

/* ---- the difference of alerts ---- */

#define RED    "\033[0;31m"
#define GREEN  "\033[0;32m"
#define YELLOW "\033[0;33m"
#define PLAIN  "\033[0m"

/* Colours end before a line break and begin again behind it. */
struct differ {
    struct buf *out;
    const char *color; /* NULL: none */
    int level;
};

static void
color(struct differ *d, const char *now)
{
    if (d->color == now)
        return;
    if (d->color != NULL)
        buf_c(d->out, PLAIN);
    if (now != NULL)
        buf_c(d->out, now);
    d->color = now;
}

static void
line(struct differ *d, const char *before)
{
    buf_c(d->out, before);
    if (d->color != NULL)
        buf_c(d->out, PLAIN);
    buf_c(d->out, "\n" INDENT);
    for (int i = 0; i < d->level; i++)
        buf_c(d->out, "    ");
    if (d->color != NULL)
        buf_c(d->out, d->color);
}

static void
opening(struct differ *d, const char *bracket, bool empty)
{
    d->level += !empty;
    if (empty)
        buf_c(d->out, bracket);
    else
        line(d, bracket);
}

static void
closing(struct differ *d, const char *bracket, bool empty)
{
    d->level -= !empty;
    if (!empty)
        line(d, "");
    buf_c(d->out, bracket);
}

static void
pair(struct differ *d, const struct label *l)
{
    quote_go(l->name, d->out);
    buf_c(d->out, ": ");
    quote_go(l->value, d->out);
}

static void
whole_map(struct differ *d, struct labels ls)
{
    opening(d, "{", ls.nr == 0);
    for (size_t i = 0; i < ls.nr; i++) {
        if (i > 0)
            line(d, ",");
        pair(d, &ls.v[i]);
    }
    closing(d, "}", ls.nr == 0);
}

/* An alert that only one side has. */
static void
whole_alert(struct differ *d, const struct shown_alert *a)
{
    opening(d, "{", false);
    buf_c(d->out, "\"Annotations\": ");
    whole_map(d, a->annotations);
    line(d, ",");
    buf_c(d->out, "\"Labels\": ");
    whole_map(d, a->labels);
    closing(d, "}", false);
}

static void
diff_pair(struct differ *d, const struct label *want, const struct label *got)
{
    if (got == NULL || want == NULL) {
        color(d, got == NULL ? RED : GREEN);
        pair(d, got == NULL ? want : got);
        color(d, NULL);
        return;
    }
    quote_go(want->name, d->out);
    buf_c(d->out, ": ");
    bool equal = str_eq(want->value, got->value);
    color(d, equal ? NULL : YELLOW);
    quote_go(want->value, d->out);
    if (!equal) {
        buf_c(d->out, " => ");
        quote_go(got->value, d->out);
    }
    color(d, NULL);
}

static void
diff_map(struct differ *d, struct labels want, struct labels got)
{
    bool empty = want.nr + got.nr == 0;

    opening(d, "{", empty);
    for (size_t i = 0, k = 0; i < want.nr || k < got.nr;) {
        int c = i == want.nr ? 1 : k == got.nr ? -1 : str_cmp(want.v[i].name, got.v[k].name);
        if (i + k > 0)
            line(d, ",");
        diff_pair(d, c <= 0 ? &want.v[i] : NULL, c >= 0 ? &got.v[k] : NULL);
        i += c <= 0;
        k += c >= 0;
    }
    closing(d, "}", empty);
}

static void
diff_alert(struct differ *d, const struct shown_alert *want, const struct shown_alert *got)
{
    opening(d, "{", false);
    buf_c(d->out, "\"Annotations\": ");
    diff_map(d, want->annotations, got->annotations);
    line(d, ",");
    buf_c(d->out, "\"Labels\": ");
    diff_map(d, want->labels, got->labels);
    closing(d, "}", false);
}

void
shown_alerts_diff(const struct shown_alerts *want, const struct shown_alerts *got, struct buf *out)
{
    struct shown_alert nothing = { 0 }; /* stands for the alerts of a side without any */
    const struct shown_alerts none = { &nothing, 1, 1 };
    struct differ d = { .out = out };

    if (want->nr == 0)
        want = &none;
    if (got->nr == 0)
        got = &none;
    opening(&d, "[", false);
    for (size_t i = 0; i < MAX(want->nr, got->nr); i++) {
        if (i > 0)
            line(&d, ",");
        if (i < want->nr && i < got->nr) {
            diff_alert(&d, &want->v[i], &got->v[i]);
            continue;
        }
        color(&d, i < want->nr ? RED : GREEN);
        whole_alert(&d, i < want->nr ? &want->v[i] : &got->v[i]);
        color(&d, NULL);
    }
    closing(&d, "]", false);
}

/* ---- samples ---- */

static int
sample_cmp(const void *a, const void *b)
{
    return labels_cmp(((const struct shown_sample *)a)->labels,
                      ((const struct shown_sample *)b)->labels);
}

void
shown_samples_sort(struct shown_samples *s)
{
    if (s->nr > 1)
        qsort(s->v, s->nr, sizeof *s->v, sample_cmp);
}

/* NaN equals nothing, as in Go. */
static bool
values_equal(double a, double b, bool fuzzy)
{
    return a == b || (fuzzy && (nextafter(a, -INFINITY) == b || nextafter(a, INFINITY) == b));
}

bool
shown_samples_equal(const struct shown_samples *a, const struct shown_samples *b, bool fuzzy)
{
    bool equal = a->nr == b->nr;

    for (size_t i = 0; equal && i < a->nr; i++)
        equal = labels_eq(a->v[i].labels, b->v[i].labels) &&
                values_equal(a->v[i].v, b->v[i].v, fuzzy) &&
                str_eq(a->v[i].histogram, b->v[i].histogram);
    return equal;
}

static void
print_value(double v, struct buf *out)
{
    char text[DECIMAL_BYTES_MAX];
    size_t n = decimal_format_exp(v, text);

    for (size_t i = 0; i < n; i++)
        buf_byte(out, (uint8_t)(text[i] == 'e' ? 'E' : text[i]));
}

void
shown_samples_print(const struct shown_samples *s, struct buf *out)
{
    if (s->nr == 0)
        buf_c(out, "nil");
    for (size_t i = 0; i < s->nr; i++) {
        if (i > 0)
            buf_c(out, ", ");
        labels_print(s->v[i].labels, out);
        buf_byte(out, ' ');
        if (s->v[i].histogram.n > 0)
            buf_str(out, s->v[i].histogram);
        else
            print_value(s->v[i].v, out);
    }
}
