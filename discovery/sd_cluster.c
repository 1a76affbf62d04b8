/* Registries and schedulers: Consul, DNS, Docker, Eureka, Kuma, Marathon, Nomad, PuppetDB, Uyuni,
 * ZooKeeper. */
#include "discovery/sd_configs.h"

#include <strings.h>

#define TABLE(name_, type_, struct_, rows_, check_) \
    const struct conf_table name_ = {               \
        .type = (type_),                            \
        .bytes = sizeof(struct_),                   \
        CONF_ROWS(rows_),                           \
        .check = (check_),                          \
    }

#define S struct consul_sd_config
static const struct conf_row consul_rows[] = {
    OMIT("server", CONF_STR, server, "localhost:8500"),
    OMIT("path_prefix", CONF_STR, path_prefix, NULL),
    OMIT("token", CONF_SECRET, token, NULL),
    OMIT("datacenter", CONF_STR, datacenter, NULL),
    OMIT("namespace", CONF_STR, namespace, NULL),
    OMIT("partition", CONF_STR, partition, NULL),
    OMIT("tag_separator", CONF_STR, tag_separator, ","),
    OMIT("scheme", CONF_STR, scheme, "http"),
    OMIT("username", CONF_STR, username, NULL),
    OMIT("password", CONF_SECRET, password, NULL),
    KEEP("allow_stale", CONF_BOOL, allow_stale, "true"),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "30s"),
    OMIT("services", CONF_STRS, services, NULL),
    OMIT("tags", CONF_STRS, tags, NULL),
    OMIT("node_meta", CONF_MAP, node_meta, NULL),
    OMIT("filter", CONF_STR, filter, NULL),
    OMIT("health_filter", CONF_STR, health_filter, NULL),
    HTTP_ROW,
};
#undef S

/* username and password are the old way to say basic_auth. */
static bool
consul_fold(struct conf *c, struct consul_sd_config *s, struct error *err)
{
    if (s->username.n == 0 && secret_empty(s->password))
        return true;
    if (s->http.basic_auth != NULL)
        return sd_refuse(
            err,
            "at most one of consul SD configuration username and password and basic auth can be "
            "configured");
    s->http.basic_auth = ARENA_NEW(conf_pool_arena(conf_pool_of(c)), struct http_basic_auth);
    s->http.basic_auth->username = s->username;
    s->http.basic_auth->password = s->password;
    return true;
}

static bool
consul_check(struct conf *c, void *obj, struct error *err)
{
    struct consul_sd_config *s = obj;

    if (str_trim(s->server).n == 0)
        return sd_refuse(err, "consul SD configuration requires a server address");
    if (!consul_fold(c, s, err))
        return false;
    if (!secret_empty(s->token) && (s->http.authorization != NULL || s->http.oauth2 != NULL))
        return sd_refuse(
            err, "at most one of consul SD token, authorization, or oauth2 can be configured");
    return http_client_config_check(c, &s->http, err);
}
TABLE(sd_consul_table, "consul.plain", struct consul_sd_config, consul_rows, consul_check);

#define S struct dns_sd_config
static const struct conf_row dns_rows[] = {
    KEEP("names", CONF_STRS, names, NULL),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "30s"),
    KEEP("type", CONF_STR, type, "SRV"),
    KEEP("port", CONF_INT, port, NULL),
};
#undef S

static bool
dns_check(struct conf *c, void *obj, struct error *err)
{
    static const char *const types[] = { "SRV", "A", "AAAA", "MX", "NS" };
    const struct dns_sd_config *d = obj;

    if (d->names.nr == 0)
        return sd_refuse(err, "DNS-SD config must contain at least one SRV record name");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (d->type.n != strlen(types[i]) || strncasecmp(d->type.p, types[i], d->type.n) != 0)
            continue;
        if (i > 0 && d->port == 0)
            return sd_refuse(
                err, "a port is required in DNS-SD configs for all record types except SRV");
        return true;
    }
    conf_blame(c, "type");
    return sd_refuse(err, "invalid DNS-SD records type %.*s", STR_ARG(d->type));
}
TABLE(sd_dns_table, "dns.plain", struct dns_sd_config, dns_rows, dns_check);

#define S struct docker_sd_config
static const struct conf_row docker_rows[] = {
    HTTP_ROW,
    KEEP("host", CONF_STR, host, NULL),
    KEEP("port", CONF_INT, port, "80"),
    FILTERS_ROW(0),
    KEEP("host_networking_host", CONF_STR, host_networking_host, "localhost"),
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("match_first_network", CONF_BOOL, match_first_network, "true"),
};
#undef S

static bool
docker_check_host(struct conf *c, struct str host, struct error *err)
{
    struct conf_url url;

    if (host.n == 0)
        return sd_refuse(err, "host missing");
    conf_blame(c, "host");
    bool ok = conf_url_parse(host, &url, err);
    if (ok)
        conf_blame(c, NULL);
    return ok;
}

static bool
docker_check(struct conf *c, void *obj, struct error *err)
{
    struct docker_sd_config *d = obj;

    return docker_check_host(c, d->host, err) && http_client_config_check(c, &d->http, err);
}
TABLE(sd_docker_table, "moby.plain", struct docker_sd_config, docker_rows, docker_check);

#define S struct dockerswarm_sd_config
static const struct conf_row dockerswarm_rows[] = {
    HTTP_ROW,
    KEEP("host", CONF_STR, host, NULL),
    KEEP("role", CONF_STR, role, NULL),
    KEEP("port", CONF_INT, port, "80"),
    FILTERS_ROW(0),
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
};
#undef S

static bool
dockerswarm_check(struct conf *c, void *obj, struct error *err)
{
    struct dockerswarm_sd_config *d = obj;

    if (!docker_check_host(c, d->host, err))
        return false;
    if (d->role.n == 0)
        return sd_refuse(err, "role missing (one of: tasks, services, nodes)");
    if (!str_is(d->role, "services") && !str_is(d->role, "nodes") && !str_is(d->role, "tasks")) {
        conf_blame(c, "role");
        return sd_refuse(err, "invalid role %.*s, expected tasks, services, or nodes",
                         STR_ARG(d->role));
    }
    return http_client_config_check(c, &d->http, err);
}
TABLE(sd_dockerswarm_table, "moby.plain", struct dockerswarm_sd_config, dockerswarm_rows,
      dockerswarm_check);

#define S struct eureka_sd_config
static const struct conf_row eureka_rows[] = {
    OMIT("server", CONF_STR, server, NULL),
    HTTP_ROW,
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "30s"),
};
#undef S

static bool
eureka_check(struct conf *c, void *obj, struct error *err)
{
    struct eureka_sd_config *e = obj;
    struct conf_url url;

    if (e->server.n == 0)
        return sd_refuse(err, "eureka_sd: empty or null eureka server");
    conf_blame(c, "server");
    if (!conf_url_parse(e->server, &url, err))
        return false;
    if (url.scheme.n == 0 || url.host.n == 0)
        return sd_refuse(err, "eureka_sd: invalid eureka server URL");
    conf_blame(c, NULL);
    return http_client_config_check(c, &e->http, err);
}
TABLE(sd_eureka_table, "eureka.plain", struct eureka_sd_config, eureka_rows, eureka_check);

#define S struct kuma_sd_config
static const struct conf_row kuma_rows[] = {
    HTTP_ROW,
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "15s"),
    OMIT("fetch_timeout", CONF_DURATION, fetch_timeout_ms, "2m"),
    OMIT("server", CONF_STR, server, NULL),
    OMIT("client_id", CONF_STR, client_id, NULL),
};
#undef S

static bool
kuma_check(struct conf *c, void *obj, struct error *err)
{
    struct kuma_sd_config *k = obj;
    struct conf_url url;

    if (k->server.n == 0)
        return sd_refuse(err, "kuma SD server must not be empty: ");
    conf_blame(c, "server");
    if (!conf_url_parse(k->server, &url, err))
        return false;
    if (url.scheme.n == 0 || url.host.n == 0)
        return sd_refuse(err, "kuma SD server must not be empty and have a scheme: %.*s",
                         STR_ARG(k->server));
    conf_blame(c, NULL);
    return http_client_config_check(c, &k->http, err);
}
TABLE(sd_kuma_table, "xds.plainKumaConf", struct kuma_sd_config, kuma_rows, kuma_check);

#define S struct marathon_sd_config
static const struct conf_row marathon_rows[] = {
    OMIT("servers", CONF_STRS, servers, NULL),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "30s"),
    OMIT("auth_token", CONF_SECRET, auth_token, NULL),
    OMIT("auth_token_file", CONF_PATH, auth_token_file, NULL),
    HTTP_ROW,
};
#undef S

static bool
marathon_check_token(const struct marathon_sd_config *m, struct error *err)
{
    if (m->http.basic_auth != NULL)
        return sd_refuse(err, "marathon_sd: at most one of basic_auth, auth_token & "
                              "auth_token_file must be configured");
    if (!secret_empty(m->http.bearer_token) || m->http.bearer_token_file.n > 0)
        return sd_refuse(
            err, "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & "
                 "auth_token_file must be configured");
    if (m->http.authorization != NULL)
        return sd_refuse(
            err, "marathon_sd: at most one of auth_token, auth_token_file & authorization must be "
                 "configured");
    return true;
}

static bool
marathon_check(struct conf *c, void *obj, struct error *err)
{
    struct marathon_sd_config *m = obj;
    bool token = !secret_empty(m->auth_token), file = m->auth_token_file.n > 0;

    if (m->servers.nr == 0)
        return sd_refuse(err, "marathon_sd: must contain at least one Marathon server");
    if (token && file)
        return sd_refuse(
            err, "marathon_sd: at most one of auth_token & auth_token_file must be configured");
    if ((token || file) && !marathon_check_token(m, err))
        return false;
    return http_client_config_check(c, &m->http, err);
}
TABLE(sd_marathon_table, "marathon.plain", struct marathon_sd_config, marathon_rows,
      marathon_check);

#define S struct nomad_sd_config
static const struct conf_row nomad_rows[] = {
    KEEP("allow_stale", CONF_BOOL, allow_stale, "true"),
    HTTP_ROW,
    KEEP("namespace", CONF_STR, namespace, "default"),
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("region", CONF_STR, region, "global"),
    KEEP("server", CONF_STR, server, "http://localhost:4646"),
    OMIT("tag_separator", CONF_STR, tag_separator, ","),
};
#undef S

static bool
nomad_check(struct conf *c, void *obj, struct error *err)
{
    struct nomad_sd_config *n = obj;

    if (str_trim(n->server).n == 0)
        return sd_refuse(err, "nomad SD configuration requires a server address");
    return http_client_config_check(c, &n->http, err);
}
TABLE(sd_nomad_table, "nomad.plain", struct nomad_sd_config, nomad_rows, nomad_check);

#define S struct puppetdb_sd_config
static const struct conf_row puppetdb_rows[] = {
    HTTP_ROW,
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("url", CONF_STR, url, NULL),
    KEEP("query", CONF_STR, query, NULL),
    KEEP("include_parameters", CONF_BOOL, include_parameters, NULL),
    KEEP("port", CONF_INT, port, "80"),
};
#undef S

static bool
puppetdb_check(struct conf *c, void *obj, struct error *err)
{
    struct puppetdb_sd_config *p = obj;

    if (!sd_check_http_url(c, p->url, err))
        return false;
    if (p->query.n == 0)
        return sd_refuse(err, "query missing");
    return http_client_config_check(c, &p->http, err);
}
TABLE(sd_puppetdb_table, "puppetdb.plain", struct puppetdb_sd_config, puppetdb_rows,
      puppetdb_check);

#define S struct uyuni_sd_config
static const struct conf_row uyuni_rows[] = {
    KEEP("server", CONF_STR, server, NULL),
    KEEP("username", CONF_STR, username, NULL),
    KEEP("password", CONF_SECRET, password, NULL),
    HTTP_ROW,
    OMIT("entitlement", CONF_STR, entitlement, "monitoring_entitled"),
    OMIT("separator", CONF_STR, separator, ","),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
};
#undef S

static bool
uyuni_check(struct conf *c, void *obj, struct error *err)
{
    struct uyuni_sd_config *u = obj;
    struct conf_url url;

    if (u->server.n == 0)
        return sd_refuse(err, "Uyuni SD configuration requires server host");
    if (!conf_url_parse(u->server, &url, err))
        return error_wrap(err, "Uyuni Server URL is not valid");
    if (u->username.n == 0)
        return sd_refuse(err, "Uyuni SD configuration requires a username");
    if (secret_empty(u->password))
        return sd_refuse(err, "Uyuni SD configuration requires a password");
    return http_client_config_check(c, &u->http, err);
}
TABLE(sd_uyuni_table, "uyuni.plain", struct uyuni_sd_config, uyuni_rows, uyuni_check);

#define S struct zookeeper_sd_config
static const struct conf_row zookeeper_rows[] = {
    KEEP("servers", CONF_STRS, servers, NULL),
    KEEP("paths", CONF_STRS, paths, NULL),
    OMIT("timeout", CONF_DURATION, timeout_ms, "10s"),
};
#undef S

static bool
zookeeper_check(const struct zookeeper_sd_config *z, const char *name, struct error *err)
{
    if (z->servers.nr == 0)
        return sd_refuse(err, "%s SD config must contain at least one Zookeeper server", name);
    if (z->paths.nr == 0)
        return sd_refuse(err, "%s SD config must contain at least one path", name);
    for (size_t i = 0; i < z->paths.nr; i++)
        if (!str_starts(z->paths.items[i], STR("/")))
            return sd_refuse(err, "%s SD config paths must begin with '/': %.*s", name,
                             STR_ARG(z->paths.items[i]));
    return true;
}

static bool
serverset_check(struct conf *c, void *obj, struct error *err)
{
    (void)c;
    return zookeeper_check(obj, "serverset", err);
}
TABLE(sd_serverset_table, "zookeeper.plain", struct zookeeper_sd_config, zookeeper_rows,
      serverset_check);

static bool
nerve_check(struct conf *c, void *obj, struct error *err)
{
    (void)c;
    return zookeeper_check(obj, "nerve", err);
}
TABLE(sd_nerve_table, "zookeeper.plain", struct zookeeper_sd_config, zookeeper_rows, nerve_check);
