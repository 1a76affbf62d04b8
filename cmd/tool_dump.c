/* tsdb dump: every sample of a database as text. Series in label order, those of several selectors
 * once each; a series' samples are read, printed and forgotten before the next. */
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/quote.h"
#include "cmd/tool.h"
#include "cmd/tool_blocks.h"
#include "model/histogram_math.h"

#define OUT_BYTES (1u << 16) /* printed as soon as so much has come together */

typedef void (*print_fn)(struct labels labels, const struct sample_buf *b, struct buf *out);

static void
print_number(double v, struct buf *out)
{
    char text[DECIMAL_BYTES_MAX];

    buf_add(out, text, decimal_format_general(v, text));
}

static void
print_sample(struct labels labels, const struct sample_buf *b, size_t i, struct buf *out)
{
    labels_print(labels, out);
    buf_byte(out, ' ');
    if (b->h == NULL || b->h[i] == NULL)
        print_number(b->v[i], out);
    else if (is_stale(b->h[i]->sum))
        buf_c(out, "{count:0, sum:NaN}");
    else
        histogram_print(b->h[i], out);
    buf_printf(out, " %lld\n", (long long)b->t_ms[i]);
}

static void
print_plain(struct labels labels, const struct sample_buf *b, struct buf *out)
{
    for (size_t i = 0; i < b->nr; i++)
        print_sample(labels, b, i, out);
}

/* Only the labels; a series without samples in the range does not count. */
static void
print_json(struct labels labels, const struct sample_buf *b, struct buf *out)
{
    (void)b;
    struct json j = json_to(out);
    json_open(&j, '{');
    for (size_t i = 0; i < labels.nr; i++) {
        json_key_str(&j, labels.v[i].name);
        json_str_html(&j, labels.v[i].value);
    }
    json_close(&j, '}');
    buf_byte(out, '\n');
}

/* promtool stops a series at its first histogram, and prints stale markers as NaN. */
static void
print_openmetrics(struct labels labels, const struct sample_buf *b, struct buf *out)
{
    for (size_t i = 0; i < b->nr; i++) {
        bool first = true;
        if (b->h != NULL && b->h[i] != NULL)
            break;
        buf_str(out, labels_get(labels, LABEL_NAME));
        buf_byte(out, '{');
        for (size_t k = 0; k < labels.nr; k++) {
            if (str_eq(labels.v[k].name, LABEL_NAME))
                continue;
            buf_printf(out, "%s%.*s=", first ? "" : ",", STR_ARG(labels.v[k].name));
            quote_go(labels.v[k].value, out);
            first = false;
        }
        buf_c(out, "} ");
        print_number(b->v[i], out);
        buf_printf(out, " %.3f\n", (double)b->t_ms[i] / 1000);
    }
}

/* ---- which series ---- */

struct selected {
    struct series_set *set;
    uint32_t i;
    struct labels labels; /* in the arena */
};

struct selection {
    struct arena arena;
    struct selected *v;
    size_t nr, cap;
};

static int
selected_cmp(const void *a, const void *b)
{
    return labels_cmp(((const struct selected *)a)->labels, ((const struct selected *)b)->labels);
}

/* Series that several selectors find stay in the list once. */
static void
sort_unique(struct selection *s)
{
    size_t kept = 0;

    if (s->nr > 1)
        qsort(s->v, s->nr, sizeof *s->v, selected_cmp);
    for (size_t i = 0; i < s->nr; i++)
        if (kept == 0 || selected_cmp(&s->v[kept - 1], &s->v[i]) != 0)
            s->v[kept++] = s->v[i];
    s->nr = kept;
}

static bool
select_one(struct tool *t, struct querier *q, struct str text, struct selection *s,
           struct error *err)
{
    struct select_hints hints = { .min_ms = q->min_ms, .max_ms = q->max_ms, .sorted = true };
    struct matcher *matchers;
    struct series_set *set;
    size_t nr = 0;

    if (!promql_parse_selector(&s->arena, text, &t->parse, &matchers, &nr, err))
        return false;
    bool ok = querier_select(q, matchers, nr, &hints, &set, err);
    for (uint32_t i = 0; ok && i < set->nr; i++) {
        MEM_GROW(s->v, s->nr + 1, &s->cap);
        s->v[s->nr++] = (struct selected){ set, i, series_labels(set, i, &s->arena) };
    }
    for (size_t i = 0; i < nr; i++)
        matcher_fini(&matchers[i]);
    return ok;
}

static bool
print_series(const struct querier *q, const struct selection *s, print_fn print, struct error *err)
{
    struct sample_buf samples;
    struct arena histograms;
    struct buf out = { 0 };
    bool ok = true;

    arena_init(&histograms, SIZE_MAX);
    sample_buf_init(&samples, &histograms);
    for (size_t i = 0; ok && i < s->nr; i++) {
        sample_buf_reset(&samples);
        ok = series_read(s->v[i].set, s->v[i].i, q->min_ms, q->max_ms, &samples, err);
        if (samples.nr > 0)
            print(s->v[i].labels, &samples, &out);
        if (out.n >= OUT_BYTES || i + 1 == s->nr || !ok) {
            tool_put(&out, stdout);
            buf_reset(&out);
        }
    }
    sample_buf_fini(&samples);
    arena_fini(&histograms);
    buf_fini(&out);
    return ok;
}

static bool
dump_all(struct tool *t, struct db *db, print_fn print, struct error *err)
{
    struct selection s = { 0 };
    struct querier *q = NULL;
    size_t nr;
    const struct str *match = tool_strs(&t->line, "match", &nr);
    bool ok = querier_open(db_queryable(db), tool_int(&t->line, "min-time"),
                           tool_int(&t->line, "max-time"), &q, err);

    arena_init(&s.arena, SIZE_MAX);
    for (size_t i = 0; ok && i < nr; i++)
        ok = select_one(t, q, match[i], &s, err);
    if (ok) {
        sort_unique(&s);
        ok = print_series(q, &s, print, err);
    }
    mem_free(s.v);
    querier_close(q);
    arena_fini(&s.arena);
    return ok;
}

static bool
dump(struct tool *t, print_fn print, struct error *err)
{
    const char *dir = tool_z(&t->line, "db path");
    struct tool_blocks blocks;
    struct tool_db d = { 0 };

    /* The database would serve what is left of a damaged directory; who dumps wants to know. */
    bool ok = tool_blocks_open(&blocks, t->io, dir, err);
    tool_blocks_close(&blocks);
    if (!ok)
        return false;
    ok = tool_db_open(&d, t, dir, err) && dump_all(t, d.db, print, err);
    tool_db_close(&d);
    return ok;
}

int
tool_tsdb_dump(struct tool *t)
{
    bool json = str_is(tool_str(&t->line, "format"), "seriesjson");
    struct error err = { 0 };

    return dump(t, json ? print_json : print_plain, &err) ? TOOL_OK : tool_fail(&err);
}

int
tool_tsdb_dump_openmetrics(struct tool *t)
{
    struct error err = { 0 };

    if (!dump(t, print_openmetrics, &err))
        return tool_fail(&err);
    printf("# EOF\n");
    return TOOL_OK;
}
