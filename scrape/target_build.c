/* From the label sets of discovery to a target: defaults, relabelling, checks, URL, hash. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "scrape/target.h"
#include "base/duration.h"
#include "base/fnv.h"
#include "base/mem.h"
#include "base/quote.h"
#include "model/relabel.h"

#define LABEL_ADDRESS  STR("__address__")
#define LABEL_PATH     STR("__metrics_path__")
#define LABEL_SCHEME   STR("__scheme__")
#define LABEL_INTERVAL STR("__scrape_interval__")
#define LABEL_TIMEOUT  STR("__scrape_timeout__")
#define LABEL_NHCB     STR("__convert_classic_histograms_to_nhcb__")
#define LABEL_CLASSIC  STR("__always_scrape_classic_histograms__")
#define LABEL_NATIVE   STR("__scrape_native_histograms__")
#define LABEL_SOCKET   STR("__unix_socket__")
#define PREFIX_PARAM   STR("__param_")
#define PREFIX_META    STR("__meta_")

static void
set_default(struct labels_builder *b, struct str name, struct str value)
{
    if (labels_builder_get(b, name).n == 0)
        labels_builder_set(b, name, value);
}

static struct str
duration_str(int64_t ms, struct arena *scratch)
{
    char text[DURATION_TEXT_MAX];

    return arena_str(scratch, str_c(duration_text(ms, text)));
}

static struct str
tri_str(int tri)
{
    return tri == CONF_YES ? STR("true") : STR("false");
}

void
target_discovered(const struct scrape_config *config, const struct target_group *group,
                  size_t index, struct labels_builder *b, struct arena *scratch)
{
    struct labels own = group->targets[index];

    labels_builder_reset(b, own);
    for (size_t i = 0; i < group->labels.nr; i++)
        if (!labels_has(own, group->labels.v[i].name))
            labels_builder_set(b, group->labels.v[i].name, group->labels.v[i].value);
    set_default(b, LABEL_JOB, config->job_name);
    set_default(b, LABEL_INTERVAL, duration_str(config->scrape_interval_ms, scratch));
    set_default(b, LABEL_TIMEOUT, duration_str(config->scrape_timeout_ms, scratch));
    set_default(b, LABEL_PATH, config->metrics_path);
    set_default(b, LABEL_SCHEME, config->scheme);
    set_default(b, LABEL_NHCB, tri_str(config->convert_classic_histograms_to_nhcb));
    set_default(b, LABEL_CLASSIC, tri_str(config->always_scrape_classic_histograms));
    set_default(b, LABEL_NATIVE, tri_str(config->scrape_native_histograms));
    for (size_t i = 0; i < config->params.nr; i++) {
        const struct conf_multi *p = &config->params.items[i];

        if (p->values.nr != 0)
            set_default(b, arena_printf(scratch, "__param_%.*s", STR_ARG(p->name)),
                        p->values.items[0]);
    }
}

static bool
check_times(struct labels_builder *b, int64_t *interval_ms, int64_t *timeout_ms, struct error *err)
{
    struct str interval = labels_builder_get(b, LABEL_INTERVAL);
    struct str timeout = labels_builder_get(b, LABEL_TIMEOUT);

    if (!duration_parse(interval, interval_ms, err))
        return error_wrap(err, "error parsing scrape interval");
    if (*interval_ms == 0)
        return error_set(err, ERR_INVALID, "scrape interval cannot be 0");
    if (!duration_parse(timeout, timeout_ms, err))
        return error_wrap(err, "error parsing scrape timeout");
    if (*timeout_ms == 0)
        return error_set(err, ERR_INVALID, "scrape timeout cannot be 0");
    if (*timeout_ms > *interval_ms)
        return error_set(
            err, ERR_INVALID,
            "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
            STR_ARG(timeout), STR_ARG(interval));
    return true;
}

/* The spellings of Go's strconv.ParseBool. */
static bool
parse_bool(struct str s, bool *v)
{
    static const char *const words[][2] = { { "0", "1" },        { "f", "t" },
                                            { "F", "T" },        { "false", "true" },
                                            { "False", "True" }, { "FALSE", "TRUE" } };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        for (size_t j = 0; j < 2; j++)
            if (str_is(s, words[i][j])) {
                *v = j == 1;
                return true;
            }
    return false;
}

static bool
check_bool(struct labels_builder *b, struct str name, const char *what, int dflt, bool *v,
           struct error *err)
{
    struct str text = labels_builder_get(b, name);
    struct buf quoted = { 0 };

    *v = dflt == CONF_YES;
    if (text.n == 0 || parse_bool(text, v))
        return true;
    quote_go(text, &quoted);
    error_set(err, ERR_INVALID, "error parsing %s: strconv.ParseBool: parsing %s: invalid syntax",
              what, buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

static bool
check_address(struct str address, struct error *err)
{
    if (address.n == 0)
        return error_set(err, ERR_INVALID, "no address");
    if (memchr(address.p, '/', address.n) != NULL) {
        struct buf quoted = { 0 };

        quote_go(address, &quoted);
        error_set(err, ERR_INVALID, "%s is not a valid hostname", buf_z(&quoted));
        buf_fini(&quoted);
        return false;
    }
    return true;
}

static bool
check_values(struct labels ls, struct error *err)
{
    for (size_t i = 0; i < ls.nr; i++)
        if (!str_utf8_valid(ls.v[i].value)) {
            struct buf text = { 0 };

            buf_c(&text, "invalid label value for ");
            quote_go(ls.v[i].name, &text);
            buf_c(&text, ": ");
            quote_go(ls.v[i].value, &text);
            error_set(err, ERR_INVALID, "%s", buf_z(&text));
            buf_fini(&text);
            return false;
        }
    return true;
}

/* Of everything in the builder; drops __meta_*. */
static void
drop_meta(struct labels_builder *b)
{
    for (size_t i = b->nr; i-- > 0;)
        if (str_starts(b->v[i].name, PREFIX_META))
            labels_builder_del(b, b->v[i].name);
}

static void
escape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '_' || c == '.' || c == '~')
            buf_byte(out, c);
        else if (c == ' ')
            buf_byte(out, '+');
        else
            buf_printf(out, "%%%02X", c);
    }
}

/* A path as Go's URL.String() writes it. */
static void
escape_path(struct str s, struct buf *out)
{
    if (s.n != 0 && s.p[0] != '/')
        buf_byte(out, '/');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c != 0 && strchr("-_.~/$&+,:;=@", c) != NULL))
            buf_byte(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static void
param(struct buf *out, bool *first, struct str name, struct str value)
{
    buf_byte(out, *first ? '?' : '&');
    *first = false;
    escape(name, out);
    buf_byte(out, '=');
    escape(value, out);
}

static const struct conf_multi *
configured_param(const struct scrape_config *config, struct str name)
{
    for (size_t i = 0; i < config->params.nr; i++)
        if (str_eq(config->params.items[i].name, name))
            return &config->params.items[i];
    return NULL;
}

/* Parameters sorted by name: the first value of each comes from the label. Both lists are sorted.
 */
static void
params(const struct scrape_config *config, struct labels ls, struct buf *out)
{
    size_t c = 0;
    bool first = true;

    for (size_t i = 0; i <= ls.nr; i++) {
        struct str name = STR_NONE;
        const struct conf_multi *p;

        if (i < ls.nr) {
            if (!str_starts(ls.v[i].name, PREFIX_PARAM))
                continue;
            name = str_skip(ls.v[i].name, PREFIX_PARAM.n);
        }
        for (; c < config->params.nr &&
               (i == ls.nr || str_cmp(config->params.items[c].name, name) < 0);
             c++)
            for (size_t j = 0; j < config->params.items[c].values.nr; j++)
                param(out, &first, config->params.items[c].name,
                      config->params.items[c].values.items[j]);
        if (i == ls.nr)
            break;
        param(out, &first, name, ls.v[i].value);
        p = configured_param(config, name);
        for (size_t j = 1; p != NULL && j < p->values.nr; j++)
            param(out, &first, name, p->values.items[j]);
        if (p != NULL)
            c = (size_t)(p - config->params.items) + 1;
    }
}

static void
url_of(const struct scrape_config *config, struct labels ls, struct buf *out)
{
    struct str host = labels_get(ls, LABEL_ADDRESS), scheme = labels_get(ls, LABEL_SCHEME);

    if (scheme.n != 0) {
        buf_str(out, scheme);
        buf_byte(out, ':');
    }
    buf_c(out, "//");
    buf_str(out, host.n != 0 ? host : STR("localhost"));
    escape_path(labels_get(ls, LABEL_PATH), out);
    params(config, ls, out);
}

static uint64_t
target_hash(struct labels ls, struct str url)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%016" PRIu64, labels_hash(ls));

    return fnv64a(fnv64a(FNV64_START, (struct str){ digits, (size_t)n }), url);
}

uint64_t
target_offset_seed(struct str hostname, struct labels external)
{
    struct buf text = { 0 };
    uint64_t seed;

    labels_print(external, &text);
    seed = fnv64a(fnv64a(FNV64_START, hostname), buf_as_str(&text));
    buf_fini(&text);
    return seed;
}

int64_t
target_offset_ns(uint64_t hash, int64_t interval_ns, uint64_t seed, int64_t now_ns)
{
    int64_t next =
        interval_ns - now_ns % interval_ns + (int64_t)((hash ^ seed) % (uint64_t)interval_ns);

    return next > interval_ns ? next - interval_ns : next;
}

static struct labels
public_labels(struct labels ls, struct arena *a)
{
    struct label *v = ARENA_NEW_ARRAY(a, struct label, ls.nr);
    size_t nr = 0;

    for (size_t i = 0; i < ls.nr; i++)
        if (!str_starts(ls.v[i].name, STR("__")))
            v[nr++] = ls.v[i];
    return (struct labels){ v, nr };
}

static struct target *
target_of(struct target_setup *setup, struct target_group *group, size_t index, struct labels ls)
{
    struct target *t = MEM_NEW(struct target);
    struct buf url = { 0 };

    atomic_init(&t->refs, 1);
    arena_init(&t->arena, SIZE_MAX);
    t->labels = labels_copy(&t->arena, ls);
    t->public = public_labels(t->labels, &t->arena);
    url_of(setup->config, t->labels, &url);
    t->url = arena_str(&t->arena, buf_as_str(&url));
    buf_fini(&url);
    t->hash = target_hash(t->labels, t->url);
    lock_init(&t->lock, LOCK_TARGET, "target");
    t->setup = target_setup_ref(setup);
    t->group = target_group_ref(group);
    t->group_index = index;
    t->health = TARGET_UNKNOWN;
    return t;
}

struct overrides {
    int64_t interval_ms, timeout_ms;
    bool nhcb, classic, native;
};

/* What relabelling has left must make sense. */
static bool
check_target(const struct scrape_config *config, struct labels_builder *b, struct overrides *o,
             struct error *err)
{
    return check_address(labels_builder_get(b, LABEL_ADDRESS), err) &&
           check_times(b, &o->interval_ms, &o->timeout_ms, err) &&
           check_bool(b, LABEL_NHCB, "convert classic histograms to nhcb",
                      config->convert_classic_histograms_to_nhcb, &o->nhcb, err) &&
           check_bool(b, LABEL_CLASSIC, "always scrape classic histograms",
                      config->always_scrape_classic_histograms, &o->classic, err) &&
           check_bool(b, LABEL_NATIVE, "scrape native histograms", config->scrape_native_histograms,
                      &o->native, err);
}

enum target_built
target_build(struct target_setup *setup, struct target_group *group, size_t index,
             struct labels_builder *b, struct target **target, struct error *err)
{
    const struct scrape_config *config = setup->config;
    enum target_built built = TARGET_FAILED;
    struct overrides o;
    struct arena scratch;
    struct labels ls;

    arena_init(&scratch, SIZE_MAX);
    target_discovered(config, group, index, b, &scratch);
    if (!relabel_apply(config->relabel_configs.rules, config->relabel_configs.nr, b, &scratch)) {
        built = TARGET_DROPPED;
        goto out;
    }
    if (!check_target(config, b, &o, err))
        goto out;
    drop_meta(b);
    set_default(b, LABEL_INSTANCE, labels_builder_get(b, LABEL_ADDRESS));
    ls = labels_builder_view(b);
    if (!check_values(ls, err))
        goto out;
    *target = target_of(setup, group, index, ls);
    (*target)->interval_ms = o.interval_ms;
    (*target)->timeout_ms = o.timeout_ms;
    (*target)->nhcb = o.nhcb;
    (*target)->classic_histograms = o.classic;
    (*target)->native_histograms = o.native;
    built = (*target)->public.nr != 0 ? TARGET_BUILT : TARGET_DROPPED;
    if (built == TARGET_DROPPED)
        target_unref(*target, NULL);
out:
    arena_fini(&scratch);
    return built;
}
