/* http/web_config.h: the file of --web.config.file: TLS, users and headers of the web server.
 *
 * Loaded and checked whole, certificates read, when the server starts; Prometheus reads users and
 * certificates again for every connection, which changes nothing for a file that stays. Immutable
 * but for the cache of checked passwords, which is internally locked: web_config_authorize() may be
 * called by any thread. */
#pragma once
#include "base/conf.h"
#include "base/io.h"

enum web_client_auth {
    WEB_CLIENT_NONE,
    WEB_CLIENT_REQUEST,
    WEB_CLIENT_REQUIRE_ANY,
    WEB_CLIENT_VERIFY_IF_GIVEN,
    WEB_CLIENT_VERIFY
};

struct web_tls_config {
    struct str cert;
    struct secret key;
    struct str client_ca, cert_file, key_file, client_auth_type, client_ca_file;
    struct conf_strs cipher_suites, curve_preferences;
    struct str min_version, max_version; /* "TLS12", "TLS13" unless given */
    bool prefer_server_cipher_suites;
    struct conf_strs client_allowed_sans;
};

struct web_http_config {
    bool http2;
    struct conf_map headers; /* checked: only those that Prometheus allows */
};

struct web_rate_limit {
    int64_t burst, interval_ns;
};

struct web_config {
    struct conf_pool *pool;
    struct web_tls_config tls;
    struct web_http_config http;
    struct web_rate_limit rate_limit;
    struct conf_map users; /* name, bcrypt hash */

    /* Worked out while loading. */
    bool tls_on;
    const char *certificate_pem, *key_pem, *client_ca_pem; /* NULL when there is none */
    enum web_client_auth client_auth;
    const char *priorities; /* GnuTLS's string for versions, suites and curves */
    struct web_auth_cache *cache;
};

/* path may be "": a configuration without TLS, users and headers. web_config_free() releases. */
MUST_CHECK bool web_config_load(const struct io *io, const char *path, struct web_config **config,
                                struct error *err);
void web_config_free(struct web_config *config); /* accepts NULL */

/* True when the file names users, so that requests need credentials. */
bool web_config_has_users(const struct web_config *config);
/* Checks a password against the user's hash; an unknown user takes as long as a known one. Slow
 * (bcrypt) for what it has not seen before. */
bool web_config_authorize(const struct web_config *config, struct str user, struct str password);

/* Names what the file asks for that has no effect yet ("rate_limit",
 * "tls_server_config.client_allowed_sans"). */
void web_config_unbuilt(const struct web_config *config, void (*fn)(void *arg, const char *path),
                        void *arg);
