/* The clouds: Azure, DigitalOcean, Google, Hetzner, IONOS, Linode, Oracle, Vultr. More of them in
 * sd_cloud2.c. */
#include "discovery/sd_configs.h"

#define TABLE(name_, type_, struct_, rows_, check_) \
    const struct conf_table name_ = {               \
        .type = (type_),                            \
        .bytes = sizeof(struct_),                   \
        CONF_ROWS(rows_),                           \
        .check = (check_),                          \
    }

#define S struct azure_sd_config
static const struct conf_row azure_rows[] = {
    OMIT("environment", CONF_STR, environment, "AzurePublicCloud"),
    KEEP("port", CONF_INT, port, "80"),
    KEEP("subscription_id", CONF_STR, subscription_id, NULL),
    OMIT("tenant_id", CONF_STR, tenant_id, NULL),
    OMIT("client_id", CONF_STR, client_id, NULL),
    OMIT("client_secret", CONF_SECRET, client_secret, NULL),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "5m"),
    OMIT("authentication_method", CONF_STR, authentication_method, "OAuth"),
    OMIT("resource_group", CONF_STR, resource_group, NULL),
    HTTP_ROW,
};
#undef S

static bool
azure_check(struct conf *c, void *obj, struct error *err)
{
    struct azure_sd_config *a = obj;
    bool oauth = str_is(a->authentication_method, "OAuth");
    const char *missing = a->subscription_id.n == 0                 ? "subscription_id"
                          : oauth && a->tenant_id.n == 0            ? "tenant_id"
                          : oauth && a->client_id.n == 0            ? "client_id"
                          : oauth && secret_empty(a->client_secret) ? "client_secret"
                                                                    : NULL;

    if (missing != NULL)
        return sd_refuse(err, "azure SD configuration requires a %s", missing);
    if (!oauth && !str_is(a->authentication_method, "ManagedIdentity") &&
        !str_is(a->authentication_method, "SDK") &&
        !str_is(a->authentication_method, "WorkloadIdentity")) {
        conf_blame(c, "authentication_method");
        return sd_refuse_quoted(err, "unknown authentication_type ", a->authentication_method,
                                ". Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or "
                                "\"WorkloadIdentity\"");
    }
    return http_client_config_check(c, &a->http, err);
}
TABLE(sd_azure_table, "azure.plain", struct azure_sd_config, azure_rows, azure_check);

#define S struct digitalocean_sd_config
static const struct conf_row digitalocean_rows[] = {
    HTTP_ROW,
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    KEEP("role", CONF_STR, role, "droplets"),
    KEEP("httpclient", CONF_ANY, httpclient, NULL),
};
#undef S

static bool
digitalocean_check(struct conf *c, void *obj, struct error *err)
{
    struct digitalocean_sd_config *d = obj;

    if (d->role.n == 0)
        return sd_refuse(err, "role missing (one of: droplets, databases)");
    if (!str_is(d->role, "droplets") && !str_is(d->role, "databases"))
        return sd_refuse_quoted(err, "unknown DigitalOcean SD role ", d->role, "");
    return http_client_config_check(c, &d->http, err);
}
TABLE(sd_digitalocean_table, "digitalocean.plain", struct digitalocean_sd_config, digitalocean_rows,
      digitalocean_check);

#define S struct gce_sd_config
static const struct conf_row gce_rows[] = {
    KEEP("project", CONF_STR, project, NULL),
    KEEP("zone", CONF_STR, zone, NULL),
    OMIT("filter", CONF_STR, filter, NULL),
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    OMIT("tag_separator", CONF_STR, tag_separator, ","),
};
#undef S

static bool
gce_check(struct conf *c, void *obj, struct error *err)
{
    const struct gce_sd_config *g = obj;

    (void)c;
    if (g->project.n == 0)
        return sd_refuse(err, "GCE SD configuration requires a project");
    return g->zone.n > 0 ? true : sd_refuse(err, "GCE SD configuration requires a zone");
}
TABLE(sd_gce_table, "gce.plain", struct gce_sd_config, gce_rows, gce_check);

#define S struct hetzner_sd_config
static const struct conf_row hetzner_rows[] = {
    HTTP_ROW,
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    KEEP("role", CONF_STR, role, NULL),
    OMIT("label_selector", CONF_STR, label_selector, NULL),
};
#undef S

static bool
hetzner_check(struct conf *c, void *obj, struct error *err)
{
    struct hetzner_sd_config *h = obj;

    if (h->role.n == 0)
        return sd_refuse(err, "role missing (one of: robot, hcloud)");
    if (!str_is(h->role, "robot") && !str_is(h->role, "hcloud")) {
        conf_blame(c, "role");
        return sd_refuse_quoted(err, "unknown role ", h->role, "");
    }
    return http_client_config_check(c, &h->http, err);
}
TABLE(sd_hetzner_table, "hetzner.plain", struct hetzner_sd_config, hetzner_rows, hetzner_check);

#define S struct ionos_sd_config
static const struct conf_row ionos_rows[] = {
    KEEP("datacenter_id", CONF_STR, datacenter_id, NULL),
    HTTP_ROW,
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
};
#undef S

static bool
ionos_check(struct conf *c, void *obj, struct error *err)
{
    struct ionos_sd_config *i = obj;

    if (i->datacenter_id.n == 0)
        return sd_refuse(err, "datacenter id can't be empty");
    return http_client_config_check(c, &i->http, err);
}
TABLE(sd_ionos_table, "ionos.plain", struct ionos_sd_config, ionos_rows, ionos_check);

#define S struct linode_sd_config
static const struct conf_row linode_rows[] = {
    HTTP_ROW,
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    OMIT("tag_separator", CONF_STR, tag_separator, ","),
    OMIT("region", CONF_STR, region, NULL),
};
#undef S

static bool
linode_check(struct conf *c, void *obj, struct error *err)
{
    return http_client_config_check(c, &((struct linode_sd_config *)obj)->http, err);
}
TABLE(sd_linode_table, "linode.plain", struct linode_sd_config, linode_rows, linode_check);

#define S struct vultr_sd_config
static const struct conf_row vultr_rows[] = {
    HTTP_ROW,
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
};
#undef S

static bool
vultr_check(struct conf *c, void *obj, struct error *err)
{
    return http_client_config_check(c, &((struct vultr_sd_config *)obj)->http, err);
}
TABLE(sd_vultr_table, "vultr.plain", struct vultr_sd_config, vultr_rows, vultr_check);

#define S struct oci_sd_config
static const struct conf_row oci_rows[] = {
    OMIT("auth", CONF_STR, auth, "api_key"),
    OMIT("tenancy", CONF_STR, tenancy, NULL),
    OMIT("user", CONF_STR, user, NULL),
    OMIT("fingerprint", CONF_STR, fingerprint, NULL),
    OMIT("key_file", CONF_PATH, key_file, NULL),
    OMIT("key_passphrase", CONF_SECRET, key_passphrase, NULL),
    OMIT("key_passphrase_file", CONF_PATH, key_passphrase_file, NULL),
    KEEP("region", CONF_STR, region, NULL),
    OMIT("compartments", CONF_STRS, compartments, NULL),
    HTTP_ROW,
    KEEP("port", CONF_INT, port, "80"),
    KEEP("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
};
#undef S

static bool
oci_check_key(const struct oci_sd_config *o, struct error *err)
{
    const char *missing = o->tenancy.n == 0       ? "tenancy"
                          : o->user.n == 0        ? "user"
                          : o->fingerprint.n == 0 ? "fingerprint"
                          : o->key_file.n == 0    ? "key_file"
                                                  : NULL;

    if (missing != NULL)
        return sd_refuse(err, "oci_sd: api_key auth requires %s", missing);
    if (!secret_empty(o->key_passphrase) && o->key_passphrase_file.n > 0)
        return sd_refuse(
            err,
            "oci_sd: at most one of key_passphrase and key_passphrase_file must be configured");
    return true;
}

static bool
oci_check_auth(const struct oci_sd_config *o, struct error *err)
{
    size_t given =
        o->tenancy.n + o->user.n + o->fingerprint.n + o->key_file.n + o->key_passphrase_file.n;

    if (str_is(o->auth, "api_key"))
        return oci_check_key(o, err);
    if (!str_is(o->auth, "instance_principal"))
        return sd_refuse_quoted(err, "oci_sd: unknown auth method ", o->auth,
                                ", expected \"api_key\" or \"instance_principal\"");
    if (given > 0 || !secret_empty(o->key_passphrase))
        return sd_refuse(
            err,
            "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, "
            "key_passphrase, or key_passphrase_file set");
    return true;
}

static bool
oci_check(struct conf *c, void *obj, struct error *err)
{
    struct oci_sd_config *o = obj;

    if (o->region.n == 0)
        return sd_refuse(err, "oci_sd: region is required");
    if (!oci_check_auth(o, err))
        return false;
    for (size_t i = 0; i < o->compartments.nr; i++)
        if (o->compartments.items[i].n == 0)
            return sd_refuse(err, "oci_sd: compartments[%zu] must not be empty", i);
    if (o->refresh_interval_ms <= 0)
        return sd_refuse(err, "oci_sd: refresh_interval must be positive, got 0s");
    return http_client_config_check(c, &o->http, err);
}
TABLE(sd_oci_table, "oci.plain", struct oci_sd_config, oci_rows, oci_check);
