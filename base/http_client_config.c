#include "base/http_client_config.h"

#include <strings.h>

#include "base/quote.h"

static const char *const tls_versions[] = { "", "TLS10", "TLS11", "TLS12", "TLS13", NULL };

#define TLS_STR(key_, type_, field_)                             \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct tls_config, field_)            \
    }
#define TLS_VERSION(key_, field_)                                                   \
    {                                                                               \
        .key = (key_), .type = CONF_ENUM, .flags = CONF_OMITEMPTY | CONF_NOT_EMPTY, \
        .offset = offsetof(struct tls_config, field_), .names = tls_versions,       \
        .bad = "unknown TLS version: %s"                                            \
    }

static const struct conf_row tls_rows[] = {
    TLS_STR("ca", CONF_STR, ca),
    TLS_STR("cert", CONF_STR, cert),
    TLS_STR("key", CONF_SECRET, key),
    TLS_STR("ca_file", CONF_PATH, ca_file),
    TLS_STR("cert_file", CONF_PATH, cert_file),
    TLS_STR("key_file", CONF_PATH, key_file),
    TLS_STR("ca_ref", CONF_STR, ca_ref),
    TLS_STR("cert_ref", CONF_STR, cert_ref),
    TLS_STR("key_ref", CONF_STR, key_ref),
    TLS_STR("server_name", CONF_STR, server_name),
    { .key = "insecure_skip_verify",
      .type = CONF_BOOL,
      .offset = offsetof(struct tls_config, insecure_skip_verify) },
    TLS_VERSION("min_version", min_version),
    TLS_VERSION("max_version", max_version),
};

static int
given_nr(bool a, bool b, bool c)
{
    return (a ? 1 : 0) + (b ? 1 : 0) + (c ? 1 : 0);
}

static bool
refuse(struct error *err, const char *why)
{
    return error_set(err, ERR_INVALID, "%s", why);
}

static bool
tls_check(struct conf *conf, void *obj, struct error *err)
{
    const struct tls_config *t = obj;
    bool cert = t->cert.n + t->cert_file.n + t->cert_ref.n > 0;
    bool key = !secret_empty(t->key) || t->key_file.n + t->key_ref.n > 0;

    (void)conf;
    if (given_nr(t->ca.n > 0, t->ca_file.n > 0, t->ca_ref.n > 0) > 1)
        return refuse(err, "at most one of ca, ca_file & ca_ref must be configured");
    if (given_nr(t->cert.n > 0, t->cert_file.n > 0, t->cert_ref.n > 0) > 1)
        return refuse(err, "at most one of cert, cert_file & cert_ref must be configured");
    if (given_nr(!secret_empty(t->key), t->key_file.n > 0, t->key_ref.n > 0) > 1)
        return refuse(err, "at most one of key and key_file must be configured");
    if (cert && !key)
        return refuse(err, "exactly one of key or key_file must be configured when a client "
                           "certificate is configured");
    if (key && !cert)
        return refuse(
            err,
            "exactly one of cert or cert_file must be configured when a client key is configured");
    return true;
}

const struct conf_table tls_config_table = {
    .type = "config.plain",
    .bytes = sizeof(struct tls_config),
    CONF_ROWS(tls_rows),
    .check = tls_check,
};

#define ROW(struct_, key_, type_, field_)                        \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct_, field_)                      \
    }
#define BASIC(key_, type_, field_) ROW(struct http_basic_auth, key_, type_, field_)
#define AUTH(key_, type_, field_)  ROW(struct http_authorization, key_, type_, field_)
#define PROXY(key_, type_, field_) ROW(struct http_proxy_config, key_, type_, field_)
#define OAUTH(key_, type_, field_) ROW(struct http_oauth2, key_, type_, field_)

static const struct conf_row basic_rows[] = {
    BASIC("username", CONF_STR, username),
    BASIC("username_file", CONF_PATH, username_file),
    BASIC("username_ref", CONF_STR, username_ref),
    BASIC("password", CONF_SECRET, password),
    BASIC("password_file", CONF_PATH, password_file),
    BASIC("password_ref", CONF_STR, password_ref),
};

static const struct conf_table basic_table = {
    .type = "config.plain",
    .bytes = sizeof(struct http_basic_auth),
    CONF_ROWS(basic_rows),
};

static const struct conf_row authorization_rows[] = {
    AUTH("type", CONF_STR, type),
    AUTH("credentials", CONF_SECRET, credentials),
    AUTH("credentials_file", CONF_PATH, credentials_file),
    AUTH("credentials_ref", CONF_STR, credentials_ref),
};

static const struct conf_table authorization_table = {
    .type = "config.Authorization",
    .bytes = sizeof(struct http_authorization),
    CONF_ROWS(authorization_rows),
};

static const struct conf_row proxy_rows[] = {
    PROXY("proxy_url", CONF_URL, url),
    PROXY("no_proxy", CONF_STR, no_proxy),
    PROXY("proxy_from_environment", CONF_BOOL, from_environment),
    PROXY("proxy_connect_header", CONF_NAMED_SECRETS, connect_headers),
};

static const struct conf_table proxy_table = {
    .type = "config.plain",
    .bytes = sizeof(struct http_proxy_config),
    CONF_ROWS(proxy_rows),
};

static bool
proxy_check(const struct http_proxy_config *p, struct error *err)
{
    if (p->connect_headers.nr > 0 && !p->from_environment && p->url.text.n == 0)
        return refuse(err, "if proxy_connect_header is configured, proxy_url or "
                           "proxy_from_environment must also be configured");
    if (p->from_environment && p->url.text.n > 0)
        return refuse(err,
                      "if proxy_from_environment is configured, proxy_url must not be configured");
    if (p->from_environment && p->no_proxy.n > 0)
        return refuse(err,
                      "if proxy_from_environment is configured, no_proxy must not be configured");
    if (!p->url.given && p->no_proxy.n > 0)
        return refuse(err, "if no_proxy is configured, proxy_url must also be configured");
    return true;
}

static bool
oauth2_check(const struct http_oauth2 *o, struct error *err)
{
    static const char *const algorithms[] = { "", "RS256", "RS384", "RS512" };

    if (o->client_id.n == 0)
        return refuse(err, "oauth2 client_id must be configured");
    if (o->token_url.n == 0)
        return refuse(err, "oauth2 token_url must be configured");
    if (!str_is(o->grant_type, "urn:ietf:params:oauth:grant-type:jwt-bearer")) {
        if (given_nr(!secret_empty(o->client_secret), o->client_secret_file.n > 0,
                     o->client_secret_ref.n > 0) > 1)
            return refuse(
                err,
                "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must "
                "be configured using grant-type=client_credentials");
        return true;
    }
    if (given_nr(!secret_empty(o->client_certificate_key), o->client_certificate_key_file.n > 0,
                 o->client_certificate_key_ref.n > 0) > 1)
        return refuse(err,
                      "at most one of oauth2 client_certificate_key, client_certificate_key_file & "
                      "client_certificate_key_ref must be configured using "
                      "grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer");
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (str_is(o->signature_algorithm, algorithms[i]))
            return true;
    return refuse(err, "valid signature algorithms are RS256, RS384 and RS512");
}

/* Its other rules are those of the section that includes it. */
static bool
oauth2_block_check(struct conf *conf, void *obj, struct error *err)
{
    (void)conf;
    return proxy_check(&((const struct http_oauth2 *)obj)->proxy, err);
}

static const struct conf_row oauth2_rows[] = {
    OAUTH("client_id", CONF_STR, client_id),
    OAUTH("client_secret", CONF_SECRET, client_secret),
    OAUTH("client_secret_file", CONF_PATH, client_secret_file),
    OAUTH("client_secret_ref", CONF_STR, client_secret_ref),
    OAUTH("client_certificate_key_id", CONF_STR, client_certificate_key_id),
    OAUTH("client_certificate_key", CONF_SECRET, client_certificate_key),
    /* Not made relative to the file: Prometheus forgets it. */
    OAUTH("client_certificate_key_file", CONF_STR, client_certificate_key_file),
    OAUTH("client_certificate_key_ref", CONF_STR, client_certificate_key_ref),
    OAUTH("grant_type", CONF_STR, grant_type),
    OAUTH("signature_algorithm", CONF_STR, signature_algorithm),
    OAUTH("iss", CONF_STR, iss),
    OAUTH("audience", CONF_STR, audience),
    OAUTH("claims", CONF_ANY, claims),
    OAUTH("scopes", CONF_STRS, scopes),
    OAUTH("token_url", CONF_STR, token_url),
    OAUTH("endpoint_params", CONF_MAP, endpoint_params),
    { .key = "tls_config",
      .type = CONF_STRUCT,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct http_oauth2, tls),
      .table = &tls_config_table },
    { .type = CONF_INLINE, .offset = offsetof(struct http_oauth2, proxy), .table = &proxy_table },
};

static const struct conf_table oauth2_table = {
    .type = "config.plain",
    .bytes = sizeof(struct http_oauth2),
    CONF_ROWS(oauth2_rows),
    .check = oauth2_block_check,
};

static const struct conf_row header_rows[] = {
    ROW(struct http_header_config, "values", CONF_STRS, values),
    ROW(struct http_header_config, "secrets", CONF_SECRETS, secrets),
    ROW(struct http_header_config, "files", CONF_PATHS, files),
};

static const struct conf_table header_table = {
    .type = "config.Header",
    .bytes = sizeof(struct http_header_config),
    CONF_ROWS(header_rows),
};

#define CLIENT(key_, type_, field_) ROW(struct http_client_config, key_, type_, field_)
#define CLIENT_BLOCK(key_, type_, field_, table_)                                 \
    {                                                                             \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY,                  \
        .offset = offsetof(struct http_client_config, field_), .table = &(table_) \
    }
#define CLIENT_BOOL(key_, field_)                                                                \
    {                                                                                            \
        .key = (key_), .type = CONF_BOOL, .offset = offsetof(struct http_client_config, field_), \
        .dflt = "true"                                                                           \
    }

static const struct conf_row client_rows[] = {
    CLIENT_BLOCK("basic_auth", CONF_STRUCT_PTR, basic_auth, basic_table),
    CLIENT_BLOCK("authorization", CONF_STRUCT_PTR, authorization, authorization_table),
    CLIENT_BLOCK("oauth2", CONF_STRUCT_PTR, oauth2, oauth2_table),
    CLIENT("bearer_token", CONF_SECRET, bearer_token),
    CLIENT("bearer_token_file", CONF_PATH, bearer_token_file),
    CLIENT_BLOCK("tls_config", CONF_STRUCT, tls, tls_config_table),
    CLIENT_BOOL("follow_redirects", follow_redirects),
    CLIENT_BOOL("enable_http2", enable_http2),
    { .type = CONF_INLINE,
      .offset = offsetof(struct http_client_config, proxy),
      .table = &proxy_table },
    CLIENT_BLOCK("http_headers", CONF_NAMED, headers, header_table),
};

static bool
client_check(struct conf *conf, void *obj, struct error *err)
{
    return http_client_config_check(conf, obj, err);
}

const struct conf_table http_client_config_table = {
    .type = "config.plain",
    .bytes = sizeof(struct http_client_config),
    CONF_ROWS(client_rows),
    .check = client_check,
};

void
http_client_config_init(struct http_client_config *c)
{
    *c = (struct http_client_config){ .follow_redirects = true, .enable_http2 = true };
}

static bool
basic_check(const struct http_basic_auth *b, struct error *err)
{
    if (given_nr(b->username.n > 0, b->username_file.n > 0, b->username_ref.n > 0) > 1)
        return refuse(
            err,
            "at most one of basic_auth username, username_file & username_ref must be configured");
    if (given_nr(!secret_empty(b->password), b->password_file.n > 0, b->password_ref.n > 0) > 1)
        return refuse(
            err,
            "at most one of basic_auth password, password_file & password_ref must be configured");
    return true;
}

static bool
authorization_check(struct http_client_config *c, bool bearer, struct error *err)
{
    struct http_authorization *a = c->authorization;

    if (bearer)
        return refuse(err, "authorization is not compatible with bearer_token & bearer_token_file");
    if (given_nr(!secret_empty(a->credentials), a->credentials_file.n > 0,
                 a->credentials_ref.n > 0) > 1)
        return refuse(
            err, "at most one of authorization credentials & credentials_file must be configured");
    a->type = str_trim(a->type);
    if (a->type.n == 0)
        a->type = STR("Bearer");
    if (a->type.n == 5 && strncasecmp(a->type.p, "basic", 5) == 0)
        return refuse(err,
                      "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    if (c->basic_auth != NULL || c->oauth2 != NULL)
        return refuse(err, "at most one of basic_auth, oauth2 & authorization must be configured");
    return true;
}

/* bearer_token and bearer_token_file are the old way to say authorization. */
static void
fold_bearer(struct conf *conf, struct http_client_config *c)
{
    struct http_authorization *a =
        ARENA_NEW(conf_pool_arena(conf_pool_of(conf)), struct http_authorization);

    a->type = STR("Bearer");
    a->credentials = c->bearer_token;
    a->credentials_file = c->bearer_token_file;
    c->authorization = a;
    c->bearer_token = (struct secret){ STR_NONE };
    c->bearer_token_file = STR_NONE;
}

/* Go's canonical form: the first letter and those behind '-' are upper case. */
static bool
header_refuse(struct str name, struct error *err)
{
    struct buf canonical = { 0 }, quoted = { 0 };

    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool first = i == 0 || name.p[i - 1] == '-';
        if (first && c >= 'a' && c <= 'z')
            c = (char)(c - 0x20);
        else if (!first && c >= 'A' && c <= 'Z')
            c = (char)(c + 0x20);
        buf_byte(&canonical, (uint8_t)c);
    }
    quote_go(buf_as_str(&canonical), &quoted);
    error_set(err, ERR_INVALID, "setting header %s is not allowed", buf_z(&quoted));
    buf_fini(&canonical);
    buf_fini(&quoted);
    return false;
}

bool
http_header_reserved(struct str name)
{
    static const char *const reserved[] = {
        "Authorization",
        "Host",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "User-Agent",
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Www-Authenticate",
        "Accept-Encoding",
        "X-Prometheus-Remote-Write-Version",
        "X-Prometheus-Remote-Read-Version",
        "X-Prometheus-Scrape-Timeout-Seconds",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "X-Amz-Content-Sha256",
    };

    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (strlen(reserved[i]) == name.n && strncasecmp(name.p, reserved[i], name.n) == 0)
            return true;
    return false;
}

bool
http_client_config_check(struct conf *conf, struct http_client_config *c, struct error *err)
{
    bool token = !secret_empty(c->bearer_token), token_file = c->bearer_token_file.n > 0;

    if (token && token_file)
        return refuse(err, "at most one of bearer_token & bearer_token_file must be configured");
    if ((c->basic_auth != NULL || c->oauth2 != NULL) && (token || token_file))
        return refuse(err, "at most one of basic_auth, oauth2, bearer_token & bearer_token_file "
                           "must be configured");
    if (c->basic_auth != NULL && !basic_check(c->basic_auth, err))
        return false;
    if (c->authorization != NULL && !authorization_check(c, token || token_file, err))
        return false;
    if (token || token_file)
        fold_bearer(conf, c);
    if (c->oauth2 != NULL && c->basic_auth != NULL)
        return refuse(err, "at most one of basic_auth, oauth2 & authorization must be configured");
    if (c->oauth2 != NULL && !oauth2_check(c->oauth2, err))
        return false;
    if (!proxy_check(&c->proxy, err))
        return false;
    for (size_t i = 0; i < c->headers.nr; i++)
        if (http_header_reserved(c->headers.items[i].name))
            return header_refuse(c->headers.items[i].name, err);
    return true;
}
