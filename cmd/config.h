/* cmd/config.h: the whole configuration file: the parts' tables put together, loaded, checked and
 * rendered.
 *
 * A struct config is immutable once loaded and reference counted; so is the conf_pool below it,
 * which a part may hold by itself when it keeps pointers into its section. A reload loads a new one
 * and swaps pointers; when loading fails, the old one stays. Loading may run on any thread. */
#pragma once
#include "base/io.h"
#include "base/log.h"
#include "remote/remote_config.h"
#include "rules/rules_config.h"
#include "scrape/scrape_config.h"
#include "tsdb/tsdb_config.h"

struct tracing_config {
    int client_type; /* 0: http, 1: grpc */
    struct str endpoint;
    double sampling_fraction;
    bool insecure;
    struct tls_config tls;
    struct conf_map headers;
    struct str compression;
    int64_t timeout_ms;
};

struct runtime_config {
    int64_t gogc; /* understood and shown; there is no collector to tune */
};

struct config {
    struct conf_pool *pool;
    struct global_config global;
    struct runtime_config runtime;
    struct alerting_config alerting;
    struct conf_strs rule_files, scrape_config_files; /* globs, relative to the working directory */
    struct scrape_config_list main_jobs;              /* those of the main file */
    struct storage_config storage;
    struct tracing_config *tracing; /* NULL: not configured */
    struct remote_config remote;

    /* All jobs, with those of scrape_config_files. */
    const struct scrape_config **jobs;
    size_t jobs_nr;
    _Atomic uint32_t refs_nr;
};

struct config_options {
    bool agent;                           /* agent mode allows less */
    struct scrape_config_options scrape;  /* defaults that feature flags change */
    const char *(*env)(const char *name); /* environment variables; NULL: none is set */
    const struct log *log;                /* warnings (an empty variable); NULL: none */
};

#define CONFIG_FILE_BYTES_MAX CONF_FILE_BYTES_MAX

/* Reads the file and those it names as scrape_config_files. The error names file, line and key. */
MUST_CHECK bool
config_load(const struct io *io, const char *path, const struct config_options *options,
            struct config **config, struct error *err);
/* The main file's text alone, for tests; path gives the directory of relative paths. */
MUST_CHECK bool
config_parse(const struct io *io, struct str text, const char *path,
             const struct config_options *options, struct config **config, struct error *err);
struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* accepts NULL */

/* As /api/v1/status/config shows it: YAML, defaults filled in, secrets hidden. */
void config_write(const struct config *config, struct buf *out);

/* Names each configured section whose part is not built yet ("remote_write",
 * "scrape_configs[3].consul_sd_configs"). The server refuses to start on any unless
 * --narthex.allow-unbuilt is given. */
void
config_unbuilt(const struct config *config, void (*fn)(void *arg, const char *path), void *arg);

/* What only Narthex has, in a file of its own (--narthex.config). No key exists yet, so any is
 * refused. */
struct narthex_config {
    struct conf_pool *pool;
};
MUST_CHECK bool narthex_config_load(const struct io *io, const char *path,
                                    struct narthex_config *config, struct error *err);
void narthex_config_fini(struct narthex_config *config);
