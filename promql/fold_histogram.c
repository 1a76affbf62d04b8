/* Sum and mean of native histograms, compensated; the mean turns incremental where the sum would
 * overflow. */
#include "promql/group_priv.h"

#include "model/histogram_math.h"
#include "promql/quote.h"

struct fold_histogram {
    struct arena *arena;
    struct histogram *value, *mean, *c; /* c: compensation, made when first needed */
    double count;
    bool incompatible, incremental, reset_seen, not_reset_seen;
};

struct fold_histogram *
fold_histogram_new(struct arena *a)
{
    struct fold_histogram *f = ARENA_NEW(a, struct fold_histogram);

    f->arena = a;
    return f;
}

void
fold_histogram_ignore(struct fold_histogram *f)
{
    f->incompatible = true;
}

static void
see_hint(struct fold_histogram *f, const struct histogram *h)
{
    f->reset_seen |= h->hint == HINT_RESET;
    f->not_reset_seen |= h->hint == HINT_NOT_RESET;
}

static bool
take(struct eval *ev, struct fold_histogram *f, bool ok, const struct histogram_notes *notes,
     struct anno_at at, struct str name)
{
    if (!ok) {
        struct buf b = { 0 };
        quote(&b, name);
        anno_warn(&ev->annos, at,
                  "vector contains a mix of histograms with exponential and custom buckets schemas "
                  "for metric name %.*s",
                  STR_ARG(buf_as_str(&b)));
        buf_fini(&b);
        f->incompatible = true;
        return false;
    }
    if (notes->bounds_reconciled)
        anno_info(&ev->annos, at, "mismatched custom buckets were reconciled during aggregation");
    return true;
}

/* The sum so far, or after an overflow the mean so far. */
static void
add_mean(struct eval *ev, struct fold_histogram *f, const struct histogram *h, struct anno_at at,
         struct str name)
{
    struct histogram_notes notes = { 0 };

    if (!f->incremental) {
        struct histogram *v = histogram_copy(f->value, f->arena);
        struct histogram *c = f->c == NULL ? NULL : histogram_copy(f->c, f->arena);

        if (!take(ev, f, histogram_kahan_add(v, &c, h, &notes, f->arena), &notes, at, name))
            return;
        if (!histogram_has_overflow(v)) {
            f->value = v;
            f->c = c;
            return;
        }
        f->incremental = true;
        f->mean = histogram_copy(f->value, f->arena);
        histogram_div(f->mean, f->count - 1);
        if (f->c != NULL)
            histogram_div(f->c, f->count - 1);
    }
    double q = (f->count - 1) / f->count;
    struct histogram *more = histogram_copy(h, f->arena);
    if (f->c != NULL)
        histogram_mul(f->c, q);
    histogram_div(more, f->count);
    histogram_mul(f->mean, q);
    notes = (struct histogram_notes){ 0 };
    error_ignored(
        take(ev, f, histogram_kahan_add(f->mean, &f->c, more, &notes, f->arena), &notes, at, name));
}

void
fold_histogram_add(struct eval *ev, struct fold_histogram *f, const struct histogram *h, bool avg,
                   struct anno_at at, struct str name)
{
    struct histogram_notes notes = { 0 };

    if (f->incompatible)
        return;
    f->count++;
    see_hint(f, h);
    if (f->value == NULL) {
        f->value = histogram_to_float(h, f->arena);
        return;
    }
    if (avg)
        add_mean(ev, f, h, at, name);
    else
        error_ignored(take(ev, f, histogram_kahan_add(f->value, &f->c, h, &notes, f->arena), &notes,
                           at, name));
}

struct histogram *
fold_histogram_end(struct eval *ev, struct fold_histogram *f, bool avg, struct anno_at at)
{
    struct histogram_notes notes = { 0 };
    struct histogram *h = f->incremental ? f->mean : f->value;

    if (f->incompatible)
        return NULL;
    if (avg && !f->incremental) {
        histogram_div(h, f->count);
        if (f->c != NULL)
            histogram_div(f->c, f->count);
    }
    if (f->c != NULL) {
        enum histogram_hint hint = h->hint; /* rounding errors say nothing about resets */

        error_ignored(histogram_add(h, f->c, &notes, f->arena));
        h->hint = hint;
    }
    if (f->reset_seen && f->not_reset_seen)
        anno_warn(&ev->annos, at, "conflicting counter resets during histogram aggregation");
    return h;
}
