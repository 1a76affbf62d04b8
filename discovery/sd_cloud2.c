/* The clouds, second half: OpenStack, Outscale, OVH, Scaleway, STACKIT, Triton. */
#include "discovery/sd_configs.h"

#define TABLE(name_, type_, struct_, rows_, check_) \
    const struct conf_table name_ = {               \
        .type = (type_),                            \
        .bytes = sizeof(struct_),                   \
        CONF_ROWS(rows_),                           \
        .check = (check_),                          \
    }

#define S struct openstack_sd_config
static const struct conf_row openstack_rows[] = {
    KEEP("identity_endpoint", CONF_STR, identity_endpoint, NULL),
    KEEP("username", CONF_STR, username, NULL),
    KEEP("userid", CONF_STR, userid, NULL),
    KEEP("password", CONF_SECRET, password, NULL),
    KEEP("project_name", CONF_STR, project_name, NULL),
    KEEP("project_id", CONF_STR, project_id, NULL),
    KEEP("domain_name", CONF_STR, domain_name, NULL),
    KEEP("domain_id", CONF_STR, domain_id, NULL),
    KEEP("application_credential_name", CONF_STR, application_credential_name, NULL),
    KEEP("application_credential_id", CONF_STR, application_credential_id, NULL),
    KEEP("application_credential_secret", CONF_SECRET, application_credential_secret, NULL),
    KEEP("role", CONF_STR, role, NULL),
    KEEP("region", CONF_STR, region, NULL),
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    OMIT("all_tenants", CONF_BOOL, all_tenants, NULL),
    TLS_ROW,
    OMIT("availability", CONF_STR, availability, "public"),
};
#undef S

static bool
openstack_check(struct conf *c, void *obj, struct error *err)
{
    const struct openstack_sd_config *o = obj;
    bool known = str_is(o->role, "hypervisor") || str_is(o->role, "instance") ||
                 str_is(o->role, "loadbalancer");

    if (o->role.n > 0 && !known) {
        conf_blame(c, "role");
        return sd_refuse_quoted(err, "unknown OpenStack SD role ", o->role, "");
    }
    if (!str_is(o->availability, "public") && !str_is(o->availability, "internal") &&
        !str_is(o->availability, "admin")) {
        conf_blame(c, "availability");
        return sd_refuse(err, "unknown availability %.*s, must be one of admin, internal or public",
                         STR_ARG(o->availability));
    }
    if (o->role.n == 0)
        return sd_refuse(err, "role missing (one of: instance, hypervisor, loadbalancer)");
    return o->region.n > 0 ? true : sd_refuse(err, "openstack SD configuration requires a region");
}
TABLE(sd_openstack_table, "openstack.plain", struct openstack_sd_config, openstack_rows,
      openstack_check);

#define S struct outscale_sd_config
static const struct conf_row outscale_rows[] = {
    OMIT("endpoint", CONF_STR, endpoint, NULL),
    KEEP("region", CONF_STR, region, "eu-west-2"),
    KEEP("access_key", CONF_STR, access_key, NULL),
    KEEP("secret_key", CONF_SECRET, secret_key, NULL),
    KEEP("secret_key_file", CONF_PATH, secret_key_file, NULL),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    HTTP_ROW,
};
#undef S

static bool
check_secret_key(struct secret key, struct str file, struct error *err)
{
    if (secret_empty(key) && file.n == 0)
        return sd_refuse(err, "one of secret_key & secret_key_file must be configured");
    if (!secret_empty(key) && file.n > 0)
        return sd_refuse(err, "at most one of secret_key & secret_key_file must be configured");
    return true;
}

static bool
outscale_check(struct conf *c, void *obj, struct error *err)
{
    struct outscale_sd_config *o = obj;

    if (o->region.n == 0)
        return sd_refuse(err, "outscale SD configuration requires a region");
    if (o->access_key.n == 0)
        return sd_refuse(err, "outscale SD configuration requires access_key");
    if (!check_secret_key(o->secret_key, o->secret_key_file, err))
        return false;
    if (o->endpoint.n == 0)
        o->endpoint = arena_printf(conf_pool_arena(conf_pool_of(c)),
                                   "https://api.%.*s.outscale.com/api/v1", STR_ARG(o->region));
    return http_client_config_check(c, &o->http, err);
}
TABLE(sd_outscale_table, "outscale.plain", struct outscale_sd_config, outscale_rows,
      outscale_check);

#define S struct ovhcloud_sd_config
static const struct conf_row ovhcloud_rows[] = {
    KEEP("endpoint", CONF_STR, endpoint, "ovh-eu"),
    KEEP("application_key", CONF_STR, application_key, NULL),
    KEEP("application_secret", CONF_SECRET, application_secret, NULL),
    KEEP("consumer_key", CONF_SECRET, consumer_key, NULL),
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("service", CONF_STR, service, NULL),
};
#undef S

static bool
ovhcloud_check(struct conf *c, void *obj, struct error *err)
{
    const struct ovhcloud_sd_config *o = obj;

    (void)c;
    if (o->endpoint.n == 0)
        return sd_refuse(err, "endpoint can not be empty");
    if (o->application_key.n == 0)
        return sd_refuse(err, "application key can not be empty");
    if (secret_empty(o->application_secret))
        return sd_refuse(err, "application secret can not be empty");
    if (secret_empty(o->consumer_key))
        return sd_refuse(err, "consumer key can not be empty");
    if (!str_is(o->service, "dedicated_server") && !str_is(o->service, "vps"))
        return sd_refuse(err, "unknown service: %.*s", STR_ARG(o->service));
    return true;
}
TABLE(sd_ovhcloud_table, "ovhcloud.plain", struct ovhcloud_sd_config, ovhcloud_rows,
      ovhcloud_check);

#define S struct scaleway_sd_config
static const struct conf_row scaleway_rows[] = {
    KEEP("project_id", CONF_STR, project_id, NULL),
    OMIT("api_url", CONF_STR, api_url, "https://api.scaleway.com"),
    KEEP("zone", CONF_STR, zone, "fr-par-1"),
    KEEP("access_key", CONF_STR, access_key, NULL),
    KEEP("secret_key", CONF_SECRET, secret_key, NULL),
    KEEP("secret_key_file", CONF_PATH, secret_key_file, NULL),
    OMIT("name_filter", CONF_STR, name_filter, NULL),
    OMIT("tags_filter", CONF_STRS, tags_filter, NULL),
    HTTP_ROW,
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    KEEP("role", CONF_STR, role, NULL),
};
#undef S

static bool
is_uuid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f') ||
                   (s.p[i] >= 'A' && s.p[i] <= 'F');
        if (dash ? s.p[i] != '-' : !hex)
            return false;
    }
    return s.n == 36;
}

/* SCW and 17 capitals or digits. */
static bool
is_access_key(struct str s)
{
    for (size_t i = 3; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'Z')))
            return false;
    return s.n == 20 && str_starts(s, STR("SCW"));
}

#define UUID_WANTED "expected a UUID: xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

/* What Scaleway's client refuses when it is made; the secret itself is not repeated. */
static bool
scaleway_check_forms(const struct scaleway_sd_config *s, struct error *err)
{
    struct str secret = secret_reveal(s->secret_key);

    if (!is_access_key(s->access_key))
        return sd_refuse(err,
                         "scaleway-sdk-go: invalid access key format '%.*s', expected "
                         "SCWXXXXXXXXXXXXXXXXX format",
                         STR_ARG(s->access_key));
    if (secret.n > 0 && !is_uuid(secret))
        return sd_refuse(err,
                         "scaleway-sdk-go: invalid secret key format '<secret>', " UUID_WANTED);
    if (!is_uuid(s->project_id))
        return sd_refuse(err, "scaleway-sdk-go: invalid project ID format '%.*s', " UUID_WANTED,
                         STR_ARG(s->project_id));
    return true;
}

static bool
scaleway_check(struct conf *c, void *obj, struct error *err)
{
    struct scaleway_sd_config *s = obj;

    if (s->role.n == 0)
        return sd_refuse(err, "role missing (one of: instance, baremetal)");
    if (!str_is(s->role, "instance") && !str_is(s->role, "baremetal")) {
        conf_blame(c, "role");
        return sd_refuse_quoted(err, "unknown role ", s->role, "");
    }
    if (s->project_id.n == 0)
        return sd_refuse(err, "project_id is mandatory");
    if (!check_secret_key(s->secret_key, s->secret_key_file, err))
        return false;
    if (s->access_key.n == 0)
        return sd_refuse(err, "access_key is mandatory");
    if (!scaleway_check_forms(s, err))
        return false;
    return http_client_config_check(c, &s->http, err);
}
TABLE(sd_scaleway_table, "scaleway.plain", struct scaleway_sd_config, scaleway_rows,
      scaleway_check);

#define S struct stackit_sd_config
static const struct conf_row stackit_rows[] = {
    HTTP_ROW,
    KEEP("project", CONF_STR, project, NULL),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    OMIT("port", CONF_INT, port, "80"),
    OMIT("region", CONF_STR, region, "eu01"),
    OMIT("endpoint", CONF_STR, endpoint, NULL),
    OMIT("service_account_key", CONF_SECRET, service_account_key, NULL),
    OMIT("private_key", CONF_SECRET, private_key, NULL),
    OMIT("service_account_key_path", CONF_STR, service_account_key_path, NULL),
    OMIT("private_key_path", CONF_STR, private_key_path, NULL),
    OMIT("credentials_file_path", CONF_STR, credentials_file_path, NULL),
};
#undef S

static bool
stackit_check(struct conf *c, void *obj, struct error *err)
{
    struct stackit_sd_config *s = obj;
    struct error why = { 0 };
    struct conf_url url;

    if (s->endpoint.n == 0 && s->region.n == 0)
        return sd_refuse(err, "stackit_sd: endpoint and region missing");
    if (!conf_url_parse(s->endpoint, &url, &why)) {
        struct buf after = { 0 };
        buf_printf(&after, ": %s", error_text(&why));
        conf_blame(c, "endpoint");
        error_ignored(
            sd_refuse_quoted(err, "stackit_sd: invalid endpoint ", s->endpoint, buf_z(&after)));
        buf_fini(&after);
        error_clear(&why);
        return false;
    }
    return http_client_config_check(c, &s->http, err);
}
TABLE(sd_stackit_table, "stackit.plain", struct stackit_sd_config, stackit_rows, stackit_check);

#define S struct triton_sd_config
static const struct conf_row triton_rows[] = {
    KEEP("account", CONF_STR, account, NULL),
    KEEP("role", CONF_STR, role, "container"),
    KEEP("dns_suffix", CONF_STR, dns_suffix, NULL),
    KEEP("endpoint", CONF_STR, endpoint, NULL),
    OMIT("groups", CONF_STRS, groups, NULL),
    KEEP("port", CONF_INT, port, "9163"),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    TLS_ROW,
    KEEP("version", CONF_INT, version, "1"),
};
#undef S

static bool
triton_check(struct conf *c, void *obj, struct error *err)
{
    const struct triton_sd_config *t = obj;

    (void)c;
    if (!str_is(t->role, "container") && !str_is(t->role, "cn"))
        return sd_refuse(err, "triton SD configuration requires role to be 'container' or 'cn'");
    if (t->account.n == 0)
        return sd_refuse(err, "triton SD configuration requires an account");
    if (t->dns_suffix.n == 0)
        return sd_refuse(err, "triton SD configuration requires a dns_suffix");
    if (t->endpoint.n == 0)
        return sd_refuse(err, "triton SD configuration requires an endpoint");
    if (t->refresh_interval_ms <= 0)
        return sd_refuse(
            err, "triton SD configuration requires RefreshInterval to be a positive integer");
    return true;
}
TABLE(sd_triton_table, "triton.plain", struct triton_sd_config, triton_rows, triton_check);
