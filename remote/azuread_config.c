/* remote_write[].azuread: exactly one way to authenticate against Azure's directory. */
#include "remote/remote_config.h"

extern const struct conf_table azuread_config_table;

#define ROW(struct_, key_, type_, field_)                        \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct_, field_)                      \
    }

static const struct conf_row managed_rows[] = {
    ROW(struct azuread_identity, "client_id", CONF_STR, client_id),
};

static const struct conf_row workload_rows[] = {
    ROW(struct azuread_identity, "client_id", CONF_STR, client_id),
    ROW(struct azuread_identity, "tenant_id", CONF_STR, tenant_id),
    ROW(struct azuread_identity, "token_file_path", CONF_STR, token_file_path),
};

static const struct conf_row sdk_rows[] = {
    ROW(struct azuread_identity, "tenant_id", CONF_STR, tenant_id),
};

static const struct conf_row oauth_rows[] = {
    ROW(struct azuread_oauth, "client_id", CONF_STR, client_id),
    ROW(struct azuread_oauth, "client_secret", CONF_SECRET, client_secret),
    ROW(struct azuread_oauth, "tenant_id", CONF_STR, tenant_id),
};

static const struct conf_row certificate_rows[] = {
    ROW(struct azuread_certificate, "client_id", CONF_STR, client_id),
    ROW(struct azuread_certificate, "tenant_id", CONF_STR, tenant_id),
    ROW(struct azuread_certificate, "certificate_path", CONF_STR, certificate_path),
    ROW(struct azuread_certificate, "certificate_key_path", CONF_STR, certificate_key_path),
    ROW(struct azuread_certificate, "certificate_password", CONF_SECRET, certificate_password),
    ROW(struct azuread_certificate, "send_certificate_chain", CONF_BOOL, send_certificate_chain),
};

#define TABLE(type_, struct_, rows_)                                \
    {                                                               \
        .type = (type_), .bytes = sizeof(struct_), CONF_ROWS(rows_) \
    }

static const struct conf_table managed_table =
    TABLE("azuread.ManagedIdentityConfig", struct azuread_identity, managed_rows);
static const struct conf_table workload_table =
    TABLE("azuread.WorkloadIdentityConfig", struct azuread_identity, workload_rows);
static const struct conf_table sdk_table =
    TABLE("azuread.SDKConfig", struct azuread_identity, sdk_rows);
static const struct conf_table oauth_table =
    TABLE("azuread.OAuthConfig", struct azuread_oauth, oauth_rows);
static const struct conf_table certificate_table =
    TABLE("azuread.CertificateConfig", struct azuread_certificate, certificate_rows);

#define BLOCK(key_, field_, table_)                                           \
    {                                                                         \
        .key = (key_), .type = CONF_STRUCT_PTR, .flags = CONF_OMITEMPTY,      \
        .offset = offsetof(struct azuread_config, field_), .table = &(table_) \
    }

static const struct conf_row azuread_rows[] = {
    BLOCK("managed_identity", managed_identity, managed_table),
    BLOCK("workload_identity", workload_identity, workload_table),
    BLOCK("oauth", oauth, oauth_table),
    BLOCK("sdk", sdk, sdk_table),
    BLOCK("certificate", certificate, certificate_table),
    ROW(struct azuread_config, "cloud", CONF_STR, cloud),
    ROW(struct azuread_config, "scope", CONF_STR, scope),
};

static bool
refuse(struct error *err, const char *why)
{
    return error_set(err, ERR_INVALID, "%s", why);
}

static bool
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* 8-4-4-4-12 hex digits, also in braces, after urn:uuid:, or without dashes. */
static bool
is_uuid(struct str s)
{
    if (s.n == 45 && strncasecmp(s.p, "urn:uuid:", 9) == 0)
        s = str_skip(s, 9);
    if (s.n == 38)
        s = (struct str){ s.p + 1, 36 };
    if (s.n != 36 && s.n != 32)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool dash = s.n == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (dash ? s.p[i] != '-' : !is_hex(s.p[i]))
            return false;
    }
    return true;
}

static bool
workload_check(struct azuread_identity *w, struct error *err)
{
    if (w->client_id.n == 0)
        return refuse(err,
                      "must provide an Azure Workload Identity client_id in the Azure AD config");
    if (w->tenant_id.n == 0)
        return refuse(err,
                      "must provide an Azure Workload Identity tenant_id in the Azure AD config");
    if (!is_uuid(w->client_id))
        return refuse(err, "the provided Azure Workload Identity client_id is invalid");
    if (!is_uuid(w->tenant_id))
        return refuse(err, "the provided Azure Workload Identity tenant_id is invalid");
    if (w->token_file_path.n == 0)
        w->token_file_path = STR("/var/run/secrets/azure/tokens/azure-identity-token");
    return true;
}

static bool
oauth_check(const struct azuread_oauth *o, struct error *err)
{
    if (o->client_id.n == 0)
        return refuse(err, "must provide an Azure OAuth client_id in the Azure AD config");
    if (secret_empty(o->client_secret))
        return refuse(err, "must provide an Azure OAuth client_secret in the Azure AD config");
    if (o->tenant_id.n == 0)
        return refuse(err, "must provide an Azure OAuth tenant_id in the Azure AD config");
    return is_uuid(o->client_id) ? true
                                 : refuse(err, "the provided Azure OAuth client_id is invalid");
}

static bool
certificate_check(const struct azuread_certificate *c, struct error *err)
{
    if (c->client_id.n == 0)
        return refuse(err, "must provide an Azure Certificate client_id in the Azure AD config");
    if (c->tenant_id.n == 0)
        return refuse(err, "must provide an Azure Certificate tenant_id in the Azure AD config");
    if (c->certificate_path.n == 0)
        return refuse(err,
                      "must provide an Azure Certificate certificate_path in the Azure AD config");
    return is_uuid(c->client_id)
               ? true
               : refuse(err, "the provided Azure Certificate client_id is invalid");
}

static bool
scope_ok(struct str scope)
{
    for (size_t i = 0; i < scope.n; i++) {
        char c = scope.p[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!word && (c == '\0' || strchr("_ \t\n\r\f:/.-", c) == NULL))
            return false;
    }
    return true;
}

static bool
azuread_check(struct conf *conf, void *obj, struct error *err)
{
    struct azuread_config *a = obj;
    int ways = (a->managed_identity != NULL) + (a->workload_identity != NULL) + (a->oauth != NULL) +
               (a->sdk != NULL) + (a->certificate != NULL);

    (void)conf;
    if (a->cloud.n == 0)
        a->cloud = STR("AzurePublic");
    if (!str_is(a->cloud, "AzureChina") && !str_is(a->cloud, "AzureGovernment") &&
        !str_is(a->cloud, "AzurePublic"))
        return refuse(err, "must provide a cloud in the Azure AD config");
    if (ways == 0)
        return refuse(
            err,
            "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure "
            "Certificate or Azure SDK in the Azure AD config");
    if (ways > 1)
        return refuse(err, "cannot provide multiple authentication methods in the Azure AD config");
    if (a->managed_identity != NULL && a->managed_identity->client_id.n > 0 &&
        !is_uuid(a->managed_identity->client_id))
        return refuse(err, "the provided Azure Managed Identity client_id is invalid");
    if (a->workload_identity != NULL && !workload_check(a->workload_identity, err))
        return false;
    if (a->oauth != NULL && !oauth_check(a->oauth, err))
        return false;
    if (a->certificate != NULL && !certificate_check(a->certificate, err))
        return false;
    return scope_ok(a->scope) ? true
                              : refuse(err, "the provided scope contains invalid characters");
}

const struct conf_table azuread_config_table = {
    .type = "azuread.plain",
    .bytes = sizeof(struct azuread_config),
    CONF_ROWS(azuread_rows),
    .check = azuread_check,
};
