#include "discovery/discovery_config.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/quote.h"
#include "discovery/sd_configs.h"

bool
sd_refuse(struct error *err, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set(err, ERR_INVALID, "%s", text);
}

bool
sd_refuse_quoted(struct error *err, const char *before, struct str value, const char *after)
{
    struct buf quoted = { 0 };

    quote_go(value, &quoted);
    error_set(err, ERR_INVALID, "%s%s%s", before, buf_z(&quoted), after);
    buf_fini(&quoted);
    return false;
}

bool
sd_check_http_url(struct conf *c, struct str text, struct error *err)
{
    struct conf_url url;

    if (text.n == 0)
        return sd_refuse(err, "URL is missing");
    conf_blame(c, "url");
    if (!conf_url_parse(text, &url, err))
        return false;
    bool http = url.scheme.n == 4 && strncasecmp(url.scheme.p, "http", 4) == 0;
    bool https = url.scheme.n == 5 && strncasecmp(url.scheme.p, "https", 5) == 0;
    if (!http && !https)
        return sd_refuse(err, "URL scheme must be 'http' or 'https'");
    if (url.host.n == 0)
        return sd_refuse(err, "host is missing in URL");
    conf_blame(c, NULL);
    return true;
}

#define S struct static_sd_config
static const struct conf_row static_rows[] = {
    KEEP("targets", CONF_STRS, targets, NULL),
    { .key = "labels",
      .type = CONF_MAP,
      .flags = CONF_OMITEMPTY | CONF_LABEL_NAME,
      .offset = offsetof(S, label_map) },
};
#undef S

struct labels
discovery_config_labels(struct conf_pool *pool, const struct conf_map *map)
{
    struct label *v = ARENA_NEW_ARRAY(conf_pool_arena(pool), struct label, map->nr);
    size_t nr = 0;

    for (size_t i = 0; i < map->nr; i++)
        if (map->items[i].value.n > 0)
            v[nr++] = (struct label){ map->items[i].name, map->items[i].value };
    return (struct labels){ v, nr };
}

static bool
static_check(struct conf *c, void *obj, struct error *err)
{
    struct static_sd_config *s = obj;

    (void)err;
    s->labels = discovery_config_labels(conf_pool_of(c), &s->label_map);
    return true;
}

static const struct conf_table static_table = {
    .type = "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet "
            "\"yaml:\\\"labels\\\"\" }",
    .bytes = sizeof(struct static_sd_config),
    CONF_ROWS(static_rows),
    .check = static_check,
};

#define S struct file_sd_config
static const struct conf_row file_rows[] = {
    KEEP("files", CONF_PATHS, files, NULL),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "5m"),
};
#undef S

/* [^*]*(\*[^/]*)?\.(json|yml|yaml), the ending all in one case. */
static bool
file_name_ok(struct str name)
{
    static const char *const endings[] = { ".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML" };

    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (str_ends(name, str_c(endings[i])))
            return str_find(name, '/', str_find(name, '*', 0)) == name.n;
    return false;
}

static bool
file_check(struct conf *c, void *obj, struct error *err)
{
    const struct file_sd_config *f = obj;

    if (f->files.nr == 0)
        return sd_refuse(err, "file service discovery config must contain at least one path name");
    conf_blame(c, "files");
    for (size_t i = 0; i < f->files.nr; i++)
        if (!file_name_ok(f->files.items[i]))
            return sd_refuse_quoted(err, "path name ", f->files.items[i],
                                    " is not valid for file discovery");
    return true;
}

static const struct conf_table file_table = {
    .type = "file.plain",
    .bytes = sizeof(struct file_sd_config),
    CONF_ROWS(file_rows),
    .check = file_check,
};

#define S struct http_sd_config
static const struct conf_row http_rows[] = {
    HTTP_ROW,
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("url", CONF_STR, url, NULL),
};
#undef S

static bool
http_check(struct conf *c, void *obj, struct error *err)
{
    struct http_sd_config *h = obj;

    return sd_check_http_url(c, h->url, err) && http_client_config_check(c, &h->http, err);
}

static const struct conf_table http_table = {
    .type = "http.plain",
    .bytes = sizeof(struct http_sd_config),
    CONF_ROWS(http_rows),
    .check = http_check,
};

#define SD(key_, field_, table_, flags_)                                         \
    {                                                                            \
        .key = (key_), .type = CONF_STRUCTS, .flags = CONF_OMITEMPTY | (flags_), \
        .offset = offsetof(struct discovery_config, field_), .table = &(table_), \
        .bad = "empty or null section in " key_                                  \
    }

static const struct conf_row rows[] = {
    SD("aws_sd_configs", aws, sd_aws_table, CONF_UNBUILT),
    SD("azure_sd_configs", azure, sd_azure_table, CONF_UNBUILT),
    SD("consul_sd_configs", consul, sd_consul_table, CONF_UNBUILT),
    SD("digitalocean_sd_configs", digitalocean, sd_digitalocean_table, CONF_UNBUILT),
    SD("dns_sd_configs", dns, sd_dns_table, CONF_UNBUILT),
    SD("docker_sd_configs", docker, sd_docker_table, CONF_UNBUILT),
    SD("dockerswarm_sd_configs", dockerswarm, sd_dockerswarm_table, CONF_UNBUILT),
    SD("ec2_sd_configs", ec2, sd_ec2_table, CONF_UNBUILT),
    SD("ecs_sd_configs", ecs, sd_ecs_table, CONF_UNBUILT),
    SD("elasticache_sd_configs", elasticache, sd_elasticache_table, CONF_UNBUILT),
    SD("eureka_sd_configs", eureka, sd_eureka_table, CONF_UNBUILT),
    SD("file_sd_configs", file, file_table, 0),
    SD("gce_sd_configs", gce, sd_gce_table, CONF_UNBUILT),
    SD("hetzner_sd_configs", hetzner, sd_hetzner_table, CONF_UNBUILT),
    SD("http_sd_configs", http, http_table, CONF_UNBUILT),
    SD("ionos_sd_configs", ionos, sd_ionos_table, CONF_UNBUILT),
    SD("kubernetes_sd_configs", kubernetes, sd_kubernetes_table, CONF_UNBUILT),
    SD("kuma_sd_configs", kuma, sd_kuma_table, CONF_UNBUILT),
    SD("lightsail_sd_configs", lightsail, sd_lightsail_table, CONF_UNBUILT),
    SD("linode_sd_configs", linode, sd_linode_table, CONF_UNBUILT),
    SD("marathon_sd_configs", marathon, sd_marathon_table, CONF_UNBUILT),
    SD("msk_sd_configs", msk, sd_msk_table, CONF_UNBUILT),
    SD("nerve_sd_configs", nerve, sd_nerve_table, CONF_UNBUILT),
    SD("nomad_sd_configs", nomad, sd_nomad_table, CONF_UNBUILT),
    SD("oci_sd_configs", oci, sd_oci_table, CONF_UNBUILT),
    SD("openstack_sd_configs", openstack, sd_openstack_table, CONF_UNBUILT),
    SD("outscale_sd_configs", outscale, sd_outscale_table, CONF_UNBUILT),
    SD("ovhcloud_sd_configs", ovhcloud, sd_ovhcloud_table, CONF_UNBUILT),
    SD("puppetdb_sd_configs", puppetdb, sd_puppetdb_table, CONF_UNBUILT),
    SD("rds_sd_configs", rds, sd_rds_table, CONF_UNBUILT),
    SD("scaleway_sd_configs", scaleway, sd_scaleway_table, CONF_UNBUILT),
    SD("serverset_sd_configs", serverset, sd_serverset_table, CONF_UNBUILT),
    SD("stackit_sd_configs", stackit, sd_stackit_table, CONF_UNBUILT),
    SD("static_configs", statics, static_table, 0),
    SD("triton_sd_configs", triton, sd_triton_table, CONF_UNBUILT),
    SD("uyuni_sd_configs", uyuni, sd_uyuni_table, CONF_UNBUILT),
    SD("vultr_sd_configs", vultr, sd_vultr_table, CONF_UNBUILT),
};

const struct conf_table discovery_config_table = {
    .type = "config.ScrapeConfig",
    .bytes = sizeof(struct discovery_config),
    CONF_ROWS(rows),
};

bool
discovery_config_check_targets(const struct discovery_config *d, struct error *err)
{
    for (size_t i = 0; i < d->statics.nr; i++) {
        const struct conf_strs *targets = &d->statics.items[i].targets;
        for (size_t k = 0; k < targets->nr; k++)
            if (str_find(targets->items[k], '/', 0) < targets->items[k].n)
                return sd_refuse_quoted(err, "", targets->items[k], " is not a valid hostname");
    }
    return true;
}
