/* One exchange, on a loop or blocking. An OAuth 2 token that is missing is fetched first by the
 * same request, on a handle of its own, within the same deadline. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/gzip.h"
#include "base/http_priv.h"
#include "base/mem.h"

enum { COMPRESSED_SLACK_BYTES = 64 * 1024, TOKEN_BYTES_MAX = 1 << 20 };

static size_t
body_limit(const struct http_request *r)
{
    uint64_t limit = r->send.bytes_max == 0 ? HTTP_BODY_BYTES_MAX : r->send.bytes_max;

    return (size_t)MIN(limit, (uint64_t)SIZE_MAX / 4);
}

/* Anything but size stops the transfer. */
static size_t
on_body(char *p, size_t size, size_t nr, void *arg)
{
    struct http_request *r = arg;
    size_t n = size * nr;
    bool raw = r->token_easy != NULL || r->reply.gzipped;
    struct buf *to = raw ? &r->wire : r->send.body_into;
    size_t limit = r->token_easy != NULL
                       ? TOKEN_BYTES_MAX
                       : body_limit(r) + (r->reply.gzipped ? (size_t)COMPRESSED_SLACK_BYTES : 0);

    r->reply.wire_bytes += n;
    if (to->n + n > limit) {
        r->over_limit = true;
        return 0;
    }
    buf_add(to, p, n);
    return n;
}

static bool
header_is(struct str line, const char *name, struct str *value)
{
    size_t n = strlen(name);

    if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
        return false;
    *value = str_trim(str_skip(line, n + 1));
    return true;
}

static void
copy_text(char *to, size_t room, struct str s)
{
    snprintf(to, room, "%.*s", STR_ARG(s));
}

/* Each response of a chain of redirects starts anew. */
static void
on_status_line(struct http_request *r, struct str line)
{
    struct str text = str_trim(str_skip(line, str_find(line, ' ', 0)));

    r->in_body = false;
    r->reply.gzipped = false;
    r->reply.content_type[0] = r->reply.retry_after[0] = '\0';
    copy_text(r->reply.status_text, sizeof r->reply.status_text, text);
}

static size_t
on_header(char *p, size_t size, size_t nr, void *arg)
{
    struct http_request *r = arg;
    struct str line = { p, size * nr }, value;

    if (str_starts(line, STR("HTTP/")))
        on_status_line(r, line);
    else if (header_is(line, "Content-Type", &value))
        copy_text(r->reply.content_type, sizeof r->reply.content_type, value);
    else if (header_is(line, "Retry-After", &value))
        copy_text(r->reply.retry_after, sizeof r->reply.retry_after, value);
    else if (header_is(line, "Content-Encoding", &value))
        r->reply.gzipped = value.n == 4 && strncasecmp(value.p, "gzip", 4) == 0;
    else if (str_trim(line).n == 0)
        r->in_body = r->reply.status_text[0] != '1';
    return size * nr;
}

/* Keeps the first address tried: Go's errors name it. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct http_request *r = arg;
    char ip[INET6_ADDRSTRLEN] = "";

    if (r->dialed[0] == '\0' && addr->family == AF_INET) {
        const struct sockaddr_in *in = (const void *)&addr->addr;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        snprintf(r->dialed, sizeof r->dialed, "%s:%u", ip, ntohs(in->sin_port));
    } else if (r->dialed[0] == '\0' && addr->family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)&addr->addr;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        snprintf(r->dialed, sizeof r->dialed, "[%s]:%u", ip, ntohs(in6->sin6_port));
    }
    return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

void
http_request_init(struct http_request *r, struct http_client *client, const struct http_send *send)
{
    *r = (struct http_request){ .client = http_client_ref(client),
                                .send = *send,
                                .started_ns = http_now_ns() };
    buf_reset(send->body_into);
}

void
http_request_fini(struct http_request *r)
{
    if (r->token_easy != NULL)
        curl_easy_cleanup(r->token_easy);
    if (r->easy != NULL && r->loop == NULL)
        curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    curl_slist_free_all(r->connect_to);
    buf_fini(&r->wire);
    buf_fini(&r->form);
    error_clear(&r->err);
    http_client_unref(r->client);
}

/* The URL without its password. */
static void
put_url(struct buf *out, const char *url)
{
    const char *start = strstr(url, "://");
    const char *host = start == NULL ? url : start + 3;
    const char *at = host + strcspn(host, "/?#");

    while (at > host && *at != '@')
        at--;
    const char *colon = at > host ? memchr(host, ':', (size_t)(at - host)) : NULL;
    if (colon == NULL) {
        buf_c(out, url);
        return;
    }
    buf_printf(out, "%.*s:***%s", (int)(colon - url), url, at);
}

/* "Get "http://...": what", as Go's client puts it; what goes wrong inside the body has no such
 * front. */
static void
fail(struct http_request *r, enum err_kind kind, const char *fmt, const char *detail)
{
    struct buf text = { 0 };
    const char *method = r->send.method;

    r->failed = true;
    if (!r->in_body) {
        buf_printf(&text, "%c", method[0]);
        for (const char *p = method + 1; *p != '\0'; p++)
            buf_byte(&text, (uint8_t)tolower((unsigned char)*p));
        buf_c(&text, " \"");
        put_url(&text, r->send.url);
        buf_c(&text, "\": ");
    }
    buf_c(&text, fmt);
    buf_c(&text, detail);
    error_set(&r->err, kind, "%s", buf_z(&text));
    buf_fini(&text);
}

static void
fail_connect(struct http_request *r, CURL *easy)
{
    char detail[256], reason[128];
    long sys = 0;

    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &sys);
    const char *text = strerror_r(sys == 0 ? ECONNREFUSED : (int)sys, reason, sizeof reason);
    snprintf(detail, sizeof detail, "%s: connect: %c%s", r->dialed, tolower((unsigned char)text[0]),
             text + 1);
    fail(r, ERR_IO, "dial tcp ", detail);
    r->err.sys = (int)sys;
}

static void
fail_lookup(struct http_request *r)
{
    char detail[300], *host = NULL;
    CURLU *url = curl_url();

    if (url != NULL && curl_url_set(url, CURLUPART_URL, r->send.url, 0) == CURLUE_OK)
        curl_url_get(url, CURLUPART_HOST, &host, 0);
    snprintf(detail, sizeof detail, "%s: no such host", host == NULL ? "" : host);
    fail(r, ERR_IO, "dial tcp: lookup ", detail);
    curl_free(host);
    curl_url_cleanup(url);
}

static void
fail_verification(struct http_request *r)
{
    const char *why = "certificate signed by unknown authority";

    if (strstr(r->curl_error, "does not match") != NULL ||
        strstr(r->curl_error, "hostname") != NULL)
        why = "certificate is not valid for this name";
    else if (strstr(r->curl_error, "expired") != NULL)
        why = "certificate has expired or is not yet valid";
    fail(r, ERR_IO, "tls: failed to verify certificate: x509: ", why);
}

static void
fail_protocol(struct http_request *r)
{
    char detail[64];

    r->in_body = false;
    if (strstr(r->curl_error, "HTTP/0.9") != NULL) {
        fail(r, ERR_IO, "net/http: HTTP/1.x transport connection broken: malformed HTTP response",
             "");
        return;
    }
    snprintf(detail, sizeof detail, "\"%.*s\"", (int)MIN(strcspn(r->send.url, ":"), (size_t)40),
             r->send.url);
    fail(r, ERR_IO, "unsupported protocol scheme ", detail);
}

static void
fail_handshake(struct http_request *r)
{
    if (strstr(r->curl_error, "unexpected TLS packet") != NULL)
        fail(r, ERR_IO, "http: server gave HTTP response to HTTPS client", "");
    else
        fail(r, ERR_IO, "tls: ", r->curl_error);
}

/* curl's code in the words that people know from Prometheus. */
static void
fail_curl(struct http_request *r, CURL *easy, CURLcode code)
{
    const char *curl_words = r->curl_error[0] != '\0' ? r->curl_error : curl_easy_strerror(code);

    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        fail(r, ERR_TIMEOUT, "context deadline exceeded", "");
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        fail_lookup(r);
        break;
    case CURLE_COULDNT_CONNECT:
        fail_connect(r, easy);
        break;
    case CURLE_GOT_NOTHING:
        fail(r, ERR_IO, "EOF", "");
        break;
    case CURLE_PARTIAL_FILE:
        fail(r, ERR_IO, "unexpected EOF", "");
        break;
    case CURLE_RECV_ERROR:
        fail(r, ERR_IO, r->in_body ? "unexpected EOF" : "read: connection reset by peer", "");
        break;
    case CURLE_TOO_MANY_REDIRECTS:
        r->in_body = false;
        fail(r, ERR_IO, "stopped after 10 redirects", "");
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
        fail_verification(r);
        break;
    case CURLE_UNSUPPORTED_PROTOCOL:
        fail_protocol(r);
        break;
    case CURLE_SSL_CONNECT_ERROR:
        fail_handshake(r);
        break;
    default:
        fail(r, ERR_IO, curl_words, "");
        break;
    }
}

static void
fail_limit(struct http_request *r)
{
    r->failed = true;
    error_set(&r->err, ERR_LIMIT, "body size limit exceeded");
}

static const char *
environment(const char *upper, const char *lower)
{
    const char *v = getenv(upper);

    return v != NULL && v[0] != '\0' ? v : getenv(lower);
}

static void
proxy_from_environment(CURL *easy, const char *url)
{
    bool https = strncasecmp(url, "https:", 6) == 0;
    const char *proxy =
        https ? environment("HTTPS_PROXY", "https_proxy") : environment("HTTP_PROXY", "http_proxy");
    const char *except = environment("NO_PROXY", "no_proxy");
    struct buf list = { 0 };

    buf_printf(&list, "%s%slocalhost,127.0.0.0/8,::1", except == NULL ? "" : except,
               except == NULL ? "" : ",");
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy == NULL ? "" : proxy);
    curl_easy_setopt(easy, CURLOPT_NOPROXY,
                     except != NULL && strcmp(except, "*") == 0 ? "*" : buf_z(&list));
    buf_fini(&list);
}

/* curl takes the name to ask for and to verify from the URL: the URL gets the other name, the
 * connection goes to the real host, and the Host header keeps it. */
static void
name_server(struct http_request *r, CURL *easy, CURLU *url, const char *name,
            struct curl_slist **headers)
{
    char *host = NULL, *port = NULL, *whole = NULL, *given_port = NULL;
    struct buf line = { 0 };

    curl_url_get(url, CURLUPART_HOST, &host, 0);
    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    curl_url_get(url, CURLUPART_PORT, &given_port, 0);
    buf_printf(&line, "Host: %s%s%s", host, given_port == NULL ? "" : ":",
               given_port == NULL ? "" : given_port);
    *headers = http_slist(*headers, buf_z(&line));
    buf_reset(&line);
    buf_printf(&line, "%s:%s:%s:%s", name, port, host, port);
    curl_slist_free_all(r->connect_to);
    r->connect_to = http_slist(NULL, buf_z(&line));
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, r->connect_to);
    curl_url_set(url, CURLUPART_HOST, name, 0);
    curl_url_get(url, CURLUPART_URL, &whole, 0);
    curl_easy_setopt(easy, CURLOPT_URL, whole);
    curl_free(host);
    curl_free(port);
    curl_free(given_port);
    curl_free(whole);
    buf_fini(&line);
}

static void
set_url(struct http_request *r, CURL *easy, const struct http_route *route, const char *text,
        struct curl_slist **headers)
{
    CURLU *url;

    curl_easy_setopt(easy, CURLOPT_URL, text);
    if (route->from_environment)
        proxy_from_environment(easy, text);
    if (route->server_name == NULL || strncasecmp(text, "https:", 6) != 0)
        return;
    url = curl_url();
    if (url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK)
        name_server(r, easy, url, route->server_name, headers);
    curl_url_cleanup(url);
}

static void
set_callbacks(struct http_request *r, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->curl_error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, r);
}

/* What is left of the whole exchange's time; false when nothing is. */
static bool
set_deadline(struct http_request *r, CURL *easy)
{
    int64_t left_ms = r->send.timeout_ms - (http_now_ns() - r->started_ns) / 1000000;

    if (r->send.timeout_ms > 0 && left_ms <= 0) {
        fail(r, ERR_TIMEOUT, "context deadline exceeded", "");
        return false;
    }
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     r->send.timeout_ms > 0 ? (long)MIN(left_ms, (int64_t)1000000000) : 0L);
    return true;
}

static void
set_post(CURL *easy, struct bytes body)
{
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.p == NULL ? "" : (const char *)body.p);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
}

/* curl's own Accept and Expect are taken out: Go sends neither. */
static bool
main_headers(struct http_request *r)
{
    bool accepts = false;

    curl_slist_free_all(r->headers);
    r->headers = NULL;
    for (size_t i = 0; r->send.headers != NULL && r->send.headers[i] != NULL; i++) {
        accepts = accepts || strncasecmp(r->send.headers[i], "Accept:", 7) == 0;
        r->headers = http_slist(r->headers, r->send.headers[i]);
    }
    if (!accepts)
        r->headers = http_slist(r->headers, "Accept:");
    r->headers = http_slist(r->headers, "Expect:");
    struct error err = { 0 };
    bool ok = http_client_headers(r->client, &r->headers, &err);
    if (!ok)
        fail(r, err.kind, "", error_text(&err));
    error_clear(&err);
    return ok;
}

static CURL *
prepare_main(struct http_request *r)
{
    if (r->easy == NULL && r->loop != NULL)
        r->easy = http_loop_handle(r->loop, r->client);
    if (r->easy == NULL) {
        r->easy = curl_easy_init();
        if (r->easy == NULL)
            mem_exhausted(0);
        http_client_apply(r->client, r->easy);
    }
    if (!main_headers(r) || !set_deadline(r, r->easy))
        return NULL;
    set_callbacks(r, r->easy);
    curl_easy_setopt(r->easy, CURLOPT_CONNECT_TO, NULL);
    set_url(r, r->easy, &r->client->route, r->send.url, &r->headers);
    curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(r->easy, CURLOPT_HTTPGET, 1L);
    if (r->send.body.n != 0 || strcmp(r->send.method, "POST") == 0)
        set_post(r->easy, r->send.body);
    if (strcmp(r->send.method, "GET") != 0 && strcmp(r->send.method, "POST") != 0)
        curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, r->send.method);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
    return r->easy;
}

static CURL *
prepare_token(struct http_request *r)
{
    struct error err = { 0 };

    r->token_easy = curl_easy_init();
    if (r->token_easy == NULL)
        mem_exhausted(0);
    http_route_apply(&r->client->oauth2_route, r->token_easy);
    curl_slist_free_all(r->headers);
    r->headers = http_slist(NULL, "Expect:");
    buf_reset(&r->wire);
    if (!http_token_form(r->client, &r->form, &r->headers, &err)) {
        fail(r, err.kind, "", error_text(&err));
        error_clear(&err);
        return NULL;
    }
    if (!set_deadline(r, r->token_easy))
        return NULL;
    set_callbacks(r, r->token_easy);
    set_url(r, r->token_easy, &r->client->oauth2_route, r->client->oauth2.token_url.p, &r->headers);
    set_post(r->token_easy, buf_as_bytes(&r->form));
    curl_easy_setopt(r->token_easy, CURLOPT_HTTPHEADER, r->headers);
    return r->token_easy;
}

CURL *
http_request_prepare(struct http_request *r)
{
    if (http_client_wants_token(r->client, http_now_ns()))
        return prepare_token(r);
    return prepare_main(r);
}

/* True when there is a next transfer: the same form again, or the request itself. */
static bool
token_ended(struct http_request *r, CURLcode code)
{
    struct error err = { 0 };
    long status = 0;
    bool again = false;

    r->in_body = false;
    curl_easy_getinfo(r->token_easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        fail_curl(r, r->token_easy, code);
    else if (!http_token_take(r->client, status, r->reply.status_text, buf_as_str(&r->wire),
                              http_now_ns(), &again, &err))
        fail(r, err.kind, "", error_text(&err));
    error_clear(&err);
    curl_easy_cleanup(r->token_easy);
    r->token_easy = NULL;
    buf_reset(&r->wire);
    r->reply.wire_bytes = 0;
    r->reply.gzipped = false;
    r->dialed[0] = '\0';
    return !r->failed;
}

/* HTTP/2 has no words behind the number: the common ones, as Go adds them. */
static void
fill_status_text(struct http_reply *reply)
{
    static const struct {
        long status;
        const char *text;
    } words[] = { { 200, "OK" },
                  { 204, "No Content" },
                  { 301, "Moved Permanently" },
                  { 302, "Found" },
                  { 304, "Not Modified" },
                  { 400, "Bad Request" },
                  { 401, "Unauthorized" },
                  { 403, "Forbidden" },
                  { 404, "Not Found" },
                  { 405, "Method Not Allowed" },
                  { 408, "Request Timeout" },
                  { 429, "Too Many Requests" },
                  { 500, "Internal Server Error" },
                  { 502, "Bad Gateway" },
                  { 503, "Service Unavailable" },
                  { 504, "Gateway Timeout" } };

    for (size_t i = 0; strlen(reply->status_text) <= 3 && i < ARRAY_LEN(words); i++) {
        if (words[i].status == reply->status)
            snprintf(reply->status_text, sizeof reply->status_text, "%ld %s", reply->status,
                     words[i].text);
    }
}

static void
main_ended(struct http_request *r, CURLcode code)
{
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->reply.status);
    fill_status_text(&r->reply);
    if (r->over_limit)
        fail_limit(r);
    else if (code != CURLE_OK)
        fail_curl(r, r->easy, code);
    else if (r->reply.gzipped && r->wire.n != 0 &&
             !gzip_decode(GZIP_GZIP, buf_as_bytes(&r->wire), body_limit(r), r->send.body_into,
                          &r->err)) {
        r->failed = true;
        if (r->err.kind == ERR_LIMIT)
            fail_limit(r);
    }
}

bool
http_request_ended(struct http_request *r, CURLcode code)
{
    if (r->token_easy != NULL) {
        if (token_ended(r, code))
            return true;
    } else if (!r->failed) {
        main_ended(r, code);
    }
    r->reply.ok = !r->failed;
    r->reply.err = &r->err;
    r->reply.duration_ns = http_now_ns() - r->started_ns;
    return false;
}

bool
http_exchange(struct http_client *client, const struct http_send *send, struct http_reply *reply,
              struct error *err)
{
    struct http_request r;
    CURLcode code = CURLE_FAILED_INIT;
    CURL *easy;

    http_request_init(&r, client, send);
    do {
        easy = http_request_prepare(&r);
        if (easy != NULL)
            code = curl_easy_perform(easy);
        else if (r.token_easy != NULL) {
            curl_easy_cleanup(r.token_easy);
            r.token_easy = NULL;
        }
    } while (http_request_ended(&r, code));
    bool ok = r.reply.ok;
    if (!ok)
        error_copy(err, &r.err);
    *reply = r.reply;
    reply->err = err;
    http_request_fini(&r);
    return ok;
}
