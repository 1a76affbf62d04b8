#include <inttypes.h>
#include "scrape/scrape_limits.h"
#include "base/quote.h"

/* Looks up in labels that may hold empty values and duplicates: the first counts. */
static const struct label *
raw_find(struct labels raw, struct str name)
{
    for (size_t i = 0; i < raw.nr; i++)
        if (str_eq(raw.v[i].name, name))
            return &raw.v[i];
    return NULL;
}

/* Exposed labels that had to give way, the shortest names first. */
static void
export_labels(struct label *lost, size_t nr, struct labels_builder *b, struct arena *scratch)
{
    for (size_t i = 1; i < nr; i++) /* stable; there are a handful at most */
        for (size_t j = i; j > 0 && lost[j - 1].name.n > lost[j].name.n; j--) {
            struct label swap = lost[j];

            lost[j] = lost[j - 1];
            lost[j - 1] = swap;
        }
    for (size_t i = 0; i < nr; i++) {
        struct str name = lost[i].name;

        do
            name = arena_printf(scratch, "exported_%.*s", STR_ARG(name));
        while (labels_builder_get(b, name).n != 0);
        labels_builder_set(b, name, lost[i].value);
    }
}

void
target_label_series(struct labels target, bool honor_labels, struct labels raw,
                    struct labels_builder *b, struct arena *scratch)
{
    struct label *lost = ARENA_NEW_ARRAY(scratch, struct label, target.nr + 1);
    size_t lost_nr = 0;

    for (size_t i = 0; i < target.nr; i++) {
        const struct label *exposed = raw_find(raw, target.v[i].name);

        if (honor_labels) {
            if (exposed == NULL)
                labels_builder_set(b, target.v[i].name, target.v[i].value);
            continue;
        }
        if (exposed != NULL && exposed->value.n != 0)
            lost[lost_nr++] = *exposed;
        labels_builder_set(b, target.v[i].name, target.v[i].value);
    }
    export_labels(lost, lost_nr, b, scratch);
}

void
target_label_report(struct labels target, struct labels_builder *b, struct arena *scratch)
{
    for (size_t i = 0; i < target.nr; i++) {
        labels_builder_del(b, arena_printf(scratch, "exported_%.*s", STR_ARG(target.v[i].name)));
        labels_builder_set(b, target.v[i].name, target.v[i].value);
    }
}

static bool
names_valid(struct labels ls, bool legacy)
{
    for (size_t i = 0; i < ls.nr; i++) {
        struct str name = ls.v[i].name, value = ls.v[i].value;

        if (str_eq(name, LABEL_NAME) &&
            !(legacy ? metric_name_legacy(value) : label_name_valid(value)))
            return false;
        if (!(legacy ? label_name_legacy(name) : label_name_valid(name)) || !str_utf8_valid(value))
            return false;
    }
    return true;
}

bool
labels_have_name(struct labels ls, int scheme, struct error *err)
{
    struct buf text = { 0 };

    if (!labels_has(ls, LABEL_NAME))
        return error_set(err, ERR_INVALID, "missing metric name (__name__ label)");
    if (names_valid(ls, scheme == NAME_SCHEME_LEGACY))
        return true;
    labels_print(ls, &text);
    error_set(err, ERR_INVALID, "invalid metric name or label names: %s", buf_z(&text));
    buf_fini(&text);
    return false;
}

/* The first 50 characters, as Go's %.50s. */
static struct str
head50(struct str s)
{
    size_t at = 0;
    uint32_t rune;

    for (int i = 0; i < 50 && at < s.n; i++)
        at += str_rune(str_skip(s, at), &rune);
    return (struct str){ s.p, at };
}

static bool
value_too_long(struct str metric, struct label l, uint64_t limit, struct error *err)
{
    struct buf value = { 0 };

    quote_go(head50(l.value), &value);
    error_set(err, ERR_LIMIT,
              "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %s, "
              "length: %zu, limit: %" PRIu64 ")",
              STR_ARG(head50(metric)), STR_ARG(head50(l.name)), buf_z(&value), l.value.n, limit);
    buf_fini(&value);
    return false;
}

bool
labels_within_limits(struct labels ls, const struct scrape_config *config, struct error *err)
{
    struct str metric = labels_get(ls, LABEL_NAME);
    uint64_t names = config->label_name_length_limit, values = config->label_value_length_limit;

    if (config->label_limit != 0 && ls.nr > config->label_limit)
        return error_set(
            err, ERR_LIMIT,
            "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %" PRIu64 ")",
            STR_ARG(head50(metric)), ls.nr, config->label_limit);
    for (size_t i = 0; i < ls.nr; i++) {
        struct label l = ls.v[i];

        if (names != 0 && l.name.n > names)
            return error_set(err, ERR_LIMIT,
                             "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                             "length: %zu, limit: %" PRIu64 ")",
                             STR_ARG(head50(metric)), STR_ARG(head50(l.name)), l.name.n, names);
        if (values != 0 && l.value.n > values)
            return value_too_long(metric, l, values, err);
    }
    return true;
}

static struct str
cut_suffix(struct str s, const char *const *suffixes)
{
    for (; *suffixes != NULL; suffixes++)
        if (str_ends(s, str_c(*suffixes)))
            return (struct str){ s.p, s.n - strlen(*suffixes) };
    return s;
}

bool
series_of_family(struct str name, struct str family, enum metadata_type type)
{
    static const char *const total[] = { "_total", NULL }, *const info[] = { "_info", NULL },
                             *const histogram[] = { "_bucket", "_sum", "_count", NULL },
                             *const gauge_histogram[] = { "_bucket", "_gsum", "_gcount", NULL },
                             *const summary[] = { "_sum", "_count", NULL },
                             *const none[] = { NULL };
    const char *const *suffixes = none;

    if (!str_starts(name, family))
        return false;
    switch (type) {
    case METADATA_COUNTER:
        suffixes = total;
        family = cut_suffix(family, total);
        break;
    case METADATA_INFO:
        suffixes = info;
        family = cut_suffix(family, info);
        break;
    case METADATA_HISTOGRAM:
        suffixes = histogram;
        break;
    case METADATA_GAUGEHISTOGRAM:
        suffixes = gauge_histogram;
        break;
    case METADATA_SUMMARY:
        suffixes = summary;
        break;
    default:
        break;
    }
    return str_eq(family, cut_suffix(name, suffixes));
}
