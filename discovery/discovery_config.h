/* discovery/discovery_config.h: the *_sd_configs and static_configs of a section, one struct per
 * mechanism.
 *
 * static, file and http are what the server can run today; the others are understood and checked so
 * that any valid file is accepted and any invalid one refused, and discovery_config_unbuilt() names
 * those in use. A section that has targets embeds struct discovery_config and includes
 * discovery_config_table with CONF_INLINE. Immutable; lives in the file's conf_pool. */
#pragma once
#include "base/http_client_config.h"
#include "model/labels.h"

/* One element of static_configs. Its "source" is its index. */
struct static_sd_config {
    struct conf_strs targets;  /* host:port each; __address__ */
    struct conf_map label_map; /* as written */
    struct labels labels;      /* the same, without empty values */
};

struct file_sd_config {
    struct conf_strs
        files; /* globs with * in the last element only, relative to the working directory */
    int64_t refresh_interval_ms;
};

struct http_sd_config {
    struct http_client_config http;
    int64_t refresh_interval_ms;
    struct str url;
};

/* discovery/sd_configs.h has the rest. */
struct aws_sd_config;
struct azure_sd_config;
struct consul_sd_config;
struct digitalocean_sd_config;
struct dns_sd_config;
struct docker_sd_config;
struct dockerswarm_sd_config;
struct ec2_sd_config;
struct ecs_sd_config;
struct eureka_sd_config;
struct gce_sd_config;
struct hetzner_sd_config;
struct ionos_sd_config;
struct kubernetes_sd_config;
struct kuma_sd_config;
struct lightsail_sd_config;
struct linode_sd_config;
struct marathon_sd_config;
struct nomad_sd_config;
struct oci_sd_config;
struct openstack_sd_config;
struct outscale_sd_config;
struct ovhcloud_sd_config;
struct puppetdb_sd_config;
struct scaleway_sd_config;
struct stackit_sd_config;
struct triton_sd_config;
struct uyuni_sd_config;
struct vultr_sd_config;
struct zookeeper_sd_config; /* nerve and serverset */

/* Sorted by key, as Prometheus renders them. */
struct discovery_config {
    CONF_LIST(struct aws_sd_config) aws;
    CONF_LIST(struct azure_sd_config) azure;
    CONF_LIST(struct consul_sd_config) consul;
    CONF_LIST(struct digitalocean_sd_config) digitalocean;
    CONF_LIST(struct dns_sd_config) dns;
    CONF_LIST(struct docker_sd_config) docker;
    CONF_LIST(struct dockerswarm_sd_config) dockerswarm;
    CONF_LIST(struct ec2_sd_config) ec2;
    CONF_LIST(struct ecs_sd_config) ecs;
    CONF_LIST(struct ecs_sd_config) elasticache; /* same keys, other default concurrency */
    CONF_LIST(struct eureka_sd_config) eureka;
    CONF_LIST(struct file_sd_config) file;
    CONF_LIST(struct gce_sd_config) gce;
    CONF_LIST(struct hetzner_sd_config) hetzner;
    CONF_LIST(struct http_sd_config) http;
    CONF_LIST(struct ionos_sd_config) ionos;
    CONF_LIST(struct kubernetes_sd_config) kubernetes;
    CONF_LIST(struct kuma_sd_config) kuma;
    CONF_LIST(struct lightsail_sd_config) lightsail;
    CONF_LIST(struct linode_sd_config) linode;
    CONF_LIST(struct marathon_sd_config) marathon;
    CONF_LIST(struct ecs_sd_config) msk;
    CONF_LIST(struct zookeeper_sd_config) nerve;
    CONF_LIST(struct nomad_sd_config) nomad;
    CONF_LIST(struct oci_sd_config) oci;
    CONF_LIST(struct openstack_sd_config) openstack;
    CONF_LIST(struct outscale_sd_config) outscale;
    CONF_LIST(struct ovhcloud_sd_config) ovhcloud;
    CONF_LIST(struct puppetdb_sd_config) puppetdb;
    CONF_LIST(struct ecs_sd_config) rds;
    CONF_LIST(struct scaleway_sd_config) scaleway;
    CONF_LIST(struct zookeeper_sd_config) serverset;
    CONF_LIST(struct stackit_sd_config) stackit;
    CONF_LIST(struct static_sd_config) statics;
    CONF_LIST(struct triton_sd_config) triton;
    CONF_LIST(struct uyuni_sd_config) uyuni;
    CONF_LIST(struct vultr_sd_config) vultr;
};

extern const struct conf_table discovery_config_table;

/* For sections without relabelling: a static target that holds a '/' is most likely a URL, and is
 * refused. */
MUST_CHECK bool discovery_config_check_targets(const struct discovery_config *d, struct error *err);

/* Labels in the pool, sorted, without empty values. */
struct labels discovery_config_labels(struct conf_pool *pool, const struct conf_map *map);
