#include "cmd/features.h"

#include <stdlib.h>

#include "promql/functions.h"
#include "rules/template.h"

struct list {
    struct arena *arena;
    struct http_feature *items;
    size_t nr, cap;
};

static void
add(struct list *l, const char *category, const char *name, bool on)
{
    ARENA_GROW(l->arena, l->items, l->nr, l->nr + 1, &l->cap);
    l->items[l->nr++] = (struct http_feature){ category, name, on };
}

/* Features that do not hang on a flag. */
static const struct http_feature fixed[] = {
    { "api", "exclude_alerts", true },
    { "api", "label_values_match", true },
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
    { "prometheus", "stringlabels", true },
    { "promql", "at_modifier", true },
    { "promql", "bool", true },
    { "promql", "by", true },
    { "promql", "duration_expr", true },
    { "promql", "group_left", true },
    { "promql", "group_right", true },
    { "promql", "ignoring", true },
    { "promql", "negative_offset", true },
    { "promql", "offset", true },
    { "promql", "on", true },
    { "promql", "per_query_lookback_delta", true },
    { "promql", "subqueries", true },
    { "promql", "without", true },
    { "promql_operators", "=~", true },
    { "promql_operators", "!~", true },
    { "promql_operators", "@", true },
    { "rules", "concurrent_rule_eval", false },
    { "rules", "keep_firing_for", true },
    { "rules", "query_offset", true },
    { "scrape", "extra_scrape_metrics", true },
    { "tsdb", "delayed_compaction", false },
    { "tsdb", "histograms_st_encoding", false },
    { "tsdb", "isolation", true },
    { "tsdb", "native_histograms", true },
    { "tsdb", "st_storage", false },
    { "tsdb", "use_uncached_io", false },
    { "tsdb", "xor2_encoding", true },
    { "ui", "ui_v2", false },
    { "ui", "ui_v3", true },
};

/* Mechanisms in discovery/ that run; the others are understood and refused. */
static const struct {
    const char *name;
    bool built;
} providers[] = {
    { "aws", false },          { "azure", false },      { "consul", false },
    { "digitalocean", false }, { "dns", false },        { "docker", false },
    { "dockerswarm", false },  { "ec2", false },        { "ecs", false },
    { "elasticache", false },  { "eureka", false },     { "file", true },
    { "gce", false },          { "hetzner", false },    { "http", true },
    { "ionos", false },        { "kubernetes", false }, { "kuma", false },
    { "lightsail", false },    { "linode", false },     { "marathon", false },
    { "msk", false },          { "nerve", false },      { "nomad", false },
    { "oci", false },          { "openstack", false },  { "outscale", false },
    { "ovhcloud", false },     { "puppetdb", false },   { "rds", false },
    { "scaleway", false },     { "serverset", false },  { "stackit", false },
    { "static", true },        { "triton", false },     { "uyuni", false },
    { "vultr", false },
};

static void
add_language(struct list *l, const struct feature_flags *f)
{
    for (size_t i = 0; i < FN_NR; i++)
        add(l, "promql_functions", promql_functions[i].name,
            !promql_functions[i].experimental || f->promql_experimental_functions);
    for (size_t i = 0; i < AGGR_NR; i++)
        add(l, "promql_operators", promql_aggregates[i].name,
            !promql_aggregates[i].experimental || f->promql_experimental_functions);
    for (size_t i = 0; i < OP_NR; i++)
        if (promql_operators[i].precedence != 0)
            add(l, "promql_operators", promql_operators[i].text, true);
    add(l, "promql", "anchored", f->promql_extended_range_selectors);
    add(l, "promql", "smoothed", f->promql_extended_range_selectors);
    add(l, "promql", "fill", f->promql_binop_fill_modifiers);
    add(l, "promql", "fill_left", f->promql_binop_fill_modifiers);
    add(l, "promql", "fill_right", f->promql_binop_fill_modifiers);
    add(l, "promql", "delayed_name_removal", f->promql_delayed_name_removal);
    add(l, "promql", "per_step_stats", f->promql_per_step_stats);
    add(l, "promql", "type_and_unit_labels", f->type_and_unit_labels);
}

static void
add_template_function(void *arg, const char *name)
{
    add(arg, "templating_functions", name, true);
}

static int
feature_cmp(const void *a, const void *b)
{
    const struct http_feature *x = a, *y = b;
    int c = strcmp(x->category, y->category);

    return c != 0 ? c : strcmp(x->name, y->name);
}

struct http_feature *
features_list(const struct flags *flags, struct arena *arena, size_t *nr)
{
    const struct feature_flags *f = &flags->feature;
    struct list l = { .arena = arena };

    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        add(&l, fixed[i].category, fixed[i].name, fixed[i].on);
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        add(&l, "service_discovery_providers", providers[i].name, providers[i].built);
    add_language(&l, f);
    template_functions_each(add_template_function, &l);
    add(&l, "api", "admin", flags->web_enable_admin_api);
    add(&l, "api", "lifecycle", flags->web_enable_lifecycle);
    add(&l, "scrape", "start_timestamp_zero_ingestion", f->created_timestamp_zero_ingestion);
    add(&l, "scrape", "type_and_unit_labels", f->type_and_unit_labels);
    add(&l, "tsdb", "exemplar_storage", f->exemplar_storage);
    qsort(l.items, l.nr, sizeof *l.items, feature_cmp);
    *nr = l.nr;
    return l.items;
}
