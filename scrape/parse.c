/* The parser's life, its labels and exemplars, and the choice of format. */
#include <stdlib.h>
#include "scrape/parse_priv.h"
#include "base/mem.h"
#include "scrape/parse_nhcb.h"
#include "scrape/parse_protobuf.h"

void
page_parser_init(struct page_parser *p)
{
    *p = (struct page_parser){ 0 };
}

void
page_parser_fini(struct page_parser *p)
{
    free(p->pairs.v);
    free(p->exemplar.pairs.v);
    free(p->labels);
    buf_fini(&p->scratch);
    protobuf_page_free(p->protobuf);
    nhcb_free(p->nhcb);
    *p = (struct page_parser){ 0 };
}

void
page_parser_start(struct page_parser *p, enum page_format format, struct buf *page,
                  const struct parse_options *options)
{
    if (format == PAGE_TEXT)
        buf_byte(page, '\n');
    p->format = format;
    p->options = *options;
    p->lex = (struct page_lexer){ .b = (const char *)page->p, .n = page->n };
    p->type = METADATA_UNKNOWN;
    p->unit = STR_NONE;
    p->name = p->text = p->series = STR_NONE;
    p->has_t = p->has_metric = false;
    p->histogram = NULL;
    p->exemplar.given = false;
    p->family_bytes = 0;
    p->peeking = p->st_known = false;
    if (options->convert_classic_histograms) {
        if (p->nhcb == NULL)
            p->nhcb = nhcb_new();
        nhcb_start(p->nhcb);
    }
    if (format == PAGE_PROTOBUF) {
        if (p->protobuf == NULL)
            p->protobuf = protobuf_page_new();
        protobuf_page_start(p->protobuf, buf_as_bytes(page));
    }
}

/* The help text as it was before it was written down. */
static void
unescape_help(struct page_parser *p)
{
    struct str s = p->text;

    if (s.n == 0 || memchr(s.p, '\\', s.n) == NULL)
        return;
    buf_reset(&p->scratch);
    for (size_t i = 0; i < s.n; i++) {
        char next = i + 1 < s.n ? s.p[i + 1] : 0;

        if (s.p[i] == '\\' &&
            (next == '\\' || next == 'n' || (next == '"' && p->format == PAGE_OPENMETRICS))) {
            buf_byte(&p->scratch, next == 'n' ? '\n' : (uint8_t)next);
            i++;
        } else {
            buf_byte(&p->scratch, (uint8_t)s.p[i]);
        }
    }
    p->text = buf_as_str(&p->scratch);
}

enum parse_entry
parse_plain_next(struct page_parser *p, struct error *err)
{
    enum parse_entry e;

    if (p->format == PAGE_PROTOBUF)
        return parse_protobuf_next(p, err);
    e = p->format == PAGE_TEXT ? parse_text_next(p, err) : parse_openmetrics_next(p, err);
    if (e == PARSE_HELP)
        unescape_help(p);
    return e;
}

enum parse_entry
page_parser_rest(struct page_parser *p, size_t start, size_t end, struct error *err)
{
    p->start = start;
    p->pairs.nr = 0;
    p->has_metric = true; /* else it would not have been recognised */
    p->series = (struct str){ p->lex.b + start, end - start };
    p->lex.i = p->lex.start = end;
    p->lex.state = LEX_VALUE;
    return p->format == PAGE_TEXT ? parse_text_rest(p, err) : parse_openmetrics_rest(p, err);
}

void
page_parser_seek(struct page_parser *p, size_t at)
{
    p->lex.i = p->lex.start = at;
    p->lex.state = LEX_INIT;
}

static int
by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static void
labels_sort(struct label *v, size_t nr)
{
    bool sorted = true;

    for (size_t i = 1; i < nr && sorted; i++)
        sorted = str_cmp(v[i - 1].name, v[i].name) <= 0;
    if (!sorted)
        qsort(v, nr, sizeof *v, by_name);
}

bool
parse_label_overridden(const struct page_parser *p, struct str name, struct str metric)
{
    if (!p->options.type_and_unit_labels)
        return false;
    return (str_eq(name, LABEL_NAME) && metric.n != 0) ||
           (str_is(name, "__type__") && p->type != METADATA_UNKNOWN) ||
           (str_is(name, "__unit__") && p->unit.n != 0);
}

size_t
parse_family_labels(const struct page_parser *p, struct str metric, struct label *out)
{
    size_t nr = 0;

    if (metric.n != 0 || !p->options.type_and_unit_labels)
        out[nr++] = (struct label){ LABEL_NAME, metric };
    if (!p->options.type_and_unit_labels)
        return nr;
    if (p->type != METADATA_UNKNOWN)
        out[nr++] = (struct label){ STR("__type__"), str_c(metadata_type_text(p->type)) };
    if (p->unit.n != 0)
        out[nr++] = (struct label){ STR("__unit__"), p->unit };
    return nr;
}

struct labels
parse_plain_labels(struct page_parser *p, struct arena *scratch)
{
    struct str metric;
    size_t nr;

    if (p->format == PAGE_PROTOBUF)
        return parse_protobuf_labels(p, scratch);
    metric = (struct str){ p->lex.b + p->metric, p->metric_end - p->metric };
    metric = parse_unescape(metric, true, scratch);
    MEM_GROW(p->labels, p->pairs.nr + 3, &p->labels_cap);
    nr = parse_family_labels(p, metric, p->labels);
    for (size_t i = 0; i < p->pairs.nr; i++) {
        const struct parse_pair *pair = &p->pairs.v[i];
        struct str name = { p->lex.b + pair->name, pair->name_end - pair->name };
        struct str value = { p->lex.b + pair->value, pair->value_end - pair->value };

        name = parse_unescape(name, true, scratch);
        if (parse_label_overridden(p, name, metric))
            continue;
        value = parse_unescape(value, true, scratch);
        value = parse_normal_float(p->type, name, value, scratch);
        p->labels[nr++] = (struct label){ name, value };
    }
    labels_sort(p->labels, nr);
    return (struct labels){ p->labels, nr };
}

bool
parse_plain_exemplar(struct page_parser *p, struct exemplar *e, struct arena *scratch)
{
    struct label *v;

    if (p->format == PAGE_PROTOBUF)
        return parse_protobuf_exemplar(p, e, scratch);
    if (!p->exemplar.given)
        return false;
    p->exemplar.given = false;
    v = ARENA_NEW_ARRAY(scratch, struct label, p->exemplar.pairs.nr);
    for (size_t i = 0; i < p->exemplar.pairs.nr; i++) {
        const struct parse_pair *pair = &p->exemplar.pairs.v[i];

        v[i].name = (struct str){ p->lex.b + pair->name, pair->name_end - pair->name };
        v[i].value = (struct str){ p->lex.b + pair->value, pair->value_end - pair->value };
    }
    labels_sort(v, p->exemplar.pairs.nr);
    *e = (struct exemplar){ .labels = { v, p->exemplar.pairs.nr },
                            .v = p->exemplar.value,
                            .t_ms = p->exemplar.t_ms,
                            .has_t = p->exemplar.has_t };
    return true;
}

int64_t
parse_plain_start_timestamp(struct page_parser *p)
{
    switch (p->format) {
    case PAGE_OPENMETRICS:
        return parse_openmetrics_start_timestamp(p);
    case PAGE_PROTOBUF:
        return parse_protobuf_start_timestamp(p);
    default:
        return 0;
    }
}

/* ---- the same, with classic histograms converted when that is asked for */

/* Protobuf converts metric by metric, inside. */
static bool
converts(const struct page_parser *p)
{
    return p->options.convert_classic_histograms && p->format != PAGE_PROTOBUF;
}

enum parse_entry
page_parser_next(struct page_parser *p, struct error *err)
{
    return converts(p) ? nhcb_next(p->nhcb, p, err) : parse_plain_next(p, err);
}

struct labels
page_parser_labels(struct page_parser *p, struct arena *scratch)
{
    return converts(p) && nhcb_emitting(p->nhcb) ? nhcb_labels(p->nhcb)
                                                 : parse_plain_labels(p, scratch);
}

bool
page_parser_exemplar(struct page_parser *p, struct exemplar *e, struct arena *scratch)
{
    return converts(p) && nhcb_emitting(p->nhcb) ? nhcb_exemplar(p->nhcb, e)
                                                 : parse_plain_exemplar(p, e, scratch);
}

int64_t
page_parser_start_timestamp(struct page_parser *p)
{
    int64_t st_ms;

    return converts(p) && nhcb_start_timestamp(p->nhcb, &st_ms) ? st_ms
                                                                : parse_plain_start_timestamp(p);
}
