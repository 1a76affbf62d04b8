/* base/http_client_config.h: the block of keys that every section with outgoing HTTP shares, as a
 * plain struct.
 *
 * base/http_client.h takes it; conf/ tables include it with CONF_INLINE(...,
 * &http_client_config_table). Paths are already relative to the working directory. All memory
 * belongs to the conf_pool of the loaded file, so an http_client made from it must not outlive that
 * pool (hold a conf_pool_ref). A zeroed struct is valid except that it neither follows redirects
 * nor speaks HTTP/2: start from http_client_config_init(). */
#pragma once
#include "base/conf.h"

enum tls_version {
    TLS_VERSION_DEFAULT,
    TLS_VERSION_10,
    TLS_VERSION_11,
    TLS_VERSION_12,
    TLS_VERSION_13
};

struct tls_config {
    struct str ca, cert; /* PEM text */
    struct secret key;
    struct str ca_file, cert_file, key_file;
    struct str ca_ref, cert_ref,
        key_ref; /* names for a secret manager, which no server has: using one is an error */
    struct str server_name; /* overrides SNI and the name that is verified */
    bool insecure_skip_verify;
    int min_version, max_version; /* enum tls_version */
};

/* A header with secret values, as proxy_connect_header has them. */
struct http_secret_header {
    struct str name;
    struct conf_secrets values;
};

struct http_proxy_config {
    struct conf_url url;
    struct str no_proxy; /* comma list of addresses, networks, domains, ports */
    bool from_environment;
    CONF_LIST(struct http_secret_header) connect_headers; /* sorted by name */
};

struct http_basic_auth {
    struct str username, username_file, username_ref;
    struct secret password;
    struct str password_file, password_ref;
};

struct http_authorization {
    struct str type; /* "Bearer" unless given; trimmed */
    struct secret credentials;
    struct str credentials_file, credentials_ref;
};

struct http_oauth2 {
    struct str client_id;
    struct secret client_secret;
    struct str client_secret_file, client_secret_ref;
    struct str client_certificate_key_id;
    struct secret client_certificate_key;
    struct str client_certificate_key_file, client_certificate_key_ref;
    struct str grant_type; /* empty: client_credentials */
    struct str signature_algorithm, iss, audience;
    struct conf_node *claims; /* any YAML; NULL when not given */
    struct conf_strs scopes;
    struct str token_url;
    struct conf_map endpoint_params;
    struct tls_config tls;
    struct http_proxy_config proxy;
};

/* One of http_headers: values, then secrets, then the trimmed contents of files, each added as a
 * header line. */
struct http_header_config {
    struct str name;
    struct conf_strs values;
    struct conf_secrets secrets;
    struct conf_strs files;
};

struct http_client_config {
    struct http_basic_auth
        *basic_auth; /* at most one of these three; NULL: not configured. bearer_token(_file) */
    struct http_authorization *authorization; /* are folded into authorization while loading */
    struct http_oauth2 *oauth2;
    struct secret bearer_token; /* empty after loading */
    struct str bearer_token_file;
    struct tls_config tls;
    bool follow_redirects, enable_http2;
    struct http_proxy_config proxy;
    CONF_LIST(struct http_header_config) headers; /* sorted by name */
};

extern const struct conf_table http_client_config_table;
extern const struct conf_table tls_config_table;

/* No credentials, redirects followed, HTTP/2 on. */
void http_client_config_init(struct http_client_config *c);

/* What the tables cannot say alone (one credential at most, ...), for structs that inline this
 * block: Go checks it after the whole section was read. Folds bearer_token into authorization. */
MUST_CHECK bool
http_client_config_check(struct conf *conf, struct http_client_config *c, struct error *err);

/* True for a header name that configuration may not set (Host, Authorization, ...), in any case. */
bool http_header_reserved(struct str name);
