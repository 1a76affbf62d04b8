#include "rules/rules_config.h"

#define V4(key_, type_, field_)                                  \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct sigv4_config, field_)          \
    }

static const struct conf_row sigv4_rows[] = {
    V4("region", CONF_STR, region),
    V4("access_key", CONF_STR, access_key),
    V4("secret_key", CONF_SECRET, secret_key),
    V4("profile", CONF_STR, profile),
    V4("role_arn", CONF_STR, role_arn),
    V4("external_id", CONF_STR, external_id),
    V4("use_fips_sts_endpoint", CONF_BOOL, use_fips_sts_endpoint),
    V4("service_name", CONF_STR, service_name),
};

static bool
sigv4_check(struct conf *c, void *obj, struct error *err)
{
    const struct sigv4_config *s = obj;

    (void)c;
    if ((s->access_key.n == 0) != secret_empty(s->secret_key))
        return error_set(err, ERR_INVALID,
                         "must provide a AWS SigV4 Access key and Secret Key if credentials are "
                         "specified in the "
                         "SigV4 config");
    if (s->external_id.n > 0 && s->role_arn.n == 0)
        return error_set(err, ERR_INVALID, "external_id can only be used with role_arn");
    return true;
}

const struct conf_table sigv4_config_table = {
    .type = "sigv4.plain",
    .bytes = sizeof(struct sigv4_config),
    CONF_ROWS(sigv4_rows),
    .check = sigv4_check,
};

static bool
api_version_check(struct conf *c, void *value, struct error *err)
{
    struct str version = *(struct str *)value;

    (void)c;
    if (str_is(version, "v2"))
        return true;
    return error_set(err, ERR_INVALID,
                     "expected Alertmanager api version to be one of [v2] but got %.*s",
                     STR_ARG(version));
}

#define AM(field_) .offset = offsetof(struct alertmanager_config, field_)

static const struct conf_row alertmanager_rows[] = {
    { .type = CONF_INLINE, AM(http), .table = &http_client_config_table },
    { .key = "sigv4",
      .type = CONF_STRUCT_PTR,
      .flags = CONF_OMITEMPTY | CONF_UNBUILT,
      AM(sigv4),
      .table = &sigv4_config_table },
    { .key = "scheme", .type = CONF_STR, .flags = CONF_OMITEMPTY, AM(scheme), .dflt = "http" },
    { .key = "path_prefix", .type = CONF_STR, .flags = CONF_OMITEMPTY, AM(path_prefix) },
    { .key = "timeout",
      .type = CONF_DURATION,
      .flags = CONF_OMITEMPTY,
      AM(timeout_ms),
      .dflt = "10s" },
    { .key = "api_version",
      .type = CONF_STR,
      AM(api_version),
      .dflt = "v2",
      .check = api_version_check },
    RELABEL_ROW("relabel_configs", struct alertmanager_config, relabel_configs,
                "empty or null Alertmanager target relabeling rule"),
    RELABEL_ROW("alert_relabel_configs", struct alertmanager_config, alert_relabel_configs,
                "empty or null Alertmanager alert relabeling rule"),
    { .type = CONF_INLINE, AM(discovery), .table = &discovery_config_table },
};

static bool
alertmanager_check(struct conf *c, void *obj, struct error *err)
{
    struct alertmanager_config *a = obj;

    if (!http_client_config_check(c, &a->http, err))
        return false;
    if (a->sigv4 != NULL &&
        (a->http.basic_auth != NULL || a->http.authorization != NULL || a->http.oauth2 != NULL))
        return error_set(
            err, ERR_INVALID,
            "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured");
    conf_blame(c, "static_configs");
    return a->relabel_configs.nr > 0 || discovery_config_check_targets(&a->discovery, err);
}

static const struct conf_table alertmanager_table = {
    .type = "config.AlertmanagerConfig",
    .bytes = sizeof(struct alertmanager_config),
    CONF_ROWS(alertmanager_rows),
    .check = alertmanager_check,
    .line_at = CONF_LINE_AT(struct alertmanager_config, line),
};

static const struct conf_row alerting_rows[] = {
    RELABEL_ROW("alert_relabel_configs", struct alerting_config, alert_relabel_configs,
                "empty or null alert relabeling rule"),
    { .key = "alertmanagers",
      .type = CONF_STRUCTS,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct alerting_config, alertmanagers),
      .table = &alertmanager_table,
      .bad = "empty or null Alertmanager config section" },
};

const struct conf_table alerting_config_table = {
    .type = "config.plain",
    .bytes = sizeof(struct alerting_config),
    CONF_ROWS(alerting_rows),
};

bool
alerting_config_complete(struct conf_pool *pool, struct alerting_config *a, int name_scheme,
                         struct error *err)
{
    enum name_scheme scheme = (enum name_scheme)name_scheme;

    if (!relabel_list_check(pool, &a->alert_relabel_configs, scheme, err))
        return false;
    for (size_t i = 0; i < a->alertmanagers.nr; i++) {
        struct alertmanager_config *am = &a->alertmanagers.items[i];
        if (!relabel_list_check(pool, &am->alert_relabel_configs, scheme, err) ||
            !relabel_list_check(pool, &am->relabel_configs, scheme, err))
            return false;
    }
    return true;
}

bool
rules_config_glob_valid(struct str pattern)
{
    size_t star = str_find(pattern, '*', 0);

    return str_find(pattern, '/', star) == pattern.n;
}
