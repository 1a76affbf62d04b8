/* An exposition page held against the naming rules of Prometheus's client libraries, and how many
 * series each of its metrics has. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/tool.h"
#include "scrape/parse.h"

/* A metric with all its series on the page; series of histograms and summaries are put together. */
struct family {
    struct str name;
    enum metadata_type type;
    bool has_help;
    struct labels *metrics; /* without le and quantile where they belong to the type */
    size_t metrics_nr, metrics_cap;
    size_t parts_nr; /* buckets or quantiles of the first metric */
};

struct page {
    struct arena arena;
    struct family *families;
    size_t nr, cap;
};

static struct family *
family_get(struct page *page, struct str name)
{
    for (size_t i = page->nr; i-- > 0;)
        if (str_eq(page->families[i].name, name))
            return &page->families[i];
    ARENA_GROW(&page->arena, page->families, page->nr, page->nr + 1, &page->cap);
    page->families[page->nr] = (struct family){ .name = arena_str(&page->arena, name) };
    return &page->families[page->nr++];
}

static struct str
without(struct str name, struct str suffix)
{
    return str_ends(name, suffix) ? (struct str){ name.p, name.n - suffix.n } : STR_NONE;
}

static struct family *
family_find(struct page *page, struct str name, enum metadata_type type)
{
    for (size_t i = 0; name.n > 0 && i < page->nr; i++)
        if (str_eq(page->families[i].name, name) && page->families[i].type == type)
            return &page->families[i];
    return NULL;
}

/* The family a series belongs to: x_bucket, x_sum and x_count are parts of x where x is a histogram
 * or summary. */
static struct family *
family_of(struct page *page, struct str name)
{
    static const struct {
        struct str suffix;
        bool of_summary;
    } parts[] = { { { "_bucket", 7 }, false }, { { "_sum", 4 }, true }, { { "_count", 6 }, true } };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct str base = without(name, parts[i].suffix);
        struct family *f = family_find(page, base, METADATA_HISTOGRAM);
        if (f == NULL && parts[i].of_summary)
            f = family_find(page, base, METADATA_SUMMARY);
        if (f != NULL)
            return f;
    }
    return family_get(page, name);
}

static bool
is_composed(const struct family *f)
{
    return f->type == METADATA_HISTOGRAM || f->type == METADATA_SUMMARY;
}

static bool
has_metric(const struct family *f, struct labels ls)
{
    for (size_t i = 0; i < f->metrics_nr; i++)
        if (labels_eq(f->metrics[i], ls))
            return true;
    return false;
}

static void
add_series(struct page *page, struct labels all)
{
    struct family *f = family_of(page, labels_get(all, LABEL_NAME));
    struct str part = f->type == METADATA_HISTOGRAM ? LABEL_BUCKET : LABEL_QUANTILE;
    struct label *v = ARENA_NEW_ARRAY(&page->arena, struct label, all.nr + 1);
    bool is_part = is_composed(f) && labels_has(all, part);
    size_t nr = 0;

    for (size_t i = 0; i < all.nr; i++)
        if (!str_eq(all.v[i].name, LABEL_NAME) && !(is_part && str_eq(all.v[i].name, part)))
            v[nr++] = all.v[i];
    struct labels ls = labels_copy(&page->arena, (struct labels){ v, nr });
    if (!is_composed(f) || !has_metric(f, ls)) {
        ARENA_GROW(&page->arena, f->metrics, f->metrics_nr, f->metrics_nr + 1, &f->metrics_cap);
        f->metrics[f->metrics_nr++] = ls;
    }
    if (is_part && labels_eq(f->metrics[0], ls))
        f->parts_nr++;
}

static bool
read_page(struct page *page, struct buf *text, struct error *err)
{
    static const struct parse_options options = { 0 };
    struct page_parser p;
    bool more = true, ok = true;

    page_parser_init(&p);
    page_parser_start(&p, PAGE_TEXT, text, &options);
    while (more) {
        switch (page_parser_next(&p, err)) {
        case PARSE_TYPE:
            family_get(page, p.name)->type = p.type;
            break;
        case PARSE_HELP:
            family_get(page, p.name)->has_help = true;
            break;
        case PARSE_SERIES:
            add_series(page, page_parser_labels(&p, &page->arena));
            break;
        case PARSE_ERROR:
            ok = more = false;
            break;
        case PARSE_END:
            more = false;
            break;
        default:
            break;
        }
    }
    page_parser_fini(&p);
    return ok;
}

/* ---- lint ---- */

struct problem {
    struct str metric;
    const char *text;
};

struct problems {
    struct arena *arena;
    struct problem *v;
    size_t nr, cap;
};

static void
complain(struct problems *out, const struct family *f, const char *text)
{
    ARENA_GROW(out->arena, out->v, out->nr, out->nr + 1, &out->cap);
    out->v[out->nr++] = (struct problem){ f->name, text };
}

/* The words that name a unit, and the unit to use instead. */
static const struct {
    const char *unit, *base;
} units[] = {
    { "amperes", "amperes" },    { "bytes", "bytes" },     { "celsius", "celsius" },
    { "grams", "grams" },        { "joules", "joules" },   { "kelvin", "kelvin" },
    { "meters", "meters" },      { "metres", "metres" },   { "seconds", "seconds" },
    { "volts", "volts" },        { "minutes", "seconds" }, { "hours", "seconds" },
    { "days", "seconds" },       { "weeks", "seconds" },   { "kelvins", "kelvin" },
    { "fahrenheit", "celsius" }, { "rankine", "celsius" }, { "inches", "meters" },
    { "yards", "meters" },       { "miles", "meters" },    { "bits", "bytes" },
    { "calories", "joules" },    { "pounds", "grams" },    { "ounces", "grams" },
};

static const char *const unit_prefixes[] = { "pico", "nano",  "micro", "milli", "centi", "deci",
                                             "deca", "hecto", "kilo",  "kibi",  "mega",  "mibi",
                                             "giga", "gibi",  "tera",  "tebi",  "peta",  "pebi" };

static const char *const abbreviations[] = { "s",  "ms", "us", "ns", "sec", "b", "kb",
                                             "mb", "gb", "tb", "pb", "m",   "h", "d" };

static const char *
base_unit(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_is(word, units[i].unit))
            return units[i].base;
    return NULL;
}

/* The base of the first word of the name that is a unit, with or without a prefix. */
static const char *
find_unit(struct str name, struct str *word)
{
    for (size_t from = 0; from <= name.n;) {
        size_t end = str_find(name, '_', from);
        *word = (struct str){ name.p + from, end - from };
        const char *base = base_unit(*word);
        for (size_t i = 0; base == NULL && i < ARRAY_LEN(unit_prefixes); i++) {
            struct str prefix = str_c(unit_prefixes[i]);
            if (str_starts(*word, prefix))
                base = base_unit(str_skip(*word, prefix.n));
        }
        if (base != NULL)
            return base;
        from = end + 1;
    }
    return NULL;
}

static void
lint_unit(struct problems *out, const struct family *f)
{
    struct str word;
    const char *base = find_unit(f->name, &word);

    if (base != NULL && !str_is(word, base))
        complain(out, f,
                 arena_printf(out->arena, "use base unit \"%s\" instead of \"%.*s\"", base,
                              STR_ARG(word))
                     .p);
}

/* The word stands in the lower-cased name, at its end or between underscores. */
static bool
has_word(struct str name, const char *word)
{
    struct str w = str_c(word);

    for (size_t i = 0; i + w.n + 1 <= name.n; i++) {
        bool same = name.p[i] == '_';
        for (size_t k = 0; same && k < w.n; k++)
            same = tolower((unsigned char)name.p[i + 1 + k]) == w.p[k];
        if (same && (i + 1 + w.n == name.n || name.p[i + 1 + w.n] == '_'))
            return true;
    }
    return false;
}

static bool
is_camel(struct str name)
{
    for (size_t i = 1; i < name.n; i++)
        if (islower((unsigned char)name.p[i - 1]) && isupper((unsigned char)name.p[i]))
            return true;
    return false;
}

static void
lint_suffixes(struct problems *out, const struct family *f)
{
    bool histogram = f->type == METADATA_HISTOGRAM, summary = f->type == METADATA_SUMMARY;

    if (!histogram && str_ends(f->name, STR("_bucket")))
        complain(out, f, "non-histogram metrics should not have \"_bucket\" suffix");
    if (!histogram && !summary && str_ends(f->name, STR("_count")))
        complain(out, f, "non-histogram and non-summary metrics should not have \"_count\" suffix");
    if (!histogram && !summary && str_ends(f->name, STR("_sum")))
        complain(out, f, "non-histogram and non-summary metrics should not have \"_sum\" suffix");
    for (size_t i = 0; i < f->metrics_nr; i++) {
        if (!histogram && labels_has(f->metrics[i], LABEL_BUCKET))
            complain(out, f, "non-histogram metrics should not have \"le\" label");
        if (!summary && labels_has(f->metrics[i], LABEL_QUANTILE))
            complain(out, f, "non-summary metrics should not have \"quantile\" label");
    }
}

static void
lint_typed(struct problems *out, const struct family *f)
{
    const char *type = metadata_type_text(f->type);
    bool total = str_ends(f->name, STR("_total"));

    if (f->type == METADATA_UNKNOWN)
        return;
    if (f->type == METADATA_COUNTER && !total)
        complain(out, f, "counter metrics should have \"_total\" suffix");
    if (f->type != METADATA_COUNTER && total)
        complain(out, f, "non-counter metrics should not have \"_total\" suffix");
    lint_suffixes(out, f);
    if (has_word(f->name, type))
        complain(out, f,
                 arena_printf(out->arena, "metric name should not include type '%s'", type).p);
}

static void
lint_names(struct problems *out, const struct family *f)
{
    if (str_find(f->name, ':', 0) < f->name.n)
        complain(out, f, "metric names should not contain ':'");
    if (is_camel(f->name))
        complain(out, f, "metric names should be written in 'snake_case' not 'camelCase'");
    for (size_t i = 0; i < f->metrics_nr; i++)
        for (size_t k = 0; k < f->metrics[i].nr; k++)
            if (is_camel(f->metrics[i].v[k].name))
                complain(out, f, "label names should be written in 'snake_case' not 'camelCase'");
    for (size_t i = 0; i < ARRAY_LEN(abbreviations); i++)
        if (has_word(f->name, abbreviations[i]))
            complain(out, f, "metric names should not contain abbreviated units");
}

static int
labels_order(const void *a, const void *b)
{
    return labels_cmp(*(const struct labels *)a, *(const struct labels *)b);
}

/* Once for each metric that comes again further down. */
static void
lint_twice(struct problems *out, const struct family *f)
{
    struct labels *v = ARENA_NEW_ARRAY(out->arena, struct labels, f->metrics_nr + 1);

    if (f->metrics_nr < 2)
        return;
    memcpy(v, f->metrics, f->metrics_nr * sizeof *v);
    qsort(v, f->metrics_nr, sizeof *v, labels_order);
    for (size_t i = 1; i < f->metrics_nr; i++)
        if (labels_eq(v[i - 1], v[i]))
            complain(out, f, "metric not unique");
}

static int
problem_cmp(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    int c = str_cmp(x->metric, y->metric);

    return c != 0 ? c : strcmp(x->text, y->text);
}

/* Says what is wrong; how much that is. */
static size_t
lint_page(struct page *page)
{
    struct problems out = { .arena = &page->arena };

    for (size_t i = 0; i < page->nr; i++) {
        const struct family *f = &page->families[i];
        if (f->metrics_nr == 0)
            continue;
        if (!f->has_help)
            complain(&out, f, "no help text");
        lint_unit(&out, f);
        lint_typed(&out, f);
        lint_names(&out, f);
        lint_twice(&out, f);
    }
    if (out.nr > 1)
        qsort(out.v, out.nr, sizeof *out.v, problem_cmp);
    for (size_t i = 0; i < out.nr; i++)
        fprintf(stderr, "%.*s %s\n", STR_ARG(out.v[i].metric), out.v[i].text);
    return out.nr;
}

/* ---- cardinality ---- */

struct count {
    struct str name;
    size_t nr, place;
};

static int
count_cmp(const void *a, const void *b)
{
    const struct count *x = a, *y = b;

    if (x->nr != y->nr)
        return x->nr < y->nr ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

static void
print_counts(struct page *page)
{
    struct tool_table table = { .width = 4, .padding = 4, .pad_last = true };
    struct count *v = ARENA_NEW_ARRAY(&page->arena, struct count, page->nr + 1);
    struct buf out = { 0 };
    size_t nr = 0, total = 0;

    for (size_t i = 0; i < page->nr; i++) {
        const struct family *f = &page->families[i];
        if (f->metrics_nr == 0)
            continue;
        /* A composed metric is a sum, a count and its parts. */
        v[nr] =
            (struct count){ f->name, f->metrics_nr * (is_composed(f) ? 2 + f->parts_nr : 1), i };
        total += v[nr++].nr;
    }
    if (nr > 1)
        qsort(v, nr, sizeof *v, count_cmp);
    buf_c(&table.text, "Metric\tCardinality\tPercentage\n");
    for (size_t i = 0; i < nr; i++)
        buf_printf(&table.text, "%.*s\t%zu\t%.2f%%\n", STR_ARG(v[i].name), v[i].nr,
                   (double)v[i].nr / (double)total * 100);
    buf_printf(&table.text, "Total\t%zu\t100%%\n", total);
    tool_table_print(&table, &out);
    tool_put(&out, stdout);
    buf_fini(&out);
}

int
tool_check_metrics(struct tool *t)
{
    bool extended = tool_bool(&t->line, "extended"),
         lint = !str_is(tool_str(&t->line, "lint"), "none");
    struct page page = { 0 };
    struct buf text = { 0 };
    struct error err = { 0 };
    char *p = NULL;
    size_t n = 0, problems_nr = 0;
    int status = TOOL_FAILED;

    if (!extended && !lint) {
        fprintf(stderr, "error: at least one of --extended or linting must be enabled\n"
                        "Use --extended for cardinality analysis, or remove --lint=none to enable "
                        "linting\n");
        return TOOL_FAILED;
    }
    arena_init(&page.arena, SIZE_MAX);
    bool ok = tool_read_stdin(&p, &n, &err);
    if (ok)
        buf_add(&text, p, n);
    if (!ok || !read_page(&page, &text, &err)) {
        fprintf(stderr, "%s: %s\n",
                lint ? "error while linting" : "error while parsing text to metric families",
                error_text(&err));
        goto out;
    }
    if (lint)
        problems_nr = lint_page(&page);
    if (extended)
        print_counts(&page);
    status = problems_nr > 0 ? TOOL_LINT : TOOL_OK;
out:
    mem_free(p);
    buf_fini(&text);
    arena_fini(&page.arena);
    error_clear(&err);
    return status;
}
