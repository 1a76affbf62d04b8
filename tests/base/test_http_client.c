#include "base/http_client.h"

#include <criterion/criterion.h>
#include <time.h>

#include "base/http_client_config.h"
#include "http_server.h"

struct fixture {
    struct server server;
    struct http_client_config config;
    struct http_client *client;
    struct http_send send;
    struct http_reply reply;
    struct buf body;
    struct error err;
    char url[256];
    bool ok;
};

static void
begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    server_start(&f->server, NULL);
    f->config.follow_redirects = true;
    f->send = (struct http_send){ .method = "GET", .timeout_ms = 10000, .body_into = &f->body };
}

static void
end(struct fixture *f)
{
    http_client_unref(f->client);
    server_stop(&f->server);
    buf_fini(&f->body);
    error_clear(&f->err);
}

/* A request for the path; the answer is in f. */
static const char *
get(struct fixture *f, const char *path)
{
    if (f->client == NULL)
        cr_assert(http_client_new(&f->config, "test", &f->client, &f->err), "%s",
                  error_text(&f->err));
    if (path[0] == '/')
        snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u%s", f->server.port, path);
    else
        snprintf(f->url, sizeof f->url, "%s", path);
    f->send.url = f->url;
    error_clear(&f->err);
    f->ok = http_exchange(f->client, &f->send, &f->reply, &f->err);
    return buf_z(&f->body);
}

/* `want` has %s for the URL. */
static void
expect_error(struct fixture *f, const char *path, enum err_kind kind, const char *want)
{
    char text[512];

    get(f, path);
    snprintf(text, sizeof text, want, f->url);
    cr_expect_not(f->ok, "%s", path);
    cr_expect_eq(f->err.kind, kind, "%s: kind %d", path, f->err.kind);
    cr_expect_str_eq(error_text(&f->err), text, "got %s, want %s", error_text(&f->err), text);
}

Test(http_client, gets_a_body_with_its_type_and_status)
{
    struct fixture f;

    begin(&f);
    cr_expect_str_eq(get(&f, "/hello"), "hello");
    cr_expect(f.ok && f.reply.status == 200 && f.reply.wire_bytes == 5);
    cr_expect_str_eq(f.reply.content_type, "text/plain");
    cr_expect_str_eq(f.reply.status_text, "200 OK");
    cr_expect_str_eq(get(&f, "/missing"), "nothing here");
    cr_expect(f.ok && f.reply.status == 404);
    cr_expect_str_eq(f.reply.status_text, "404 Not Found");
    end(&f);
}

Test(http_client, decodes_gzip_under_the_limit)
{
    struct fixture f;

    begin(&f);
    f.send.bytes_max = 1000;
    cr_expect_eq(strlen(get(&f, "/gzip")), 1000, "%s", error_text(&f.err));
    cr_expect(f.ok && f.reply.gzipped && f.reply.wire_bytes < 100);
    f.send.bytes_max = 999;
    expect_error(&f, "/gzip", ERR_LIMIT, "body size limit exceeded");
    expect_error(&f, "/bomb", ERR_LIMIT, "body size limit exceeded");
    expect_error(&f, "/endless", ERR_LIMIT, "body size limit exceeded");
    end(&f);
}

Test(http_client, says_in_the_words_of_go_what_went_wrong)
{
    struct fixture f;

    begin(&f);
    expect_error(&f, "http://127.0.0.1:1/x", ERR_IO,
                 "Get \"%s\": dial tcp 127.0.0.1:1: connect: connection refused");
    expect_error(&f, "ftp://127.0.0.1/x", ERR_IO,
                 "Get \"%s\": unsupported protocol scheme \"ftp\"");
    expect_error(
        &f, "/garbage", ERR_IO,
        "Get \"%s\": net/http: HTTP/1.x transport connection broken: malformed HTTP response");
    char https[64];
    snprintf(https, sizeof https, "https://127.0.0.1:%u/hello", f.server.port);
    expect_error(&f, https, ERR_IO, "Get \"%s\": http: server gave HTTP response to HTTPS client");
    expect_error(&f, "/hangup", ERR_IO, "Get \"%s\": EOF");
    expect_error(&f, "/short", ERR_IO, "unexpected EOF");
    expect_error(&f, "/loop", ERR_IO, "Get \"%s\": stopped after 10 redirects");
    f.send.timeout_ms = 150;
    expect_error(&f, "/slow", ERR_TIMEOUT, "context deadline exceeded");
    get(&f, "http://user:secret@127.0.0.1:1/");
    cr_expect_str_eq(
        error_text(&f.err),
        "Get \"http://user:***@127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused");
    end(&f);
}

Test(http_client, follows_redirects_when_told)
{
    struct fixture f;

    begin(&f);
    cr_expect_str_eq(get(&f, "/redirect"), "hello");
    http_client_unref(f.client);
    f.client = NULL;
    f.config.follow_redirects = false;
    cr_expect_str_eq(get(&f, "/redirect"), "moved");
    cr_expect_eq(f.reply.status, 302);
    end(&f);
}

static bool
has_line(const char *request, const char *line)
{
    return strstr(request, line) != NULL;
}

Test(http_client, sends_headers_and_body)
{
    struct fixture f;
    const char *const headers[] = { "Accept: text/plain", "X-Two: 2", NULL };
    struct str values[] = { STR("a"), STR("b") };
    struct secret secrets[] = { { STR("hidden") } };
    struct http_header_config configured[] = {
        { .name = STR("X-Conf"), .values = { values, 2, true }, .secrets = { secrets, 1, true } },
    };

    begin(&f);
    f.config.headers.items = configured;
    f.config.headers.nr = 1;
    f.send.headers = headers;
    f.send.method = "POST";
    f.send.body = bytes_z("payload");
    const char *echo = get(&f, "/echo");
    cr_expect(strncmp(echo, "POST /echo ", 11) == 0);
    cr_expect(has_line(echo, "Accept: text/plain\r\n") && has_line(echo, "X-Two: 2\r\n"));
    cr_expect(has_line(echo, "X-Conf: a\r\n") && has_line(echo, "X-Conf: b\r\n") &&
              has_line(echo, "X-Conf: hidden\r\n"));
    cr_expect(has_line(echo, "User-Agent: Prometheus/3.14.0\r\n") &&
              has_line(echo, "\r\n\r\npayload"));
    cr_expect_not(has_line(echo, "Expect:"));
    end(&f);
}

Test(http_client, authenticates_by_basic_and_by_header)
{
    struct fixture f;
    struct http_basic_auth basic = { .username = STR("user"), .password = { STR("pass word") } };
    struct http_authorization authorization = { .type = STR("Token"),
                                                .credentials = { STR("abc") } };

    begin(&f);
    f.config.basic_auth = &basic;
    cr_expect(has_line(get(&f, "/echo"), "Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n"));
    http_client_unref(f.client);
    f.client = NULL;
    f.config.basic_auth = NULL;
    f.config.authorization = &authorization;
    cr_expect(has_line(get(&f, "/echo"), "Authorization: Token abc\r\n"));
    end(&f);
}

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
}

Test(http_client, reads_credential_files_anew)
{
    struct fixture f;
    char path[] = "/tmp/narthex-test-XXXXXX", want[256];
    struct http_authorization authorization = { .type = STR("Bearer"),
                                                .credentials_file = { path, sizeof path - 1 } };

    close(mkstemp(path));
    begin(&f);
    f.config.authorization = &authorization;
    write_file(path, "one\n");
    cr_expect(has_line(get(&f, "/echo"), "Authorization: Bearer one\r\n"));
    write_file(path, "two\n");
    cr_expect(has_line(get(&f, "/echo"), "Authorization: Bearer two\r\n"));
    write_file(path, "two\r\nX-Evil: 1\n");
    get(&f, "/echo");
    cr_expect_not(f.ok);
    unlink(path);
    snprintf(want, sizeof want,
             "Get \"%%s\": unable to read authorization credentials: unable to read file %s: open "
             "%s: No such file or directory",
             path, path);
    expect_error(&f, "/echo", ERR_NOT_FOUND, want);
    end(&f);
}

static void
fetch_with_oauth2(const char *token_path, unsigned tokens_want)
{
    struct fixture f;
    char token_url[128];
    struct http_oauth2 oauth2 = { .client_id = STR("id"), .client_secret = { STR("s&cret") } };

    begin(&f);
    int n =
        snprintf(token_url, sizeof token_url, "http://127.0.0.1:%u%s", f.server.port, token_path);
    oauth2.token_url = (struct str){ token_url, (size_t)n };
    f.config.oauth2 = &oauth2;
    cr_expect(has_line(get(&f, "/echo"), "Authorization: Bearer t1\r\n"), "%s", error_text(&f.err));
    cr_expect(has_line(get(&f, "/echo"), "Authorization: Bearer t1\r\n"));
    cr_expect_eq(f.server.tokens_nr, tokens_want);
    end(&f);
}

/* The first server takes id and secret as basic auth, the second only in the form. */
Test(http_client, fetches_an_oauth2_token_once)
{
    fetch_with_oauth2("/token-header", 1);
    fetch_with_oauth2("/token", 1);
}

Test(http_client, tells_that_no_token_was_given)
{
    struct fixture f;
    struct http_oauth2 oauth2 = { .client_id = STR("id") };
    char token_url[128];

    begin(&f);
    int n = snprintf(token_url, sizeof token_url, "http://127.0.0.1:%u/missing", f.server.port);
    oauth2.token_url = (struct str){ token_url, (size_t)n };
    f.config.oauth2 = &oauth2;
    expect_error(&f, "/echo", ERR_IO,
                 "Get \"%s\": oauth2: cannot fetch token: 404 Not Found\nResponse: nothing here");
    end(&f);
}

Test(http_client, goes_through_a_proxy_except_for_listed_hosts)
{
    struct fixture f;
    char proxy[64];

    begin(&f);
    int n = snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", f.server.port);
    f.config.proxy.url = (struct conf_url){ .text = { proxy, (size_t)n }, .given = true };
    const char *echo = get(&f, "http://example.invalid/echo");
    cr_expect(f.ok && strncmp(echo, "GET http://example.invalid/echo ", 32) == 0, "%s",
              error_text(&f.err));
    http_client_unref(f.client);
    f.client = NULL;
    f.config.proxy.no_proxy = STR("example.invalid");
    get(&f, "http://example.invalid/echo");
    cr_expect_str_eq(
        error_text(&f.err),
        "Get \"http://example.invalid/echo\": dial tcp: lookup example.invalid: no such host");
    end(&f);
}

Test(http_client, takes_the_proxy_from_the_environment_when_told)
{
    struct fixture f;
    char proxy[64];

    begin(&f);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", f.server.port);
    setenv("HTTP_PROXY", proxy, 1);
    setenv("NO_PROXY", "other.invalid", 1);
    get(&f, "http://example.invalid/echo");
    cr_expect_not(f.ok); /* not told: the environment is not looked at */
    http_client_unref(f.client);
    f.client = NULL;
    f.config.proxy.from_environment = true;
    const char *echo = get(&f, "http://example.invalid/echo");
    cr_expect(f.ok && strncmp(echo, "GET http://example.invalid/echo ", 32) == 0, "%s",
              error_text(&f.err));
    get(&f, "http://other.invalid/echo");
    cr_expect_not(f.ok);
    cr_expect(strncmp(get(&f, "/echo"), "GET /echo ", 10) ==
              0); /* local addresses never go through it */
    end(&f);
}

/* --- the loop --- */

enum { REQUESTS = 300 };

struct flock {
    struct fixture *f;
    struct http_loop *loop;
    struct buf bodies[REQUESTS];
    _Atomic unsigned done_nr, ok_nr, canceled_nr;
    unsigned started_nr;
    struct http_request *first;
    pthread_mutex_t lock;
    pthread_cond_t all;
    unsigned want;
};

static void
on_done(void *arg, const struct http_reply *r)
{
    struct flock *k = arg;

    k->ok_nr += r->ok;
    k->canceled_nr += !r->ok && r->err->kind == ERR_CANCELED;
    pthread_mutex_lock(&k->lock);
    if (++k->done_nr == k->want)
        pthread_cond_signal(&k->all);
    pthread_mutex_unlock(&k->lock);
}

static void
start_all(void *arg)
{
    struct flock *k = arg;

    for (unsigned i = 0; i < k->want; i++) {
        k->f->send.body_into = &k->bodies[i];
        struct http_request *r = http_request_start(k->loop, k->f->client, &k->f->send, on_done, k);
        k->first = i == 0 ? r : k->first;
    }
}

static void
wait_all(struct flock *k)
{
    pthread_mutex_lock(&k->lock);
    while (k->done_nr < k->want)
        pthread_cond_wait(&k->all, &k->lock);
    pthread_mutex_unlock(&k->lock);
}

static void
flock_begin(struct flock *k, struct fixture *f, const char *path, unsigned want)
{
    memset(k, 0, sizeof *k);
    k->f = f;
    k->want = want;
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->all, NULL);
    get(f, "/hello"); /* makes the client */
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u%s", f->server.port, path);
    k->loop = http_loop_new("test", clock_real(), NULL, NULL);
}

static void
flock_end(struct flock *k)
{
    http_loop_free(k->loop);
    for (unsigned i = 0; i < REQUESTS; i++)
        buf_fini(&k->bodies[i]);
}

Test(http_loop, runs_many_requests_at_once_and_keeps_connections)
{
    static struct flock k;
    struct fixture f;

    begin(&f);
    flock_begin(&k, &f, "/gzip", REQUESTS);
    http_loop_call(k.loop, start_all, &k);
    wait_all(&k);
    cr_expect_eq(k.ok_nr, REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++)
        cr_expect_eq(k.bodies[i].n, 1000);
    unsigned connections = f.server.connections_nr;
    k.done_nr = 0;
    k.want = 10;
    http_loop_call(k.loop, start_all, &k);
    wait_all(&k);
    cr_expect_eq(f.server.connections_nr, connections);
    flock_end(&k);
    end(&f);
}

static void
cancel_first(void *arg)
{
    http_request_cancel(((struct flock *)arg)->first);
}

Test(http_loop, cancels_one_request_and_the_rest_at_its_end)
{
    static struct flock k;
    struct fixture f;

    begin(&f);
    flock_begin(&k, &f, "/slow", 5);
    http_loop_call(k.loop, start_all, &k);
    http_loop_call(k.loop, cancel_first, &k);
    flock_end(&k);
    cr_expect_eq(k.done_nr, 5);
    cr_expect_eq(k.canceled_nr, 5);
    end(&f);
}

Test(http_loop, ends_a_request_that_could_not_start)
{
    static struct flock k;
    struct fixture f;
    struct http_authorization authorization = { .credentials_file = STR("/nonexistent/file") };

    begin(&f);
    f.config.authorization = &authorization;
    flock_begin(&k, &f, "/hello", 3);
    http_loop_call(k.loop, start_all, &k);
    wait_all(&k);
    cr_expect_eq(k.ok_nr, 0);
    cr_expect_eq(k.canceled_nr, 0);
    flock_end(&k);
    end(&f);
}

static int64_t
count_ticks(void *arg, int64_t monotonic_ns)
{
    struct flock *k = arg;

    pthread_mutex_lock(&k->lock);
    if (++k->done_nr == k->want)
        pthread_cond_signal(&k->all);
    pthread_mutex_unlock(&k->lock);
    return monotonic_ns + 1000000;
}

Test(http_loop, ticks_when_asked_and_when_woken)
{
    static struct flock k = { .want = 5,
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .all = PTHREAD_COND_INITIALIZER };

    k.loop = http_loop_new("tick", clock_real(), count_ticks, &k);
    wait_all(&k);
    http_loop_wake(k.loop);
    http_loop_free(k.loop);
    cr_expect_geq(k.done_nr, 5);
}

/* --- TLS --- */

struct certificate {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t pem, key_pem;
};

static void
certificate_make(struct certificate *c, const char *name)
{
    gnutls_x509_privkey_init(&c->key);
    gnutls_x509_privkey_generate(c->key, GNUTLS_PK_ECDSA,
                                 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&c->crt);
    gnutls_x509_crt_set_version(c->crt, 3);
    gnutls_x509_crt_set_serial(c->crt, "\1", 1);
    gnutls_x509_crt_set_activation_time(c->crt, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(c->crt, time(NULL) + 3600);
    gnutls_x509_crt_set_dn_by_oid(c->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                  (unsigned)strlen(name));
    gnutls_x509_crt_set_subject_alt_name(c->crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
                                         0);
    gnutls_x509_crt_set_basic_constraints(c->crt, 1, -1);
    gnutls_x509_crt_set_key(c->crt, c->key);
    cr_assert_eq(gnutls_x509_crt_sign2(c->crt, c->crt, c->key, GNUTLS_DIG_SHA256, 0), 0);
    gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_PEM, &c->pem);
    gnutls_x509_privkey_export2(c->key, GNUTLS_X509_FMT_PEM, &c->key_pem);
    gnutls_certificate_allocate_credentials(&c->credentials);
    gnutls_certificate_set_x509_key(c->credentials, &c->crt, 1, c->key);
}

static void
certificate_free(struct certificate *c)
{
    gnutls_certificate_free_credentials(c->credentials);
    gnutls_x509_crt_deinit(c->crt);
    gnutls_x509_privkey_deinit(c->key);
    gnutls_free(c->pem.data);
    gnutls_free(c->key_pem.data);
}

static void
get_tls(struct fixture *f, const struct tls_config *tls)
{
    char url[128];

    http_client_unref(f->client);
    f->client = NULL;
    f->config.tls = *tls;
    snprintf(url, sizeof url, "https://127.0.0.1:%u/echo", f->server.port);
    get(f, url);
}

Test(http_client, speaks_tls_with_inline_ca_and_server_name)
{
    struct fixture f;
    struct certificate c;

    certificate_make(&c, "narthex.test");
    begin(&f);
    server_stop(&f.server);
    server_start(&f.server, c.credentials);
    struct str pem = { (const char *)c.pem.data, c.pem.size };

    get_tls(&f, &(struct tls_config){ 0 });
    cr_expect(!f.ok && strstr(error_text(&f.err),
                              "tls: failed to verify certificate: x509: certificate signed by "
                              "unknown authority") != NULL,
              "%s", error_text(&f.err));
    get_tls(&f, &(struct tls_config){ .ca = pem });
    cr_expect(!f.ok && strstr(error_text(&f.err), "x509: certificate is not valid for this name") !=
                           NULL,
              "%s", error_text(&f.err));
    get_tls(&f, &(struct tls_config){ .ca = pem, .server_name = STR("narthex.test") });
    cr_expect(f.ok, "%s", error_text(&f.err));
    char host[64];
    snprintf(host, sizeof host, "Host: 127.0.0.1:%u\r\n", f.server.port);
    cr_expect(has_line(buf_z(&f.body), host), "%s", buf_z(&f.body));
    get_tls(&f, &(struct tls_config){ .insecure_skip_verify = true });
    cr_expect(f.ok, "%s", error_text(&f.err));
    get_tls(&f,
            &(struct tls_config){ .insecure_skip_verify = true,
                                  .min_version = TLS_VERSION_13,
                                  .cert = pem,
                                  .key = { { (const char *)c.key_pem.data, c.key_pem.size } } });
    cr_expect(f.ok, "%s", error_text(&f.err));
    end(&f);
    certificate_free(&c);
}
