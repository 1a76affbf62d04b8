/* discovery/sd_configs.h: the settings of every discovery mechanism but static, file and http.
 *
 * One struct each, filled by the tables of sd_*.c; see discovery_config.h. Fields have the names of
 * their keys. */
#pragma once
#include "discovery/discovery_config.h"

struct sd_filter {
    struct str name;
    struct conf_strs values;
};

/* CONF_LIST makes a type of its own each time; filters are handed to shared checks. */
struct sd_filters {
    struct sd_filter *items;
    size_t nr;
    bool given;
};

/* What all of Amazon's services share. */
struct sd_aws_access {
    struct str region, endpoint, access_key;
    struct secret secret_key;
    struct str profile, role_arn, external_id;
};

struct aws_sd_config {
    struct str role; /* ec2, ecs, elasticache, lightsail, msk, rds */
    struct sd_aws_access access;
    int64_t refresh_interval_ms, port;
    struct http_client_config http;
    struct sd_filters filters;
    struct conf_strs clusters;
};

struct azure_sd_config {
    struct str environment;
    int64_t port;
    struct str subscription_id, tenant_id, client_id;
    struct secret client_secret;
    int64_t refresh_interval_ms;
    struct str authentication_method, resource_group;
    struct http_client_config http;
};

struct consul_sd_config {
    struct str server, path_prefix;
    struct secret token;
    struct str datacenter, namespace, partition, tag_separator, scheme, username;
    struct secret password;
    bool allow_stale;
    int64_t refresh_interval_ms;
    struct conf_strs services, tags;
    struct conf_map node_meta;
    struct str filter, health_filter;
    struct http_client_config http;
};

struct digitalocean_sd_config {
    struct http_client_config http;
    int64_t refresh_interval_ms, port;
    struct str role;
    struct conf_node *httpclient; /* shown by Prometheus by mistake; always null */
};

struct dns_sd_config {
    struct conf_strs names;
    int64_t refresh_interval_ms;
    struct str type;
    int64_t port;
};

struct docker_sd_config {
    struct http_client_config http;
    struct str host;
    int64_t port;
    struct sd_filters filters;
    struct str host_networking_host;
    int64_t refresh_interval_ms;
    bool match_first_network;
};

struct dockerswarm_sd_config {
    struct http_client_config http;
    struct str host, role;
    int64_t port;
    struct sd_filters filters;
    int64_t refresh_interval_ms;
};

struct ec2_sd_config {
    struct sd_aws_access access;
    int64_t refresh_interval_ms, port;
    struct sd_filters filters;
    struct http_client_config http;
};

/* ECS, ElastiCache, MSK and RDS. */
struct ecs_sd_config {
    struct sd_aws_access access;
    struct conf_strs clusters;
    int64_t port, refresh_interval_ms;
    struct sd_filters filters; /* RDS only */
    int64_t request_concurrency;
    struct http_client_config http;
};

struct eureka_sd_config {
    struct str server;
    struct http_client_config http;
    int64_t refresh_interval_ms;
};

struct gce_sd_config {
    struct str project, zone, filter;
    int64_t refresh_interval_ms, port;
    struct str tag_separator;
};

struct hetzner_sd_config {
    struct http_client_config http;
    int64_t refresh_interval_ms, port;
    struct str role, label_selector;
};

struct ionos_sd_config {
    struct str datacenter_id;
    struct http_client_config http;
    int64_t refresh_interval_ms, port;
};

struct kubernetes_selector {
    struct str role, label, field;
};

struct kubernetes_namespaces {
    bool own_namespace;
    struct conf_strs names;
};

struct kubernetes_attach_metadata {
    bool node, namespace, deployment, job, cronjob;
};

struct kubernetes_sd_config {
    struct conf_url api_server;
    struct str role, kubeconfig_file;
    struct http_client_config http;
    struct kubernetes_namespaces namespaces;
    CONF_LIST(struct kubernetes_selector) selectors;
    struct kubernetes_attach_metadata attach_metadata;
};

struct kuma_sd_config {
    struct http_client_config http;
    int64_t refresh_interval_ms, fetch_timeout_ms;
    struct str server, client_id;
};

struct lightsail_sd_config {
    struct sd_aws_access access;
    int64_t refresh_interval_ms, port;
    struct http_client_config http;
};

struct linode_sd_config {
    struct http_client_config http;
    int64_t refresh_interval_ms, port;
    struct str tag_separator, region;
};

struct marathon_sd_config {
    struct conf_strs servers;
    int64_t refresh_interval_ms;
    struct secret auth_token;
    struct str auth_token_file;
    struct http_client_config http;
};

struct nomad_sd_config {
    bool allow_stale;
    struct http_client_config http;
    struct str namespace;
    int64_t refresh_interval_ms;
    struct str region, server, tag_separator;
};

struct oci_sd_config {
    struct str auth, tenancy, user, fingerprint, key_file;
    struct secret key_passphrase;
    struct str key_passphrase_file, region;
    struct conf_strs compartments;
    struct http_client_config http;
    int64_t port, refresh_interval_ms;
};

struct openstack_sd_config {
    struct str identity_endpoint, username, userid;
    struct secret password;
    struct str project_name, project_id, domain_name, domain_id;
    struct str application_credential_name, application_credential_id;
    struct secret application_credential_secret;
    struct str role, region;
    int64_t refresh_interval_ms, port;
    bool all_tenants;
    struct tls_config tls;
    struct str availability;
};

struct outscale_sd_config {
    struct str endpoint, region, access_key;
    struct secret secret_key;
    struct str secret_key_file;
    int64_t refresh_interval_ms, port;
    struct http_client_config http;
};

struct ovhcloud_sd_config {
    struct str endpoint, application_key;
    struct secret application_secret, consumer_key;
    int64_t refresh_interval_ms;
    struct str service;
};

struct puppetdb_sd_config {
    struct http_client_config http;
    int64_t refresh_interval_ms;
    struct str url, query;
    bool include_parameters;
    int64_t port;
};

struct scaleway_sd_config {
    struct str project_id, api_url, zone, access_key;
    struct secret secret_key;
    struct str secret_key_file, name_filter;
    struct conf_strs tags_filter;
    struct http_client_config http;
    int64_t refresh_interval_ms, port;
    struct str role;
};

struct stackit_sd_config {
    struct http_client_config http;
    struct str project;
    int64_t refresh_interval_ms, port;
    struct str region, endpoint;
    struct secret service_account_key, private_key;
    struct str service_account_key_path, private_key_path, credentials_file_path;
};

struct triton_sd_config {
    struct str account, role, dns_suffix, endpoint;
    struct conf_strs groups;
    int64_t port, refresh_interval_ms;
    struct tls_config tls;
    int64_t version;
};

struct uyuni_sd_config {
    struct str server, username;
    struct secret password;
    struct http_client_config http;
    struct str entitlement, separator;
    int64_t refresh_interval_ms;
};

struct vultr_sd_config {
    struct http_client_config http;
    int64_t refresh_interval_ms, port;
};

/* Serverset and Nerve. */
struct zookeeper_sd_config {
    struct conf_strs servers, paths;
    int64_t timeout_ms;
};

extern const struct conf_table sd_aws_table, sd_azure_table, sd_consul_table, sd_digitalocean_table,
    sd_dns_table, sd_docker_table, sd_dockerswarm_table, sd_ec2_table, sd_ecs_table,
    sd_elasticache_table, sd_eureka_table, sd_gce_table, sd_hetzner_table, sd_ionos_table,
    sd_kubernetes_table, sd_kuma_table, sd_lightsail_table, sd_linode_table, sd_marathon_table,
    sd_msk_table, sd_nerve_table, sd_nomad_table, sd_oci_table, sd_openstack_table,
    sd_outscale_table, sd_ovhcloud_table, sd_puppetdb_table, sd_rds_table, sd_scaleway_table,
    sd_serverset_table, sd_stackit_table, sd_triton_table, sd_uyuni_table, sd_vultr_table;

/* Shorthand of the tables: S is the struct, defined before each table; KEEP rows are written even
 * when zero. */
#define SD_ROW(key_, type_, flags_, field_, dflt_)                                        \
    {                                                                                     \
        .key = (key_), .type = (type_), .flags = (flags_), .offset = offsetof(S, field_), \
        .dflt = (dflt_)                                                                   \
    }
#define OMIT(key_, type_, field_, dflt_) SD_ROW(key_, type_, CONF_OMITEMPTY, field_, dflt_)
#define KEEP(key_, type_, field_, dflt_) SD_ROW(key_, type_, 0, field_, dflt_)
#define HTTP_ROW                                                                             \
    {                                                                                        \
        .type = CONF_INLINE, .offset = offsetof(S, http), .table = &http_client_config_table \
    }
#define TLS_ROW                                                            \
    {                                                                      \
        .key = "tls_config", .type = CONF_STRUCT, .flags = CONF_OMITEMPTY, \
        .offset = offsetof(S, tls), .table = &tls_config_table             \
    }
#define FILTERS_ROW(flags_)                                                                        \
    {                                                                                              \
        .key = "filters", .type = CONF_STRUCTS, .flags = (flags_), .offset = offsetof(S, filters), \
        .table = &sd_filter_table                                                                  \
    }

extern const struct conf_table sd_filter_table;

/* ERR_INVALID with a formatted text. */
MUST_CHECK bool sd_refuse(struct error *err, const char *fmt, ...) PRINTF(2, 3);
/* The same with a value in quotes, as Go quotes it, between two texts. */
MUST_CHECK bool
sd_refuse_quoted(struct error *err, const char *before, struct str value, const char *after);
/* http or https with a host; blames the key "url". */
MUST_CHECK bool sd_check_http_url(struct conf *c, struct str url, struct error *err);
