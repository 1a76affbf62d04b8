/* rules/rules_config.h: the section `alerting`, and `rule_files`.
 *
 * Immutable after loading; lives in the file's conf_pool. Rule files themselves are
 * rules/rule_file.h. */
#pragma once
#include "base/http_client_config.h"
#include "discovery/discovery_config.h"
#include "model/relabel_config.h"

struct sigv4_config {
    struct str region, access_key;
    struct secret secret_key;
    struct str profile, role_arn, external_id;
    bool use_fips_sts_endpoint;
    struct str service_name;
};

/* One of alerting.alertmanagers; known as config-0, config-1, ... by position. */
struct alertmanager_config {
    uint32_t line;
    struct http_client_config http;
    struct sigv4_config *sigv4; /* NULL: not given */
    struct str scheme, path_prefix;
    int64_t timeout_ms;
    struct str api_version; /* always "v2" */
    struct relabel_list relabel_configs, alert_relabel_configs;
    struct discovery_config discovery;
};

struct alerting_config {
    struct relabel_list alert_relabel_configs;
    CONF_LIST(struct alertmanager_config) alertmanagers;
};

extern const struct conf_table alerting_config_table;
extern const struct conf_table sigv4_config_table;

/* Compiles and checks the relabelling under the global name scheme (enum name_scheme). */
MUST_CHECK bool alerting_config_complete(struct conf_pool *pool, struct alerting_config *a,
                                         int name_scheme, struct error *err);

/* True for a glob that rule_files and scrape_config_files accept: * only in the last path element.
 */
bool rules_config_glob_valid(struct str pattern);
