/* A configuration block as curl options. Everything is copied: the client may outlive the loaded
 * file. Inline PEM goes into sealed memfds, since curl with GnuTLS takes paths only. */
#include "base/http_client.h"

#include <jansson.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/http_priv.h"
#include "base/io.h"
#include "base/mem.h"

#define USER_AGENT "Prometheus/3.14.0"

enum {
    CREDENTIAL_BYTES_MAX = 1 << 20,
    REDIRECTS_MAX = 10, /* Go's */
    TOKEN_EARLY_S = 10, /* renewed this long before it expires, as Go's oauth2 */
};

int64_t
http_now_ns(void)
{
    return clock_monotonic_ns(clock_real());
}

struct curl_slist *
http_slist(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);

    if (longer == NULL)
        mem_exhausted(strlen(line));
    return longer;
}

static const char *
copy_z(struct arena *a, struct str s)
{
    return s.n == 0 ? NULL : arena_str(a, s).p;
}

/* A path to the PEM: the file's, or a memfd's. */
static bool
pem_path(struct arena *a, struct str text, struct str file, int *memfd, const char **path,
         struct error *err)
{
    *path = copy_z(a, file);
    if (text.n == 0)
        return true;
    int fd = memfd_create("pem", MFD_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "memfd_create");
    *memfd = fd;
    if (write(fd, text.p, text.n) != (ssize_t)text.n)
        return error_sys(err, "write memfd");
    *path = arena_printf(a, "/proc/self/fd/%d", fd).p;
    return true;
}

/* Go's least version is TLS 1.2 unless told otherwise. */
static long
ssl_versions(int min, int max)
{
    static const long least[] = { CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
                                  CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                                  CURL_SSLVERSION_TLSv1_3 };
    static const long most[] = { CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0,
                                 CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2,
                                 CURL_SSLVERSION_MAX_TLSv1_3 };

    return least[min] | most[max];
}

static bool
tls_ready(struct arena *a, const struct tls_config *tls, struct http_route *route,
          struct error *err)
{
    if (tls->ca_ref.n + tls->cert_ref.n + tls->key_ref.n != 0)
        return error_set(err, ERR_INVALID, "references to a secret manager cannot be resolved");
    route->server_name = copy_z(a, tls->server_name);
    route->insecure = tls->insecure_skip_verify;
    route->versions = ssl_versions(tls->min_version, tls->max_version);
    return pem_path(a, tls->ca, tls->ca_file, &route->memfds[0], &route->ca, err) &&
           pem_path(a, tls->cert, tls->cert_file, &route->memfds[1], &route->cert, err) &&
           pem_path(a, secret_reveal(tls->key), tls->key_file, &route->memfds[2], &route->key, err);
}

/* Go never sends local addresses through a proxy that came with exceptions. */
static const char *
no_proxy_list(struct arena *a, struct str list)
{
    return arena_printf(a, "%.*s,localhost,127.0.0.0/8,::1", STR_ARG(list)).p;
}

static void
proxy_ready(struct arena *a, const struct http_proxy_config *proxy, struct http_route *route)
{
    route->from_environment = proxy->from_environment;
    route->use_proxy = proxy->url.given && proxy->url.text.n != 0;
    if (route->use_proxy)
        route->proxy = arena_str(a, proxy->url.text).p;
    if (proxy->no_proxy.n != 0)
        route->no_proxy = no_proxy_list(a, proxy->no_proxy);
    for (size_t i = 0; i < proxy->connect_headers.nr; i++) {
        const struct http_secret_header *h = &proxy->connect_headers.items[i];
        for (size_t j = 0; j < h->values.nr; j++) {
            struct str v = secret_reveal(h->values.items[j]);
            const char *line = arena_printf(a, "%.*s: %.*s", STR_ARG(h->name), STR_ARG(v)).p;
            route->connect_headers = http_slist(route->connect_headers, line);
        }
    }
}

static bool
route_ready(struct arena *a, const struct tls_config *tls, const struct http_proxy_config *proxy,
            struct http_route *route, struct error *err)
{
    proxy_ready(a, proxy, route);
    return tls_ready(a, tls, route, err);
}

static void
route_fini(struct http_route *route)
{
    for (size_t i = 0; i < ARRAY_LEN(route->memfds); i++) {
        if (route->memfds[i] >= 0)
            close(route->memfds[i]);
    }
    curl_slist_free_all(route->connect_headers);
}

static struct secret
copy_secret(struct arena *a, struct secret s)
{
    return (struct secret){ arena_str(a, secret_reveal(s)) };
}

static struct conf_strs
copy_strs(struct arena *a, const struct conf_strs *from)
{
    struct conf_strs to = { ARENA_NEW_ARRAY(a, struct str, from->nr), from->nr, from->given };

    for (size_t i = 0; i < from->nr; i++)
        to.items[i] = arena_str(a, from->items[i]);
    return to;
}

static void
copy_headers(struct http_client *c, const struct http_client_config *config)
{
    struct arena *a = &c->arena;

    c->headers_nr = config->headers.nr;
    c->headers = ARENA_NEW_ARRAY(a, struct http_header_config, c->headers_nr);
    for (size_t i = 0; i < c->headers_nr; i++) {
        const struct http_header_config *from = &config->headers.items[i];
        struct http_header_config *to = &c->headers[i];
        to->name = arena_str(a, from->name);
        to->values = copy_strs(a, &from->values);
        to->files = copy_strs(a, &from->files);
        to->secrets.nr = from->secrets.nr;
        to->secrets.items = ARENA_NEW_ARRAY(a, struct secret, from->secrets.nr);
        for (size_t j = 0; j < from->secrets.nr; j++)
            to->secrets.items[j] = copy_secret(a, from->secrets.items[j]);
    }
}

static bool
copy_oauth2(struct http_client *c, const struct http_oauth2 *from, struct error *err)
{
    struct arena *a = &c->arena;
    struct http_oauth2 *to = &c->oauth2;

    if (from->grant_type.n != 0 && !str_is(from->grant_type, "client_credentials"))
        return error_set(err, ERR_UNAVAILABLE, "oauth2: grant type '%.*s' is not built",
                         STR_ARG(from->grant_type));
    to->client_id = arena_str(a, from->client_id);
    to->client_secret = copy_secret(a, from->client_secret);
    to->client_secret_file = arena_str(a, from->client_secret_file);
    to->scopes = copy_strs(a, &from->scopes);
    to->token_url = arena_str(a, from->token_url);
    to->endpoint_params.nr = from->endpoint_params.nr;
    to->endpoint_params.items = ARENA_NEW_ARRAY(a, struct conf_pair, from->endpoint_params.nr);
    for (size_t i = 0; i < from->endpoint_params.nr; i++) {
        to->endpoint_params.items[i].name = arena_str(a, from->endpoint_params.items[i].name);
        to->endpoint_params.items[i].value = arena_str(a, from->endpoint_params.items[i].value);
    }
    return route_ready(a, &from->tls, &from->proxy, &c->oauth2_route, err);
}

static bool
copy_credentials(struct http_client *c, const struct http_client_config *config, struct error *err)
{
    struct arena *a = &c->arena;

    if (config->basic_auth != NULL) {
        c->auth = HTTP_AUTH_BASIC;
        c->basic.username = arena_str(a, config->basic_auth->username);
        c->basic.username_file = arena_str(a, config->basic_auth->username_file);
        c->basic.password = copy_secret(a, config->basic_auth->password);
        c->basic.password_file = arena_str(a, config->basic_auth->password_file);
    } else if (config->authorization != NULL) {
        c->auth = HTTP_AUTH_HEADER;
        c->authorization.type = arena_str(a, config->authorization->type);
        c->authorization.credentials = copy_secret(a, config->authorization->credentials);
        c->authorization.credentials_file = arena_str(a, config->authorization->credentials_file);
    } else if (config->oauth2 != NULL) {
        c->auth = HTTP_AUTH_OAUTH2;
        return copy_oauth2(c, config->oauth2, err);
    }
    return true;
}

bool
http_client_new(const struct http_client_config *config, const char *name,
                struct http_client **client, struct error *err)
{
    struct http_client *c = MEM_NEW(struct http_client);

    curl_global_init(CURL_GLOBAL_DEFAULT); /* counted and thread-safe in curl 7.84 and later */
    atomic_init(&c->refs, 1);
    arena_init(&c->arena, SIZE_MAX);
    lock_init(&c->lock, LOCK_RANK_NONE, "http client");
    memset(c->route.memfds, -1, sizeof c->route.memfds);
    memset(c->oauth2_route.memfds, -1, sizeof c->oauth2_route.memfds);
    c->name = arena_str(&c->arena, str_c(name)).p;
    c->follow_redirects = config->follow_redirects;
    c->http2 = config->enable_http2;
    copy_headers(c, config);
    if (!copy_credentials(c, config, err) ||
        !route_ready(&c->arena, &config->tls, &config->proxy, &c->route, err)) {
        http_client_unref(c);
        return false;
    }
    *client = c;
    return true;
}

struct http_client *
http_client_ref(struct http_client *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void
http_client_unref(struct http_client *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    route_fini(&c->route);
    route_fini(&c->oauth2_route);
    mem_free(c->token);
    lock_fini(&c->lock);
    arena_fini(&c->arena);
    mem_free(c);
}

static void
apply_tls(const struct http_route *route, CURL *easy)
{
    /* Without a verification the system's bundle would be parsed for nothing, at some 10 ms per
     * connection. */
    if (route->ca != NULL || route->insecure) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, route->ca);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(easy, CURLOPT_SSLCERT, route->cert);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, route->key);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, route->versions);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, route->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, route->insecure ? 0L : 2L);
}

/* Left to itself curl would look into the environment: an empty proxy says no. */
void
http_route_apply(const struct http_route *route, CURL *easy)
{
    apply_tls(route, easy);
    if (!route->from_environment) {
        curl_easy_setopt(easy, CURLOPT_PROXY, route->use_proxy ? route->proxy : "");
        curl_easy_setopt(easy, CURLOPT_NOPROXY, route->no_proxy == NULL ? "" : route->no_proxy);
    }
    if (route->connect_headers != NULL) {
        curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
        curl_easy_setopt(easy, CURLOPT_PROXYHEADER, route->connect_headers);
    }
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
}

void
http_client_apply(const struct http_client *c, CURL *easy)
{
    http_route_apply(&c->route, easy);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, c->follow_redirects ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     c->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
}

/* The given text, or the trimmed content of the file. */
static bool
value_or_file(const char *what, struct str value, struct str file, struct buf *out,
              struct error *err)
{
    char *text, path[4096];
    size_t n;

    if (file.n == 0) {
        buf_str(out, value);
        return true;
    }
    snprintf(path, sizeof path, "%.*s", STR_ARG(file));
    if (!io_read_file(io_posix(), path, CREDENTIAL_BYTES_MAX, &text, &n, err))
        return error_wrap(err, "unable to read %s: unable to read file %s", what, path);
    buf_str(out, str_trim((struct str){ text, n }));
    mem_free(text);
    return true;
}

static void
put_base64(struct buf *out, struct str s)
{
    uint8_t *to = buf_reserve(out, BASE64_ENCODE_RAW_LENGTH(s.n) + 1);

    base64_encode_raw((char *)to, s.n, (const uint8_t *)s.p);
    out->n += BASE64_ENCODE_RAW_LENGTH(s.n);
}

static bool
basic_header(const struct http_client *c, struct buf *line, struct error *err)
{
    struct buf pair = { 0 };
    bool ok =
        value_or_file("basic auth username", c->basic.username, c->basic.username_file, &pair, err);

    buf_byte(&pair, ':');
    ok = ok && value_or_file("basic auth password", secret_reveal(c->basic.password),
                             c->basic.password_file, &pair, err);
    buf_c(line, "Authorization: Basic ");
    put_base64(line, buf_as_str(&pair));
    buf_fini(&pair);
    return ok;
}

static bool
authorization_header(const struct http_client *c, struct buf *line, struct error *err)
{
    struct str type = c->authorization.type.n == 0 ? STR("Bearer") : c->authorization.type;

    buf_printf(line, "Authorization: %.*s ", STR_ARG(type));
    return value_or_file("authorization credentials", secret_reveal(c->authorization.credentials),
                         c->authorization.credentials_file, line, err);
}

static bool
credentials_header(struct http_client *c, struct buf *line, struct error *err)
{
    switch (c->auth) {
    case HTTP_AUTH_BASIC:
        return basic_header(c, line, err);
    case HTTP_AUTH_HEADER:
        return authorization_header(c, line, err);
    case HTTP_AUTH_OAUTH2:
        lock_take(&c->lock);
        buf_printf(line, "Authorization: %s", c->token == NULL ? "" : c->token);
        lock_release(&c->lock);
        return true;
    default:
        return true;
    }
}

/* A line break would start a header of its own. */
static bool
add_line(struct buf *line, struct curl_slist **list, struct error *err)
{
    if (memchr(line->p, '\n', line->n) != NULL || memchr(line->p, '\r', line->n) != NULL)
        return error_set(err, ERR_INVALID, "net/http: invalid header field value");
    *list = http_slist(*list, buf_z(line));
    buf_reset(line);
    return true;
}

static bool
add_configured(const struct http_header_config *h, struct buf *line, struct curl_slist **list,
               struct error *err)
{
    bool ok = true;

    for (size_t i = 0; ok && i < h->values.nr + h->secrets.nr + h->files.nr; i++) {
        size_t secret = i - h->values.nr, file = secret - h->secrets.nr;
        struct str value = i < h->values.nr         ? h->values.items[i]
                           : secret < h->secrets.nr ? secret_reveal(h->secrets.items[secret])
                                                    : STR_NONE;
        struct str path = i >= h->values.nr + h->secrets.nr ? h->files.items[file] : STR_NONE;
        buf_printf(line, "%.*s: ", STR_ARG(h->name));
        ok = value_or_file("http header", value, path, line, err) && add_line(line, list, err);
    }
    return ok;
}

bool
http_client_headers(struct http_client *c, struct curl_slist **list, struct error *err)
{
    struct buf line = { 0 };
    bool ok = true;

    for (size_t i = 0; ok && i < c->headers_nr; i++)
        ok = add_configured(&c->headers[i], &line, list, err);
    ok = ok && credentials_header(c, &line, err);
    if (ok && line.n != 0)
        ok = add_line(&line, list, err);
    buf_fini(&line);
    return ok;
}

bool
http_client_wants_token(struct http_client *c, int64_t now_ns)
{
    if (c->auth != HTTP_AUTH_OAUTH2)
        return false;
    lock_take(&c->lock);
    bool wants = c->token == NULL || now_ns >= c->token_until_ns;
    lock_release(&c->lock);
    return wants;
}

static void
put_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = (uint8_t)s.p[i];
        bool plain = (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'z') ||
                     b == '-' || b == '_' || b == '.' || b == '~';
        if (plain)
            buf_byte(out, b);
        else if (b == ' ')
            buf_byte(out, '+');
        else
            buf_printf(out, "%%%02X", b);
    }
}

static void
put_field(struct buf *form, const char *name, struct str value)
{
    buf_printf(form, "%s%s=", form->n == 0 ? "" : "&", name);
    put_escaped(form, value);
}

static void
put_scopes(struct buf *form, const struct conf_strs *scopes)
{
    struct buf joined = { 0 };

    for (size_t i = 0; i < scopes->nr; i++)
        buf_printf(&joined, "%s%.*s", i == 0 ? "" : " ", STR_ARG(scopes->items[i]));
    if (joined.n != 0)
        put_field(form, "scope", buf_as_str(&joined));
    buf_fini(&joined);
}

/* Go first sends id and secret as basic auth, and in the form when the server refuses that. */
static void
put_client(const struct http_client *c, bool in_body, struct str secret, struct buf *form,
           struct curl_slist **headers)
{
    struct buf pair = { 0 }, line = { 0 };

    if (in_body) {
        put_field(form, "client_id", c->oauth2.client_id);
        put_field(form, "client_secret", secret);
        return;
    }
    put_escaped(&pair, c->oauth2.client_id);
    buf_byte(&pair, ':');
    put_escaped(&pair, secret);
    buf_c(&line, "Authorization: Basic ");
    put_base64(&line, buf_as_str(&pair));
    *headers = http_slist(*headers, buf_z(&line));
    buf_fini(&pair);
    buf_fini(&line);
}

bool
http_token_form(struct http_client *c, struct buf *form, struct curl_slist **headers,
                struct error *err)
{
    struct buf secret = { 0 };
    bool ok = value_or_file("oauth2 client secret", secret_reveal(c->oauth2.client_secret),
                            c->oauth2.client_secret_file, &secret, err);

    lock_take(&c->lock);
    bool in_body = c->token_secret_in_body;
    lock_release(&c->lock);
    buf_reset(form);
    put_field(form, "grant_type", STR("client_credentials"));
    put_scopes(form, &c->oauth2.scopes);
    for (size_t i = 0; i < c->oauth2.endpoint_params.nr; i++) {
        buf_byte(form, '&');
        put_escaped(form, c->oauth2.endpoint_params.items[i].name);
        buf_byte(form, '=');
        put_escaped(form, c->oauth2.endpoint_params.items[i].value);
    }
    put_client(c, in_body, buf_as_str(&secret), form, headers);
    buf_fini(&secret);
    return ok;
}

/* {"access_token": "...", "token_type": "Bearer", "expires_in": 3600} */
static bool
token_parse(struct http_client *c, struct str body, int64_t now_ns, struct error *err)
{
    json_error_t why;
    json_t *root = json_loadb(body.p == NULL ? "" : body.p, body.n, 0, &why);
    const char *access = json_string_value(json_object_get(root, "access_token"));
    const char *type = json_string_value(json_object_get(root, "token_type"));
    json_t *expires = json_object_get(root, "expires_in");
    double seconds =
        json_is_string(expires) ? atof(json_string_value(expires)) : json_number_value(expires);

    if (access == NULL || access[0] == '\0') {
        json_decref(root);
        return error_set(err, ERR_IO, "oauth2: server response missing access_token");
    }
    if (type == NULL || type[0] == '\0' || strcasecmp(type, "bearer") == 0)
        type = "Bearer";
    struct buf token = { 0 };
    buf_printf(&token, "%s %s", type, access);
    lock_take(&c->lock);
    mem_free(c->token);
    c->token = mem_strdup(buf_z(&token));
    c->token_until_ns = seconds <= 0 || seconds > 1e9
                            ? INT64_MAX
                            : now_ns + (int64_t)((seconds - TOKEN_EARLY_S) * 1e9);
    lock_release(&c->lock);
    buf_fini(&token);
    json_decref(root);
    return true;
}

bool
http_token_take(struct http_client *c, long status, const char *status_text, struct str body,
                int64_t now_ns, bool *again, struct error *err)
{
    *again = false;
    if (status >= 200 && status <= 299)
        return token_parse(c, body, now_ns, err);
    lock_take(&c->lock);
    *again = !c->token_secret_in_body && c->token == NULL;
    if (*again)
        c->token_secret_in_body = true;
    else if (c->token == NULL)
        c->token_secret_in_body = false; /* neither form is taken: begin anew next time */
    lock_release(&c->lock);
    return *again ||
           error_set(err, ERR_IO, "oauth2: cannot fetch token: %s\nResponse: %.*s", status_text,
                     (int)MIN(body.n, (size_t)1024), body.p == NULL ? "" : body.p);
}
