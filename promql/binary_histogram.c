/* Operators where a native histogram is on one side or both. */
#include "promql/binary_priv.h"

#include "model/histogram_math.h"

static void
put(struct binary_value *out, bool *keep, struct histogram *h, struct arena *a)
{
    histogram_compact(h, 0, a);
    *out = (struct binary_value){ 0, h };
    *keep = true;
}

static bool
with_float(enum binary_op op, struct binary_value l, struct binary_value r, struct arena *a,
           struct binary_value *out, bool *keep, enum binary_note *note)
{
    struct histogram *h;

    if (op == OP_MUL) {
        h = histogram_to_float(l.h != NULL ? l.h : r.h, a);
        histogram_mul(h, l.h != NULL ? r.v : l.v);
        put(out, keep, h, a);
        return true;
    }
    if (op == OP_DIV && l.h != NULL) {
        h = histogram_to_float(l.h, a);
        histogram_div(h, r.v);
        put(out, keep, h, a);
        return true;
    }
    if ((op == OP_TRIM_LOWER || op == OP_TRIM_UPPER) && l.h != NULL) {
        *out = (struct binary_value){ 0, histogram_trimmed(l.h, r.v, op == OP_TRIM_UPPER, a) };
        *keep = true;
        return true;
    }
    *note = l.h != NULL ? BINARY_HISTOGRAM_FLOAT : BINARY_FLOAT_HISTOGRAM;
    return false;
}

static bool
add_or_sub(enum binary_op op, const struct histogram *l, const struct histogram *r, struct arena *a,
           struct binary_value *out, bool *keep, enum binary_note *note)
{
    struct histogram *h = histogram_to_float(l, a);
    struct histogram_notes notes = { 0 };

    if (!(op == OP_ADD ? histogram_add(h, r, &notes, a) : histogram_sub(h, r, &notes, a))) {
        *note = BINARY_LAYOUT;
        return false;
    }
    if (op == OP_SUB)
        h->hint = HINT_GAUGE;
    if (notes.reset_collision) { /* the warning takes the place of the value */
        *note = BINARY_RESETS;
        return false;
    }
    if (notes.bounds_reconciled)
        *note = BINARY_RECONCILED;
    put(out, keep, h, a);
    return true;
}

bool
binary_histograms(enum binary_op op, struct binary_value l, struct binary_value r, struct arena *a,
                  struct binary_value *out, bool *keep, enum binary_note *note)
{
    if (l.h == NULL || r.h == NULL)
        return with_float(op, l, r, a, out, keep, note);
    switch (op) {
    case OP_ADD:
    case OP_SUB:
        return add_or_sub(op, l.h, r.h, a, out, keep, note);
    case OP_EQ:
    case OP_NE:
        *out = l;
        *keep = histogram_eq(l.h, r.h) == (op == OP_EQ);
        return true;
    default:
        *note = BINARY_HISTOGRAMS;
        return false;
    }
}

const struct histogram *
binary_negated(const struct histogram *h, struct arena *a)
{
    struct histogram *copy = histogram_to_float(h, a);

    histogram_mul(copy, -1);
    return copy;
}
