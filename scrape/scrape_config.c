#include "scrape/scrape_config.h"

#include <strings.h>

#include "base/mem.h"
#include "base/quote.h"

/* By enum scrape_protocol; the media types go into the Accept header. */
static const struct {
    const char *name, *media_type;
} protocols[SCRAPE_PROTOCOLS_NR] = {
    [SCRAPE_PROTO] = { "PrometheusProto",
                       "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                       "encoding=delimited" },
    [SCRAPE_OPENMETRICS_0] = { "OpenMetricsText0.0.1",
                               "application/openmetrics-text;version=0.0.1" },
    [SCRAPE_OPENMETRICS_1] = { "OpenMetricsText1.0.0",
                               "application/openmetrics-text;version=1.0.0" },
    [SCRAPE_TEXT_0] = { "PrometheusText0.0.4", "text/plain;version=0.0.4" },
    [SCRAPE_TEXT_1] = { "PrometheusText1.0.0", "text/plain;version=1.0.0" },
};

#define PROTOCOLS_SORTED                                                              \
    "[OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 " \
    "PrometheusText1.0.0]"

static const enum scrape_protocol proto_first[] = { SCRAPE_PROTO, SCRAPE_OPENMETRICS_1,
                                                    SCRAPE_OPENMETRICS_0, SCRAPE_TEXT_1,
                                                    SCRAPE_TEXT_0 };

static const char *const schemes[] = { "", "legacy", "utf8", NULL }; /* enum name_scheme */

static const char *const escapings[] = { "allow-utf-8", "underscores", "dots",
                                         "values" }; /* enum escaping_scheme */

const char *
scrape_protocol_name(enum scrape_protocol p)
{
    return protocols[p].name;
}

const char *
scrape_protocol_media_type(enum scrape_protocol p)
{
    return protocols[p].media_type;
}

#define G(key_, type_, field_)                                   \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct global_config, field_)         \
    }

static const struct conf_row global_rows[] = {
    G("scrape_interval", CONF_DURATION, scrape_interval_ms),
    G("scrape_timeout", CONF_DURATION, scrape_timeout_ms),
    G("scrape_protocols", CONF_STRS, scrape_protocols),
    G("evaluation_interval", CONF_DURATION, evaluation_interval_ms),
    G("rule_query_offset", CONF_DURATION, rule_query_offset_ms),
    G("query_log_file", CONF_PATH, query_log_file),
    G("scrape_failure_log_file", CONF_PATH, scrape_failure_log_file),
    G("external_labels", CONF_MAP, external_label_map),
    G("body_size_limit", CONF_BYTES, body_size_limit),
    G("sample_limit", CONF_UINT, sample_limit),
    G("target_limit", CONF_UINT, target_limit),
    G("label_limit", CONF_UINT, label_limit),
    G("label_name_length_limit", CONF_UINT, label_name_length_limit),
    G("label_value_length_limit", CONF_UINT, label_value_length_limit),
    G("keep_dropped_targets", CONF_UINT, keep_dropped_targets),
    { .key = "metric_name_validation_scheme",
      .type = CONF_ENUM,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct global_config, name_validation),
      .names = schemes,
      .bad = "unrecognized ValidationScheme: %q" },
    G("metric_name_escaping_scheme", CONF_STR, metric_name_escaping_scheme),
    G("scrape_native_histograms", CONF_TRI, scrape_native_histograms),
    G("convert_classic_histograms_to_nhcb", CONF_BOOL, convert_classic_histograms_to_nhcb),
    G("always_scrape_classic_histograms", CONF_BOOL, always_scrape_classic_histograms),
    G("extra_scrape_metrics", CONF_TRI, extra_scrape_metrics),
};

enum { DEFAULT_INTERVAL_MS = 60000, DEFAULT_TIMEOUT_MS = 10000 };

static bool
refuse_quoted(struct error *err, const char *before, struct str value, const char *after)
{
    struct buf quoted = { 0 };

    quote_go(value, &quoted);
    error_set(err, ERR_INVALID, "%s%s%s", before, buf_z(&quoted), after);
    buf_fini(&quoted);
    return false;
}

static bool
protocol_of(struct str name, enum scrape_protocol *p)
{
    for (int i = 0; i < SCRAPE_PROTOCOLS_NR; i++)
        if (str_is(name, protocols[i].name)) {
            *p = (enum scrape_protocol)i;
            return true;
        }
    return false;
}

static bool
protocols_twice(const struct conf_strs *names, struct error *err)
{
    struct buf shown = { 0 };

    for (size_t i = 0; i < names->nr; i++)
        buf_printf(&shown, "%s%.*s", i == 0 ? "" : " ", STR_ARG(names->items[i]));
    error_set(err, ERR_INVALID, "duplicated protocol in scrape_protocols, got [%s]", buf_z(&shown));
    buf_fini(&shown);
    return false;
}

static bool
protocols_check(const struct conf_strs *names, struct error *err)
{
    enum scrape_protocol ignored;

    if (names->nr == 0)
        return error_set(err, ERR_INVALID, "scrape_protocols cannot be empty");
    for (size_t i = 0; i < names->nr; i++) {
        struct str name = names->items[i];
        for (size_t k = 0; k < i; k++)
            if (names->items[k].n == name.n && strncasecmp(names->items[k].p, name.p, name.n) == 0)
                return protocols_twice(names, err);
        if (!protocol_of(name, &ignored))
            return error_set(err, ERR_INVALID,
                             "scrape_protocols: unknown scrape protocol %.*s, supported: %s",
                             STR_ARG(name), PROTOCOLS_SORTED);
    }
    return true;
}

static bool
global_check_labels(struct conf *c, struct global_config *g, struct error *err)
{
    bool legacy = g->name_validation == NAME_SCHEME_LEGACY;

    for (size_t i = 0; i < g->external_label_map.nr; i++) {
        const struct conf_pair *l = &g->external_label_map.items[i];
        conf_blame(c, "external_labels");
        if (legacy ? !label_name_legacy(l->name) : !label_name_valid(l->name))
            return refuse_quoted(err, "", l->name, " is not a valid label name");
        if (!str_utf8_valid(l->value))
            return refuse_quoted(err, "", l->value, " is not a valid label value");
    }
    conf_blame(c, NULL);
    return true;
}

static void
global_fill(struct global_config *g, const struct scrape_config_options *options)
{
    if (g->scrape_timeout_ms == 0)
        g->scrape_timeout_ms = MIN((int64_t)DEFAULT_TIMEOUT_MS, g->scrape_interval_ms);
    if (g->evaluation_interval_ms == 0)
        g->evaluation_interval_ms = DEFAULT_INTERVAL_MS;
    if (g->scrape_native_histograms == CONF_UNSET)
        g->scrape_native_histograms = CONF_NO;
    if (g->extra_scrape_metrics == CONF_UNSET)
        g->extra_scrape_metrics = options->extra_scrape_metrics ? CONF_YES : CONF_NO;
}

static void
protocols_fill(struct arena *arena, struct conf_strs *names, const enum scrape_protocol *list,
               size_t nr)
{
    names->items = ARENA_NEW_ARRAY(arena, struct str, nr);
    names->nr = nr;
    names->given = true;
    for (size_t i = 0; i < nr; i++)
        names->items[i] = str_c(protocols[list[i]].name);
}

/* The block was written, if only as {}: what it leaves out gets its default now. */
static bool
global_check(struct conf *c, void *obj, struct error *err)
{
    static const struct scrape_config_options plain;
    const struct scrape_config_options *options = conf_arg(c) != NULL ? conf_arg(c) : &plain;
    struct global_config *g = obj;

    if (g->name_validation == NAME_SCHEME_UNSET)
        g->name_validation = NAME_SCHEME_UTF8;
    if (!global_check_labels(c, g, err))
        return false;
    if (g->scrape_interval_ms == 0)
        g->scrape_interval_ms = DEFAULT_INTERVAL_MS;
    if (g->scrape_timeout_ms > g->scrape_interval_ms) {
        conf_blame(c, "scrape_timeout");
        return error_set(err, ERR_INVALID, "global scrape timeout greater than scrape interval");
    }
    global_fill(g, options);
    if (!g->scrape_protocols.given && options->proto_first)
        protocols_fill(conf_pool_arena(conf_pool_of(c)), &g->scrape_protocols, proto_first,
                       ARRAY_LEN(proto_first));
    if (g->scrape_protocols.given && !protocols_check(&g->scrape_protocols, err)) {
        conf_blame(c, "scrape_protocols");
        struct error why = { 0 };
        error_copy(&why, err);
        error_set(err, ERR_INVALID, "%s for global config", error_text(&why));
        error_clear(&why);
        return false;
    }
    return true;
}

const struct conf_table global_config_table = {
    .type = "config.plain",
    .bytes = sizeof(struct global_config),
    CONF_ROWS(global_rows),
    .check = global_check,
};

void
global_config_init(struct conf_pool *pool, struct global_config *g,
                   const struct scrape_config_options *options)
{
    *g = (struct global_config){
        .scrape_interval_ms = DEFAULT_INTERVAL_MS,
        .name_validation = NAME_SCHEME_UTF8,
        .metric_name_escaping_scheme = STR("allow-utf-8"),
    };
    global_fill(g, options);
    if (options->proto_first)
        protocols_fill(conf_pool_arena(pool), &g->scrape_protocols, proto_first,
                       ARRAY_LEN(proto_first));
}

#define J(key_, type_, flags_, field_, dflt_)                             \
    {                                                                     \
        .key = (key_), .type = (type_), .flags = (flags_),                \
        .offset = offsetof(struct scrape_config, field_), .dflt = (dflt_) \
    }

static const struct conf_row job_rows[] = {
    J("job_name", CONF_STR, 0, job_name, NULL),
    J("honor_labels", CONF_BOOL, CONF_OMITEMPTY, honor_labels, NULL),
    J("honor_timestamps", CONF_BOOL, 0, honor_timestamps, "true"),
    J("track_timestamps_staleness", CONF_BOOL, 0, track_timestamps_staleness, NULL),
    J("params", CONF_MULTIMAP, CONF_OMITEMPTY, params, NULL),
    J("scrape_interval", CONF_DURATION, CONF_OMITEMPTY, scrape_interval_ms, NULL),
    J("scrape_timeout", CONF_DURATION, CONF_OMITEMPTY, scrape_timeout_ms, NULL),
    J("scrape_protocols", CONF_STRS, CONF_OMITEMPTY, scrape_protocols, NULL),
    J("fallback_scrape_protocol", CONF_STR, CONF_OMITEMPTY, fallback_scrape_protocol, NULL),
    J("scrape_native_histograms", CONF_TRI, CONF_OMITEMPTY, scrape_native_histograms, NULL),
    J("always_scrape_classic_histograms", CONF_TRI, CONF_OMITEMPTY,
      always_scrape_classic_histograms, NULL),
    J("convert_classic_histograms_to_nhcb", CONF_TRI, CONF_OMITEMPTY,
      convert_classic_histograms_to_nhcb, NULL),
    J("scrape_failure_log_file", CONF_PATH, CONF_OMITEMPTY, scrape_failure_log_file, NULL),
    J("metrics_path", CONF_STR, CONF_OMITEMPTY, metrics_path, "/metrics"),
    J("scheme", CONF_STR, CONF_OMITEMPTY, scheme, "http"),
    J("enable_compression", CONF_BOOL, 0, enable_compression, "true"),
    J("body_size_limit", CONF_BYTES, CONF_OMITEMPTY, body_size_limit, NULL),
    J("sample_limit", CONF_UINT, CONF_OMITEMPTY, sample_limit, NULL),
    J("target_limit", CONF_UINT, CONF_OMITEMPTY, target_limit, NULL),
    J("label_limit", CONF_UINT, CONF_OMITEMPTY, label_limit, NULL),
    J("label_name_length_limit", CONF_UINT, CONF_OMITEMPTY, label_name_length_limit, NULL),
    J("label_value_length_limit", CONF_UINT, CONF_OMITEMPTY, label_value_length_limit, NULL),
    J("native_histogram_bucket_limit", CONF_UINT, CONF_OMITEMPTY, native_histogram_bucket_limit,
      NULL),
    J("native_histogram_min_bucket_factor", CONF_FLOAT, CONF_OMITEMPTY,
      native_histogram_min_bucket_factor, NULL),
    J("keep_dropped_targets", CONF_UINT, CONF_OMITEMPTY, keep_dropped_targets, NULL),
    { .key = "metric_name_validation_scheme",
      .type = CONF_ENUM,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct scrape_config, name_validation),
      .names = schemes,
      .bad = "unrecognized ValidationScheme: %q" },
    J("metric_name_escaping_scheme", CONF_STR, CONF_OMITEMPTY, metric_name_escaping_scheme, NULL),
    J("extra_scrape_metrics", CONF_TRI, CONF_OMITEMPTY, extra_scrape_metrics, NULL),
    { .type = CONF_INLINE,
      .offset = offsetof(struct scrape_config, http),
      .table = &http_client_config_table },
    RELABEL_ROW("relabel_configs", struct scrape_config, relabel_configs,
                "empty or null target relabeling rule in scrape config"),
    RELABEL_ROW("metric_relabel_configs", struct scrape_config, metric_relabel_configs,
                "empty or null metric relabeling rule in scrape config"),
    { .type = CONF_INLINE,
      .offset = offsetof(struct scrape_config, discovery),
      .table = &discovery_config_table },
};

static bool
job_check(struct conf *c, void *obj, struct error *err)
{
    struct scrape_config *job = obj;

    if (job->job_name.n == 0)
        return error_set(err, ERR_INVALID, "job_name is empty");
    if (!http_client_config_check(c, &job->http, err))
        return false;
    conf_blame(c, "static_configs");
    return job->relabel_configs.nr > 0 || discovery_config_check_targets(&job->discovery, err);
}

const struct conf_table scrape_config_table = {
    .type = "config.ScrapeConfig",
    .bytes = sizeof(struct scrape_config),
    CONF_ROWS(job_rows),
    .check = job_check,
    .line_at = CONF_LINE_AT(struct scrape_config, line),
};

static const struct conf_row file_rows[] = {
    { .key = "scrape_configs",
      .type = CONF_STRUCTS,
      .flags = CONF_OMITEMPTY,
      .offset = 0,
      .table = &scrape_config_table,
      .bad = "empty or null scrape config section" },
};

const struct conf_table scrape_config_file_table = {
    .type = "config.ScrapeConfigs",
    .bytes = sizeof(struct scrape_config_list),
    CONF_ROWS(file_rows),
};

static bool
job_refuse(const struct scrape_config *job, struct error *err, const char *why)
{
    struct buf said = { 0 };

    buf_printf(&said, "%s for scrape config with job name ", why);
    refuse_quoted(err, buf_z(&said), job->job_name, "");
    buf_fini(&said);
    return false;
}

static bool
job_times(struct scrape_config *job, const struct global_config *g, struct error *err)
{
    if (job->scrape_interval_ms == 0)
        job->scrape_interval_ms = g->scrape_interval_ms;
    if (job->scrape_timeout_ms > job->scrape_interval_ms)
        return job_refuse(job, err, "scrape timeout greater than scrape interval");
    if (job->scrape_timeout_ms == 0)
        job->scrape_timeout_ms = MIN(g->scrape_timeout_ms, job->scrape_interval_ms);
    return true;
}

static void
inherit_uint(uint64_t *v, uint64_t global)
{
    if (*v == 0)
        *v = global;
}

static void
inherit_tri(int *v, int global)
{
    if (*v == CONF_UNSET)
        *v = global;
}

static void
job_inherit(struct scrape_config *job, const struct global_config *g)
{
    if (job->body_size_limit == 0)
        job->body_size_limit = g->body_size_limit;
    inherit_uint(&job->sample_limit, g->sample_limit);
    inherit_uint(&job->target_limit, g->target_limit);
    inherit_uint(&job->label_limit, g->label_limit);
    inherit_uint(&job->label_name_length_limit, g->label_name_length_limit);
    inherit_uint(&job->label_value_length_limit, g->label_value_length_limit);
    inherit_uint(&job->keep_dropped_targets, g->keep_dropped_targets);
    if (job->scrape_failure_log_file.n == 0)
        job->scrape_failure_log_file = g->scrape_failure_log_file;
    inherit_tri(&job->scrape_native_histograms, g->scrape_native_histograms);
    inherit_tri(&job->extra_scrape_metrics, g->extra_scrape_metrics);
    inherit_tri(&job->convert_classic_histograms_to_nhcb,
                g->convert_classic_histograms_to_nhcb ? CONF_YES : CONF_NO);
    inherit_tri(&job->always_scrape_classic_histograms,
                g->always_scrape_classic_histograms ? CONF_YES : CONF_NO);
}

static bool
job_fallback(struct scrape_config *job, struct error *err)
{
    struct buf said = { 0 };

    job->fallback = SCRAPE_NO_PROTOCOL;
    if (job->fallback_scrape_protocol.n == 0 ||
        protocol_of(job->fallback_scrape_protocol, &job->fallback))
        return true;
    buf_printf(&said, ": unknown scrape protocol %.*s, supported: %s",
               STR_ARG(job->fallback_scrape_protocol), PROTOCOLS_SORTED);
    refuse_quoted(err, "invalid fallback_scrape_protocol for scrape config with job name ",
                  job->job_name, buf_z(&said));
    buf_fini(&said);
    return false;
}

static bool
job_protocols(struct conf_pool *pool, struct scrape_config *job, const struct global_config *g,
              struct error *err)
{
    bool native = job->scrape_native_histograms == CONF_YES;
    struct error why = { 0 };

    if (!job->scrape_protocols.given) {
        if (g->scrape_protocols.given)
            job->scrape_protocols = g->scrape_protocols;
        else
            protocols_fill(conf_pool_arena(pool), &job->scrape_protocols, proto_first + !native,
                           ARRAY_LEN(proto_first) - !native);
    }
    if (!protocols_check(&job->scrape_protocols, &why)) {
        job_refuse(job, err, error_text(&why));
        error_clear(&why);
        return false;
    }
    job->protocols_nr = job->scrape_protocols.nr;
    for (size_t i = 0; i < job->protocols_nr; i++)
        if (!protocol_of(job->scrape_protocols.items[i], &job->protocols[i]))
            return false;
    return job_fallback(job, err);
}

static int
escaping_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(escapings); i++)
        if (str_is(name, escapings[i]))
            return (int)i;
    return -1;
}

#define ESCAPINGS_SHOWN "must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got "

static struct str
default_escaping(int scheme)
{
    return scheme == NAME_SCHEME_LEGACY ? STR("underscores") : STR("allow-utf-8");
}

/* A job that only asks for legacy names must not inherit the global wish for UTF-8. */
static bool
job_names(struct scrape_config *job, const struct global_config *g, struct error *err)
{
    struct str global = g->metric_name_escaping_scheme;
    bool local = job->name_validation != NAME_SCHEME_UNSET;

    if (!local)
        job->name_validation = g->name_validation;
    if (global.n == 0)
        global = default_escaping(g->name_validation);
    if (escaping_of(global) < 0)
        return refuse_quoted(err, "unknown global name escaping method specified, " ESCAPINGS_SHOWN,
                             global, "");
    if (job->metric_name_escaping_scheme.n == 0)
        job->metric_name_escaping_scheme = local ? default_escaping(job->name_validation) : global;
    int escaping = escaping_of(job->metric_name_escaping_scheme);
    if (escaping < 0)
        return refuse_quoted(
            err, "unknown scrape config name escaping method specified, " ESCAPINGS_SHOWN,
            job->metric_name_escaping_scheme, "");
    if (escaping == ESCAPE_ALLOW_UTF8 && job->name_validation != NAME_SCHEME_UTF8)
        return error_set(err, ERR_INVALID,
                         "utf8 metric names requested but validation scheme is not set to UTF8");
    job->escaping = (enum escaping_scheme)escaping;
    return true;
}

bool
scrape_config_complete(struct conf_pool *pool, struct scrape_config *job,
                       const struct global_config *global, struct error *err)
{
    bool ok = job_times(job, global, err);

    if (ok)
        job_inherit(job, global);
    ok = ok && job_protocols(pool, job, global, err) && job_names(job, global, err);
    if (!ok)
        return error_wrap(err, "line %u", job->line);
    return relabel_list_check(pool, &job->relabel_configs, job->name_validation, err) &&
           relabel_list_check(pool, &job->metric_relabel_configs, job->name_validation, err);
}
