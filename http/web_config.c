#include "http/web_config.h"

#include "base/mem.h"
#include "base/quote.h"
#include "http/web_config_priv.h"

#define PEM_BYTES_MAX (1u << 20)

#define T(key_, type_, field_, dflt_, check_)                                              \
    {                                                                                      \
        .key = (key_), .type = (type_), .offset = offsetof(struct web_tls_config, field_), \
        .dflt = (dflt_), .check = (check_)                                                 \
    }

static bool
is_one_of(struct str s, const char *const *names, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        if (str_is(s, names[i]))
            return true;
    return false;
}

static bool
version_check(struct conf *c, void *value, struct error *err)
{
    static const char *const versions[] = { "TLS10", "TLS11", "TLS12", "TLS13" };
    struct str s = *(struct str *)value;

    (void)c;
    return is_one_of(s, versions, ARRAY_LEN(versions))
               ? true
               : error_set(err, ERR_INVALID, "unknown TLS version: %.*s", STR_ARG(s));
}

static bool
ciphers_check(struct conf *c, void *value, struct error *err)
{
    const struct conf_strs *list = value;

    (void)c;
    for (size_t i = 0; i < list->nr; i++)
        if (web_cipher_find(list->items[i]) == NULL)
            return error_set(err, ERR_INVALID, "unknown cipher: %.*s", STR_ARG(list->items[i]));
    return true;
}

static bool
curves_check(struct conf *c, void *value, struct error *err)
{
    const struct conf_strs *list = value;

    (void)c;
    for (size_t i = 0; i < list->nr; i++)
        if (web_curve_find(list->items[i]) == NULL)
            return error_set(err, ERR_INVALID, "unknown curve: %.*s", STR_ARG(list->items[i]));
    return true;
}

static const struct conf_row tls_rows[] = {
    T("cert", CONF_STR, cert, NULL, NULL),
    T("key", CONF_SECRET, key, NULL, NULL),
    T("client_ca", CONF_STR, client_ca, NULL, NULL),
    T("cert_file", CONF_PATH, cert_file, NULL, NULL),
    T("key_file", CONF_PATH, key_file, NULL, NULL),
    T("client_auth_type", CONF_STR, client_auth_type, NULL, NULL),
    T("client_ca_file", CONF_PATH, client_ca_file, NULL, NULL),
    T("cipher_suites", CONF_STRS, cipher_suites, NULL, ciphers_check),
    T("curve_preferences", CONF_STRS, curve_preferences, NULL, curves_check),
    T("min_version", CONF_STR, min_version, "TLS12", version_check),
    T("max_version", CONF_STR, max_version, "TLS13", version_check),
    T("prefer_server_cipher_suites", CONF_BOOL, prefer_server_cipher_suites, "true", NULL),
    { .key = "client_allowed_sans",
      .type = CONF_STRS,
      .flags = CONF_UNBUILT,
      .offset = offsetof(struct web_tls_config, client_allowed_sans) },
};

static const struct conf_table tls_table = {
    .type = "web.TLSConfig",
    .bytes = sizeof(struct web_tls_config),
    CONF_ROWS(tls_rows),
};

static bool
headers_check(struct conf *c, void *value, struct error *err)
{
    static const struct {
        const char *name, *allowed[2], *shown;
    } known[] = {
        { "Strict-Transport-Security", { NULL }, NULL },
        { "X-Content-Type-Options", { "nosniff" }, "[\"nosniff\"]" },
        { "X-Frame-Options", { "deny", "sameorigin" }, "[\"deny\" \"sameorigin\"]" },
        { "X-XSS-Protection", { NULL }, NULL },
        { "Content-Security-Policy", { NULL }, NULL },
    };
    const struct conf_map *headers = value;

    (void)c;
    for (size_t i = 0; i < headers->nr; i++) {
        const struct conf_pair *h = &headers->items[i];
        size_t k = 0;
        while (k < ARRAY_LEN(known) && !str_is(h->name, known[k].name))
            k++;
        if (k == ARRAY_LEN(known))
            return error_set(err, ERR_INVALID, "HTTP header \"%.*s\" can not be configured",
                             STR_ARG(h->name));
        size_t allowed_nr = known[k].allowed[0] == NULL ? 0 : known[k].allowed[1] == NULL ? 1 : 2;
        if (allowed_nr > 0 && !is_one_of(h->value, known[k].allowed, allowed_nr))
            return error_set(err, ERR_INVALID,
                             "invalid value for %s. Expected one of: %s, but got: \"%.*s\"",
                             known[k].name, known[k].shown, STR_ARG(h->value));
    }
    return true;
}

static const struct conf_row http_rows[] = {
    { .key = "http2",
      .type = CONF_BOOL,
      .offset = offsetof(struct web_http_config, http2),
      .dflt = "true" },
    { .key = "headers",
      .type = CONF_MAP,
      .offset = offsetof(struct web_http_config, headers),
      .check = headers_check },
};

static const struct conf_table http_table = {
    .type = "web.HTTPConfig",
    .bytes = sizeof(struct web_http_config),
    CONF_ROWS(http_rows),
};

static const struct conf_row rate_rows[] = {
    { .key = "burst", .type = CONF_INT, .offset = offsetof(struct web_rate_limit, burst) },
    { .key = "interval",
      .type = CONF_GO_DURATION,
      .offset = offsetof(struct web_rate_limit, interval_ns) },
};

static const struct conf_table rate_table = {
    .type = "web.RateLimiterConfig",
    .bytes = sizeof(struct web_rate_limit),
    CONF_ROWS(rate_rows),
};

static bool
users_check(struct conf *c, void *value, struct error *err)
{
    const struct conf_map *users = value;

    (void)c;
    for (size_t i = 0; i < users->nr; i++)
        if (!web_hash_check(users->items[i].value, err))
            return error_wrap(err, "user \"%.*s\"", STR_ARG(users->items[i].name));
    return true;
}

#define AT(field_) .offset = offsetof(struct web_config, field_)

static const struct conf_row web_rows[] = {
    { .key = "tls_server_config", .type = CONF_STRUCT, AT(tls), .table = &tls_table },
    { .key = "http_server_config", .type = CONF_STRUCT, AT(http), .table = &http_table },
    { .key = "rate_limit",
      .type = CONF_STRUCT,
      .flags = CONF_UNBUILT,
      AT(rate_limit),
      .table = &rate_table },
    { .key = "basic_auth_users", .type = CONF_MAP, AT(users), .check = users_check },
};

static const struct conf_table web_table = {
    .type = "web.Config",
    .bytes = sizeof(struct web_config),
    CONF_ROWS(web_rows),
};

static bool
client_auth_of(struct str name, enum web_client_auth *auth, struct error *err)
{
    static const struct {
        const char *name;
        enum web_client_auth auth;
    } names[] = {
        { "", WEB_CLIENT_NONE },
        { "NoClientCert", WEB_CLIENT_NONE },
        { "RequestClientCert", WEB_CLIENT_REQUEST },
        { "RequireAnyClientCert", WEB_CLIENT_REQUIRE_ANY },
        { "RequireClientCert", WEB_CLIENT_REQUIRE_ANY }, /* the old name */
        { "VerifyClientCertIfGiven", WEB_CLIENT_VERIFY_IF_GIVEN },
        { "RequireAndVerifyClientCert", WEB_CLIENT_VERIFY },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_is(name, names[i].name)) {
            *auth = names[i].auth;
            return true;
        }
    return error_set(err, ERR_INVALID, "invalid ClientAuth: %.*s", STR_ARG(name));
}

/* The PEM text of a file, or the one written in the configuration. NULL in *pem when neither is
 * there. */
static bool
read_pem(const struct io *io, struct conf_pool *pool, struct str file, struct str text,
         const char *key, const char **pem, struct error *err)
{
    struct arena *arena = conf_pool_arena(pool);
    char *bytes = NULL;
    size_t n = 0;

    *pem = text.n > 0 ? arena_str(arena, text).p : NULL;
    if (file.n == 0)
        return true;
    if (!io_read_file(io, arena_str(arena, file).p, PEM_BYTES_MAX, &bytes, &n, err))
        return error_wrap(err, "failed to read %s (%.*s)", key, STR_ARG(file));
    *pem = arena_str(arena, (struct str){ bytes, n }).p;
    mem_free(bytes);
    return true;
}

static bool
complete_tls(const struct io *io, struct web_config *w, struct error *err)
{
    const struct web_tls_config *t = &w->tls;
    struct str key = secret_reveal(t->key);
    size_t given = t->cert.n + t->cert_file.n + key.n + t->key_file.n + t->client_ca.n +
                   t->client_ca_file.n + t->client_auth_type.n;

    if (given == 0)
        return true;
    if (t->cert.n + t->cert_file.n == 0)
        return error_set(err, ERR_INVALID, "missing one of cert or cert_file");
    if (key.n + t->key_file.n == 0)
        return error_set(err, ERR_INVALID, "missing one of key or key_file");
    if (!read_pem(io, w->pool, t->cert_file, t->cert, "cert_file", &w->certificate_pem, err) ||
        !read_pem(io, w->pool, t->key_file, key, "key_file", &w->key_pem, err) ||
        !read_pem(io, w->pool, t->client_ca_file, t->client_ca, "client_ca_file", &w->client_ca_pem,
                  err) ||
        !client_auth_of(t->client_auth_type, &w->client_auth, err))
        return false;
    if (w->client_ca_pem != NULL && w->client_auth == WEB_CLIENT_NONE)
        return error_set(err, ERR_INVALID,
                         "client CA's have been configured without a Client Auth Policy");
    w->priorities = web_priorities(conf_pool_arena(w->pool), t);
    w->tls_on = true;
    return true;
}

static bool
load(const struct io *io, const char *path, struct web_config *w, struct error *err)
{
    struct conf_pool *pool = conf_pool_new();
    char *text = NULL;
    size_t n = 0;
    bool ok = path[0] == '\0' || io_read_file(io, path, CONF_FILE_BYTES_MAX, &text, &n, err);

    if (ok)
        ok = conf_load(pool, (struct str){ text, n }, &web_table, w, NULL, err);
    mem_free(text);
    w->pool = pool;
    if (ok)
        conf_relocate(pool, &web_table, w, conf_dir(str_c(path)));
    return ok && complete_tls(io, w, err);
}

bool
web_config_load(const struct io *io, const char *path, struct web_config **config,
                struct error *err)
{
    struct web_config *w = MEM_NEW(struct web_config);

    if (!load(io, path, w, err)) {
        web_config_free(w);
        return error_wrap(err, "web configuration file %s", path);
    }
    w->cache = web_auth_cache_new();
    *config = w;
    return true;
}

void
web_config_free(struct web_config *config)
{
    if (config == NULL)
        return;
    web_auth_cache_free(config->cache);
    conf_pool_unref(config->pool);
    mem_free(config);
}

void
web_config_unbuilt(const struct web_config *config, void (*fn)(void *arg, const char *path),
                   void *arg)
{
    conf_unbuilt_each(&web_table, config, fn, arg);
}
