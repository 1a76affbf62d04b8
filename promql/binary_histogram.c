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
with_float(struct eval *ev, enum binary_op op, struct binary_value l, struct binary_value r,
           struct arena *a, struct anno_at at, struct binary_value *out, bool *keep)
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
    binary_types_info(ev, op, l.h != NULL, r.h != NULL, at);
    return false;
}

static bool
add_or_sub(struct eval *ev, enum binary_op op, const struct histogram *l, const struct histogram *r,
           struct arena *a, struct anno_at at, struct binary_value *out, bool *keep)
{
    struct histogram *h = histogram_to_float(l, a);
    struct histogram_notes notes = { 0 };

    if (!(op == OP_ADD ? histogram_add(h, r, &notes, a) : histogram_sub(h, r, &notes, a))) {
        anno_warn(&ev->annos, at, "incompatible bucket layout encountered for binary operator %s",
                  promql_operators[op].text);
        return false;
    }
    if (op == OP_SUB)
        h->hint = HINT_GAUGE;
    const char *what = op == OP_ADD ? "addition" : "subtraction";
    if (notes.reset_collision) { /* the warning takes the place of the value */
        anno_warn(&ev->annos, at, "conflicting counter resets during histogram %s", what);
        return false;
    }
    if (notes.bounds_reconciled)
        anno_info(&ev->annos, at, "mismatched custom buckets were reconciled during %s", what);
    put(out, keep, h, a);
    return true;
}

bool
binary_histograms(struct eval *ev, enum binary_op op, struct binary_value l, struct binary_value r,
                  struct arena *a, struct anno_at at, struct binary_value *out, bool *keep)
{
    if (l.h == NULL || r.h == NULL)
        return with_float(ev, op, l, r, a, at, out, keep);
    switch (op) {
    case OP_ADD:
    case OP_SUB:
        return add_or_sub(ev, op, l.h, r.h, a, at, out, keep);
    case OP_EQ:
    case OP_NE:
        *out = l;
        *keep = histogram_eq(l.h, r.h) == (op == OP_EQ);
        return true;
    default:
        binary_types_info(ev, op, true, true, at);
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
