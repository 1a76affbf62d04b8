/* /api/v1/features: what this server can do, in Prometheus's categories. The language comes from
 * its own tables; the rest are the rows below, each overridden by what deps.features says. A
 * feature that is not built says false, whatever Prometheus says. */
#include "http/http_priv.h"
#include "promql/functions.h"

static const struct http_feature rows[] = {
    { "api", "admin", false },
    { "api", "exclude_alerts", true },
    { "api", "label_values_match", true },
    { "api", "lifecycle", false },
    { "api", "openapi_3.1", false },
    { "api", "openapi_3.2", false },
    { "api", "otlp_write_receiver", false },
    { "api", "query_stats", true },
    { "api", "query_warnings", true },
    { "api", "remote_write_receiver", false },
    { "api", "search", false },
    { "api", "search_fuzz_alg_jarowinkler", false },
    { "api", "search_fuzz_alg_subsequence", false },
    { "api", "time_range_labels", true },
    { "api", "time_range_series", true },
    { "otlp_receiver", "delta_conversion", false },
    { "otlp_receiver", "native_delta_ingestion", false },
    { "prometheus", "agent_mode", false },
    { "prometheus", "auto_reload_config", false },
    { "prometheus", "server_mode", true },
    { "prometheus", "stringlabels", false },
    { "promql", "anchored", false },
    { "promql", "at_modifier", true },
    { "promql", "bool", true },
    { "promql", "by", true },
    { "promql", "delayed_name_removal", false },
    { "promql", "duration_expr", true },
    { "promql", "fill", false },
    { "promql", "fill_left", false },
    { "promql", "fill_right", false },
    { "promql", "group_left", true },
    { "promql", "group_right", true },
    { "promql", "ignoring", true },
    { "promql", "negative_offset", true },
    { "promql", "offset", true },
    { "promql", "on", true },
    { "promql", "per_query_lookback_delta", true },
    { "promql", "per_step_stats", false },
    { "promql", "smoothed", false },
    { "promql", "subqueries", true },
    { "promql", "type_and_unit_labels", false },
    { "promql", "without", true },
    { "rules", "concurrent_rule_eval", false },
    { "rules", "keep_firing_for", true },
    { "rules", "query_offset", true },
    { "scrape", "extra_scrape_metrics", true },
    { "scrape", "start_timestamp_zero_ingestion", false },
    { "scrape", "type_and_unit_labels", false },
    { "service_discovery_providers", "aws", false },
    { "service_discovery_providers", "azure", false },
    { "service_discovery_providers", "consul", false },
    { "service_discovery_providers", "digitalocean", false },
    { "service_discovery_providers", "dns", false },
    { "service_discovery_providers", "docker", false },
    { "service_discovery_providers", "dockerswarm", false },
    { "service_discovery_providers", "ec2", false },
    { "service_discovery_providers", "ecs", false },
    { "service_discovery_providers", "elasticache", false },
    { "service_discovery_providers", "eureka", false },
    { "service_discovery_providers", "file", true },
    { "service_discovery_providers", "gce", false },
    { "service_discovery_providers", "hetzner", false },
    { "service_discovery_providers", "http", true },
    { "service_discovery_providers", "ionos", false },
    { "service_discovery_providers", "kubernetes", false },
    { "service_discovery_providers", "kuma", false },
    { "service_discovery_providers", "lightsail", false },
    { "service_discovery_providers", "linode", false },
    { "service_discovery_providers", "marathon", false },
    { "service_discovery_providers", "msk", false },
    { "service_discovery_providers", "nerve", false },
    { "service_discovery_providers", "nomad", false },
    { "service_discovery_providers", "oci", false },
    { "service_discovery_providers", "openstack", false },
    { "service_discovery_providers", "outscale", false },
    { "service_discovery_providers", "ovhcloud", false },
    { "service_discovery_providers", "puppetdb", false },
    { "service_discovery_providers", "rds", false },
    { "service_discovery_providers", "scaleway", false },
    { "service_discovery_providers", "serverset", false },
    { "service_discovery_providers", "stackit", false },
    { "service_discovery_providers", "static", true },
    { "service_discovery_providers", "triton", false },
    { "service_discovery_providers", "uyuni", false },
    { "service_discovery_providers", "vultr", false },
    { "templating_functions", "args", true },
    { "templating_functions", "externalURL", true },
    { "templating_functions", "first", true },
    { "templating_functions", "graphLink", true },
    { "templating_functions", "humanize", true },
    { "templating_functions", "humanize1024", true },
    { "templating_functions", "humanizeDuration", true },
    { "templating_functions", "humanizePercentage", true },
    { "templating_functions", "humanizeTimestamp", true },
    { "templating_functions", "label", true },
    { "templating_functions", "match", true },
    { "templating_functions", "now", true },
    { "templating_functions", "parseDuration", true },
    { "templating_functions", "pathPrefix", true },
    { "templating_functions", "query", true },
    { "templating_functions", "reReplaceAll", true },
    { "templating_functions", "safeHtml", true },
    { "templating_functions", "sortByLabel", true },
    { "templating_functions", "stripDomain", true },
    { "templating_functions", "stripPort", true },
    { "templating_functions", "strvalue", true },
    { "templating_functions", "tableLink", true },
    { "templating_functions", "title", true },
    { "templating_functions", "toDuration", true },
    { "templating_functions", "toLower", true },
    { "templating_functions", "toTime", true },
    { "templating_functions", "toUpper", true },
    { "templating_functions", "urlQueryEscape", true },
    { "templating_functions", "value", true },
    { "tsdb", "delayed_compaction", false },
    { "tsdb", "exemplar_storage", false },
    { "tsdb", "histograms_st_encoding", false },
    { "tsdb", "isolation", true },
    { "tsdb", "native_histograms", true },
    { "tsdb", "st_storage", false },
    { "tsdb", "use_uncached_io", false },
    { "tsdb", "xor2_encoding", true },
    { "ui", "ui_v2", false },
    { "ui", "ui_v3", true },
};

/* What stands in expressions beside functions and the operators' table. */
static const char *const matchers[] = { "=~", "!~", "@" };

static const struct http_feature *
given(const struct http_deps *d, const char *category, const char *name)
{
    for (size_t i = 0; i < d->features_nr; i++)
        if (strcmp(d->features[i].category, category) == 0 &&
            strcmp(d->features[i].name, name) == 0)
            return &d->features[i];
    return NULL;
}

/* From settings that http knows itself. */
static bool
setting(const struct http_deps *d, const char *name, bool dflt)
{
    const struct {
        const char *name;
        bool on;
    } known[] = {
        { "admin", d->enable_admin },
        { "lifecycle", d->enable_lifecycle },
        { "agent_mode", d->agent },
        { "server_mode", !d->agent },
        { "anchored", d->parse.extended_ranges },
        { "smoothed", d->parse.extended_ranges },
        { "fill", d->parse.fill_modifiers },
        { "fill_left", d->parse.fill_modifiers },
        { "fill_right", d->parse.fill_modifiers },
        { "duration_expr", d->parse.duration_expressions },
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].on;
    return dflt;
}

static void
put(struct call *c, const char *category, const char *name, bool on)
{
    const struct http_feature *f = given(&c->h->deps, category, name);

    json_key_str(&c->j, str_c(name));
    json_bool(&c->j, f != NULL ? f->on : on);
}

static void
put_functions(struct call *c)
{
    bool experimental = c->h->deps.parse.experimental_functions;

    json_key(&c->j, "promql_functions");
    json_open(&c->j, '{');
    for (size_t i = 0; i < FN_NR; i++)
        put(c, "promql_functions", promql_functions[i].name,
            experimental || !promql_functions[i].experimental);
    json_close(&c->j, '}');
}

static void
put_operators(struct call *c)
{
    bool experimental = c->h->deps.parse.experimental_functions;

    json_key(&c->j, "promql_operators");
    json_open(&c->j, '{');
    for (size_t i = 0; i < OP_NR; i++)
        if (promql_operators[i].kind != OPERATOR_DURATION)
            put(c, "promql_operators", promql_operators[i].text, true);
    for (size_t i = 0; i < AGGR_NR; i++)
        put(c, "promql_operators", promql_aggregates[i].name,
            experimental || !promql_aggregates[i].experimental);
    for (size_t i = 0; i < ARRAY_LEN(matchers); i++)
        put(c, "promql_operators", matchers[i], true);
    json_close(&c->j, '}');
}

bool
api_features(struct call *c, struct error *err)
{
    const char *category = "";

    (void)err;
    json_open(&c->j, '{');
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].category, category) != 0) {
            if (i > 0)
                json_close(&c->j, '}');
            category = rows[i].category;
            json_key_str(&c->j, str_c(category));
            json_open(&c->j, '{');
        }
        put(c, category, rows[i].name, setting(&c->h->deps, rows[i].name, rows[i].on));
    }
    json_close(&c->j, '}');
    put_functions(c);
    put_operators(c);
    json_close(&c->j, '}');
    return true;
}
