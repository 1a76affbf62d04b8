/* /metrics: the rows of a family are gathered (copied under the lock, or emitted by collectors),
 * sorted by label values and written. Labels stand in the order of their names, as Prometheus's
 * client library has them; le and quantile come last. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "base/metrics_priv.h"
#include "base/proto.h"

struct row {
    struct str values[METRIC_LABELS_MAX];
    double v;
    struct metric_series *series; /* NULL for what a collector emitted */
    const struct metric_family *family;
};

struct metrics_out {
    const struct metric_family *family;
    struct arena *arena;
    struct row *rows;
    size_t nr, cap;
};

static struct row *
row_add(struct metrics_out *out, const struct str *values)
{
    MEM_GROW(out->rows, out->nr + 1, &out->cap);
    struct row *row = &out->rows[out->nr++];
    *row = (struct row){ .family = out->family };
    for (size_t i = 0; i < out->family->labels_nr; i++)
        row->values[i] = values[i];
    return row;
}

void
metrics_emit(struct metrics_out *out, const struct str *values, double v)
{
    struct row *row = row_add(out, values);

    row->v = v;
    for (size_t i = 0; i < out->family->labels_nr; i++)
        row->values[i] = arena_str(out->arena, values[i]);
}

static int
row_cmp(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = 0;

    for (size_t i = 0; c == 0 && i < x->family->labels_nr; i++)
        c = str_cmp(x->values[i], y->values[i]);
    return c;
}

/* Copies what the lock guards: series stay where they are, collectors are called without it. */
static struct collector *
gather_series(struct metrics_out *out, struct metric_family *f, size_t *collectors_nr)
{
    lock_take(&f->registry->lock);
    for (size_t i = 0; i < f->series_nr; i++) {
        if (atomic_load(&f->series[i]->hidden))
            continue;
        struct row *row = row_add(out, f->series[i]->values);
        row->series = f->series[i];
        row->v = metric_get(&f->series[i]->value);
    }
    *collectors_nr = f->collectors_nr;
    struct collector *copy = arena_alloc(out->arena, f->collectors_nr * sizeof *copy);
    if (f->collectors_nr != 0)
        memcpy(copy, f->collectors, f->collectors_nr * sizeof *copy);
    lock_release(&f->registry->lock);
    return copy;
}

static void
gather(struct metrics_out *out, struct metric_family *f)
{
    size_t collectors_nr;

    out->family = f;
    out->nr = 0;
    struct collector *collectors = gather_series(out, f, &collectors_nr);
    for (size_t i = 0; i < collectors_nr; i++)
        collectors[i].fn(collectors[i].arg, out);
    if (out->nr > 1)
        qsort(out->rows, out->nr, sizeof *out->rows, row_cmp);
}

struct weighted {
    double v, weight;
};

static int
weighted_cmp(const void *a, const void *b)
{
    double x = ((const struct weighted *)a)->v, y = ((const struct weighted *)b)->v;

    return (x > y) - (x < y);
}

/* A consistent view of a summary: quantiles of what the last slots kept, each value standing for nr
 * / kept of its slot. */
struct summary_view {
    double sum;
    uint64_t nr;
    struct weighted *values; /* in the arena, sorted */
    size_t values_nr;
    double weight;
};

static void
view_slot(struct summary_view *view, const struct summary_slot *slot, int64_t turn)
{
    size_t kept = MIN(slot->nr, (uint64_t)SUMMARY_SAMPLES);

    if (turn - slot->turn >= SUMMARY_SLOTS)
        return;
    for (size_t i = 0; i < kept; i++) {
        double weight = (double)slot->nr / (double)kept;
        view->values[view->values_nr++] = (struct weighted){ slot->kept[i], weight };
        view->weight += weight;
    }
}

static struct summary_view
summary_view(struct metric_summary *s, struct arena *a, int64_t monotonic_ns)
{
    struct summary_view view = { .values = arena_alloc(a, sizeof(struct weighted) * SUMMARY_SLOTS *
                                                              SUMMARY_SAMPLES) };

    lock_take(&s->lock);
    view.sum = s->sum;
    view.nr = s->nr;
    for (size_t i = 0; i < SUMMARY_SLOTS; i++)
        view_slot(&view, &s->slots[i], monotonic_ns / SUMMARY_SLOT_NS);
    lock_release(&s->lock);
    qsort(view.values, view.values_nr, sizeof *view.values, weighted_cmp);
    return view;
}

/* NaN when nothing was seen lately, as Prometheus's library says. */
static double
view_quantile(const struct summary_view *view, double q)
{
    double rank = q * view->weight, passed = 0;

    for (size_t i = 0; i < view->values_nr; i++) {
        passed += view->values[i].weight;
        if (passed >= rank)
            return view->values[i].v;
    }
    return view->values_nr == 0 ? (double)NAN : view->values[view->values_nr - 1].v;
}

static void
put_number(struct buf *out, double v)
{
    out->n += decimal_format_general(v, (char *)buf_reserve(out, DECIMAL_BYTES_MAX));
}

static void
put_label_value(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n') {
            buf_c(out, "\\n");
            continue;
        }
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, (uint8_t)s.p[i]);
    }
}

/* The index of the label that comes next by name; nr when there is none. last: name of the one
 * before, NULL at first. */
static size_t
next_label(const struct metric_family *f, const char *last)
{
    size_t best = f->labels_nr;

    for (size_t i = 0; i < f->labels_nr; i++) {
        if (last != NULL && strcmp(f->label_names[i], last) <= 0)
            continue;
        if (best == f->labels_nr || strcmp(f->label_names[i], f->label_names[best]) < 0)
            best = i;
    }
    return best;
}

/* name_suffix{labels,extra="bound"} */
static void
put_series(struct buf *out, const struct row *row, const char *suffix, const char *extra,
           double bound)
{
    const struct metric_family *f = row->family;
    const char *separator = "{", *last = NULL;

    buf_printf(out, "%s%s", f->name, suffix);
    for (size_t i; (i = next_label(f, last)) < f->labels_nr; separator = ",") {
        last = f->label_names[i];
        buf_printf(out, "%s%s=\"", separator, last);
        put_label_value(out, row->values[i]);
        buf_byte(out, '"');
    }
    if (extra != NULL) {
        buf_printf(out, "%s%s=\"", separator, extra);
        put_number(out, bound);
        buf_byte(out, '"');
        separator = ",";
    }
    buf_c(out, *separator == ',' ? "} " : " ");
}

static void
put_line(struct buf *out, const struct row *row, const char *suffix, const char *extra,
         double bound, double v)
{
    put_series(out, row, suffix, extra, bound);
    put_number(out, v);
    buf_byte(out, '\n');
}

static void
text_histogram(struct buf *out, const struct row *row)
{
    struct metric_histogram *h = row->series->histogram;
    uint64_t total = 0;

    for (size_t i = 0; i <= h->bounds_nr; i++) {
        total += atomic_load(&h->counts[i]);
        put_line(out, row, "_bucket", "le", i < h->bounds_nr ? h->bounds[i] : (double)INFINITY,
                 (double)total);
    }
    put_line(out, row, "_sum", NULL, 0, metric_get(&h->sum));
    put_line(out, row, "_count", NULL, 0, (double)total);
}

static void
text_summary(struct buf *out, const struct row *row, struct arena *a, int64_t monotonic_ns)
{
    struct metric_summary *s = row->series->summary;
    struct summary_view view = summary_view(s, a, monotonic_ns);

    for (size_t i = 0; i < s->quantiles_nr; i++)
        put_line(out, row, "", "quantile", s->quantiles[i], view_quantile(&view, s->quantiles[i]));
    put_line(out, row, "_sum", NULL, 0, view.sum);
    put_line(out, row, "_count", NULL, 0, (double)view.nr);
}

static void
put_help(struct buf *out, const struct metric_family *f)
{
    static const char *const types[] = { "counter", "gauge", "histogram", "summary", "untyped" };

    buf_printf(out, "# HELP %s ", f->name);
    for (const char *p = f->help; *p != '\0'; p++)
        buf_c(out, *p == '\n' ? "\\n" : *p == '\\' ? "\\\\" : (char[]){ *p, '\0' });
    buf_printf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
}

static void
text_family(struct buf *out, const struct metrics_out *rows, int64_t monotonic_ns)
{
    put_help(out, rows->family);
    for (size_t i = 0; i < rows->nr; i++) {
        const struct row *row = &rows->rows[i];
        if (row->series != NULL && row->series->histogram != NULL)
            text_histogram(out, row);
        else if (row->series != NULL && row->series->summary != NULL)
            text_summary(out, row, rows->arena, monotonic_ns);
        else
            put_line(out, row, "", NULL, 0, row->v);
    }
}

/* Field numbers of io.prometheus.client's messages. */
static void
proto_histogram(struct buf *out, struct metric_histogram *h)
{
    uint64_t total = 0;
    size_t opened = proto_open(out, 7);

    for (size_t i = 0; i <= h->bounds_nr; i++)
        total += atomic_load(&h->counts[i]);
    proto_put_uint(out, 1, total);
    proto_put_double(out, 2, metric_get(&h->sum));
    total = 0;
    for (size_t i = 0; i < h->bounds_nr; i++) {
        size_t bucket = proto_open(out, 3);
        total += atomic_load(&h->counts[i]);
        proto_put_uint(out, 1, total);
        proto_put_double(out, 2, h->bounds[i]);
        proto_close(out, bucket);
    }
    proto_close(out, opened);
}

static void
proto_summary(struct buf *out, struct metric_summary *s, struct arena *a, int64_t monotonic_ns)
{
    struct summary_view view = summary_view(s, a, monotonic_ns);
    size_t opened = proto_open(out, 4);

    proto_put_uint(out, 1, view.nr);
    proto_put_double(out, 2, view.sum);
    for (size_t i = 0; i < s->quantiles_nr; i++) {
        size_t quantile = proto_open(out, 3);
        proto_put_double(out, 1, s->quantiles[i]);
        proto_put_double(out, 2, view_quantile(&view, s->quantiles[i]));
        proto_close(out, quantile);
    }
    proto_close(out, opened);
}

static void
proto_labels(struct buf *out, const struct row *row)
{
    const struct metric_family *f = row->family;
    const char *last = NULL;

    for (size_t i; (i = next_label(f, last)) < f->labels_nr;) {
        size_t label = proto_open(out, 1);
        last = f->label_names[i];
        proto_put_str(out, 1, str_c(last));
        proto_put_str(out, 2, row->values[i]);
        proto_close(out, label);
    }
}

static void
proto_row(struct buf *out, const struct row *row, struct arena *a, int64_t monotonic_ns)
{
    static const uint32_t fields[] = {
        [METRIC_COUNTER] = 3, [METRIC_GAUGE] = 2, [METRIC_UNTYPED] = 5
    };
    size_t opened = proto_open(out, 4);

    proto_labels(out, row);
    if (row->series != NULL && row->series->histogram != NULL) {
        proto_histogram(out, row->series->histogram);
    } else if (row->series != NULL && row->series->summary != NULL) {
        proto_summary(out, row->series->summary, a, monotonic_ns);
    } else if (fields[row->family->type] != 0) {
        size_t value = proto_open(out, fields[row->family->type]);
        proto_put_double(out, 1, row->v);
        proto_close(out, value);
    }
    proto_close(out, opened);
}

static void
proto_family(struct buf *out, const struct metrics_out *rows, int64_t monotonic_ns)
{
    static const uint64_t types[] = { [METRIC_COUNTER] = 0,
                                      [METRIC_GAUGE] = 1,
                                      [METRIC_HISTOGRAM] = 4,
                                      [METRIC_SUMMARY] = 2,
                                      [METRIC_UNTYPED] = 3 };
    struct buf message = { 0 };

    proto_put_str(&message, 1, str_c(rows->family->name));
    proto_put_str(&message, 2, str_c(rows->family->help));
    proto_put_uint(&message, 3, types[rows->family->type]);
    for (size_t i = 0; i < rows->nr; i++)
        proto_row(&message, &rows->rows[i], rows->arena, monotonic_ns);
    buf_uvarint_str(out, buf_as_str(&message));
    buf_fini(&message);
}

typedef void (*family_fn)(struct buf *out, const struct metrics_out *rows, int64_t monotonic_ns);

/* Families are never removed, so the copied pointers stay good. Families without a series are not
 * shown. */
static void
write_families(struct metrics *m, struct buf *out, int64_t monotonic_ns, family_fn write)
{
    struct arena arena;
    struct metrics_out rows = { .arena = &arena };

    arena_init(&arena, SIZE_MAX);
    lock_take(&m->lock);
    size_t nr = m->families_nr;
    struct metric_family **families = mem_dup(m->families, nr * sizeof(struct metric_family *));
    lock_release(&m->lock);
    for (size_t i = 0; i < nr; i++) {
        gather(&rows, families[i]);
        if (rows.nr != 0)
            write(out, &rows, monotonic_ns);
        arena_rewind(&arena, (struct arena_mark){ 0 });
    }
    mem_free(families);
    mem_free(rows.rows);
    arena_fini(&arena);
}

void
metrics_write_text(struct metrics *m, struct buf *out, int64_t monotonic_ns)
{
    write_families(m, out, monotonic_ns, text_family);
}

void
metrics_write_protobuf(struct metrics *m, struct buf *out, int64_t monotonic_ns)
{
    write_families(m, out, monotonic_ns, proto_family);
}
