/* remote/remote_config.h: the sections `remote_write`, `remote_read` and `otlp`.
 *
 * Immutable after loading; lives in the file's conf_pool. Nothing runs from them yet, so a file
 * that has remote_write or remote_read is understood but refused at start unless
 * --narthex.allow-unbuilt is given (cmd/config.h). */
#pragma once
#include "base/http_client_config.h"
#include "model/relabel_config.h"
#include "rules/rules_config.h"

struct remote_queue_config {
    int64_t capacity, max_shards, min_shards, max_samples_per_send;
    int64_t batch_send_deadline_ms, min_backoff_ms, max_backoff_ms;
    bool retry_on_http_429;
    int64_t sample_age_limit_ms;
};

struct remote_metadata_config {
    bool send;
    int64_t send_interval_ms, max_samples_per_send;
};

struct azuread_identity {
    struct str client_id, tenant_id, token_file_path;
};

struct azuread_oauth {
    struct str client_id;
    struct secret client_secret;
    struct str tenant_id;
};

struct azuread_certificate {
    struct str client_id, tenant_id, certificate_path, certificate_key_path;
    struct secret certificate_password;
    bool send_certificate_chain;
};

/* Exactly one of the pointers is set. */
struct azuread_config {
    struct azuread_identity *managed_identity, *workload_identity, *sdk;
    struct azuread_oauth *oauth;
    struct azuread_certificate *certificate;
    struct str cloud, scope;
};

struct google_iam_config {
    struct str credentials_file;
};

struct remote_write_config {
    uint32_t line;
    struct conf_url url;
    int64_t remote_timeout_ms;
    struct conf_map headers;
    struct relabel_list write_relabel_configs;
    struct str name;
    bool send_exemplars, send_native_histograms, round_robin_dns;
    struct str protobuf_message;
    bool failed_request_logging;
    struct http_client_config http;
    struct remote_queue_config queue;
    struct remote_metadata_config metadata;
    struct sigv4_config *sigv4;
    struct azuread_config *azuread;
    struct google_iam_config *google_iam;
};

struct remote_read_config {
    uint32_t line;
    struct conf_url url;
    int64_t remote_timeout_ms;
    uint64_t chunked_read_limit;
    struct conf_map headers;
    bool read_recent;
    struct str name;
    struct http_client_config http;
    struct conf_map required_matchers;
    bool filter_external_labels;
};

struct otlp_config {
    uint32_t line;
    bool promote_all_resource_attributes;
    struct conf_strs promote_resource_attributes, ignore_resource_attributes;
    struct str translation_strategy;
    bool keep_identifying_resource_attributes, convert_histograms_to_nhcb, promote_scope_metadata;
    bool label_name_underscore_sanitization, label_name_preserve_multiple_underscores;
};

struct remote_config {
    CONF_LIST(struct remote_write_config) write;
    CONF_LIST(struct remote_read_config) read;
    struct otlp_config otlp;
};

/* Rows remote_write, remote_read and otlp. */
extern const struct conf_table remote_config_table;

/* Names used once only, relabelling compiled, the translation strategy allowed by the name scheme
 * (enum name_scheme). */
MUST_CHECK bool remote_config_complete(struct conf_pool *pool, struct remote_config *r,
                                       int name_scheme, struct error *err);

/* Headers that the protocols set themselves; `authorization_text` is what to say about
 * Authorization. */
MUST_CHECK bool remote_config_check_headers(const struct conf_map *headers,
                                            const char *authorization_text, struct error *err);
