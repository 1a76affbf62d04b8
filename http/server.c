/* The life of a request on libmicrohttpd.
 *
 *   first line read     pending_new()    (its answer is the con_cls of all later calls)
 *   headers complete    answer_headers() begin() routes, refuses or sets the limit of the body
 *   body comes          answer_body()    kept up to the limit, drained above it
 *   body complete       answer_run()     inline, or suspended and submitted to the pool
 *   worker is done      resumed          answer_send() queues the response
 *   response sent       pending_free()
 *
 * A pending belongs to the connection's I/O thread, but for the time of its suspension, when it
 * belongs to a worker; only `canceled` is touched by others. */
#include "http/server_priv.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    /* Header and start of the body. libmicrohttpd clears all of it before each further request of a
     * connection: at 1 MiB (Go's limit) that was 80 % of the CPU of small requests and 1 MiB
     * resident for each connection. Longer queries go by POST. */
    CONNECTION_BYTES = 64 << 10,
    BODY_BYTES_MAX = 10 << 20,
    BODIES_BYTES_MAX = 256 << 20,
    DRAIN_BYTES_MAX =
        64 << 20, /* read and dropped above the limit, so that a client can see the 413 */
    REQUEST_ARENA_BYTES = 256 << 20,
    SERVICE_THREADS = 2,
    SPARE_CONNECTIONS = 64 /* accepted above the limit while evicted ones are being closed */
};

static struct pending *
pending_new(struct http_server *s, const char *target)
{
    struct pending *p = MEM_NEW(struct pending);

    arena_init(&p->req.arena, REQUEST_ARENA_BYTES);
    p->server = s;
    p->target = mem_strdup(target);
    return p;
}

static void
pending_free(struct pending *p)
{
    atomic_fetch_sub(&p->server->bodies_bytes, p->body.n);
    buf_fini(&p->body);
    buf_fini(&p->resp.body);
    arena_fini(&p->req.arena);
    mem_free(p->target);
    mem_free(p);
}

void
http_response_header(struct http_response *resp, struct str name, struct str value)
{
    if (resp->headers_nr < HTTP_HEADERS_MAX)
        resp->headers[resp->headers_nr++] = (struct http_header_line){ name, value };
}

static void
plain_response(struct http_response *resp, unsigned status, const char *text, bool close)
{
    buf_reset(&resp->body);
    resp->status = status;
    resp->headers_nr = 0;
    http_response_header(resp, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    buf_c(&resp->body, text);
    resp->close = close;
}

/* ---- sending */

static struct MHD_Response *
response_make(struct http_response *resp)
{
    size_t n;

    if (resp->static_body.n != 0)
        return MHD_create_response_from_buffer(resp->static_body.n, (void *)resp->static_body.p,
                                               MHD_RESPMEM_PERSISTENT);
    uint8_t *p = buf_take(&resp->body, &n);
    return n == 0 ? (mem_free(p), MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT))
                  : MHD_create_response_from_buffer(n, p, MHD_RESPMEM_MUST_FREE);
}

static void
header_add(struct MHD_Response *mhd, struct str name, struct str value)
{
    char *name_z = str_dup(name), *value_z = str_dup(value);

    MHD_add_response_header(mhd, name_z, value_z);
    mem_free(name_z);
    mem_free(value_z);
}

static enum MHD_Result
answer_send(struct pending *p)
{
    struct http_server *s = p->server;
    struct http_response *resp = &p->resp;

    if (s->callbacks.done != NULL)
        s->callbacks.done(s->callbacks.arg, &p->req, resp);
    struct MHD_Response *mhd = response_make(resp);
    if (mhd == NULL)
        return MHD_NO;
    for (size_t i = 0; i < resp->headers_nr; i++)
        header_add(mhd, resp->headers[i].name, resp->headers[i].value);
    if (resp->close)
        MHD_add_response_header(mhd, MHD_HTTP_HEADER_CONNECTION, "close");
    p->state = PENDING_ANSWERED;
    enum MHD_Result queued = MHD_queue_response(p->mhd, resp->status, mhd);
    MHD_destroy_response(mhd);
    return queued;
}

/* ---- taking */

static enum http_method
method_of(const char *text)
{
    static const struct {
        const char *text;
        enum http_method method;
    } methods[] = { { "GET", HTTP_GET }, { "HEAD", HTTP_HEAD },     { "POST", HTTP_POST },
                    { "PUT", HTTP_PUT }, { "DELETE", HTTP_DELETE }, { "OPTIONS", HTTP_OPTIONS } };

    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].text, text) == 0)
            return methods[i].method;
    return HTTP_OTHER;
}

/* What check_header() has found so far. */
struct framing {
    const char *fault;
    struct str length; /* of the first Content-Length */
};

/* A header line "Name : x" would be read differently by a proxy in front: libmicrohttpd keeps the
 * space, and of two lengths it takes one. */
static enum MHD_Result
check_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_n, const char *value,
             size_t value_n)
{
    struct framing *f = arg;
    struct str v = { value, value_n };

    (void)kind;
    for (size_t i = 0; i < name_n; i++)
        if ((unsigned char)name[i] <= ' ')
            f->fault = "400 Bad Request: white space in a header name\n";
    for (size_t i = 0; i < value_n; i++)
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
            f->fault = "400 Bad Request: invalid header value\n";
    if (strcasecmp(name, "Content-Length") == 0) {
        if (f->length.p != NULL && !str_eq(f->length, v))
            f->fault = "400 Bad Request: two values of Content-Length\n";
        f->length = v;
    }
    return MHD_YES;
}

/* NULL, or why two parsers could disagree about where this request ends. */
static const char *
framing_fault(struct pending *p)
{
    struct str encoding = http_request_header(&p->req, "Transfer-Encoding");
    struct framing f = { 0 };

    MHD_get_connection_values_n(p->mhd, MHD_HEADER_KIND, check_header, &f);
    if (encoding.n != 0 && f.length.p != NULL)
        return "400 Bad Request: both Content-Length and Transfer-Encoding\n";
    if (encoding.n != 0 && !(encoding.n == 7 && strncasecmp(encoding.p, "chunked", 7) == 0))
        return "400 Bad Request: unsupported transfer encoding\n";
    return f.fault;
}

static bool
body_too_large(struct pending *p)
{
    struct str text = http_request_header(&p->req, "Content-Length");
    size_t n = 0;

    for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        n = n * 10 + (size_t)(text.p[i] - '0');
        if (n > p->body_max)
            return true;
    }
    return false;
}

static enum MHD_Result
answer_headers(struct pending *p, const char *method)
{
    struct http_server *s = p->server;
    struct http_request *req = &p->req;

    bool has_body = http_request_header(req, "Content-Length").n != 0 ||
                    http_request_header(req, "Transfer-Encoding").n != 0;
    connection_move(&s->connections, req->connection,
                    has_body ? CONNECTION_SENDING : CONNECTION_BUSY);
    req->method = method_of(method);
    req->host = http_request_header(req, "Host");
    req->begin_ns = clock_monotonic_ns(s->clock);
    p->body_max = s->body_max;
    p->state = PENDING_BODY;
    /* Too late for the handshake, which libmicrohttpd does alone, but before anything is looked at.
     */
    if (!tls_client_ok(p->mhd, s->client_auth))
        return MHD_NO;
    const char *fault = framing_fault(p);
    if (fault == NULL && !request_target(req, p->target))
        fault = "400 Bad Request\n";
    if (fault != NULL) {
        plain_response(&p->resp, 400, fault, true);
        return answer_send(p);
    }
    p->how = s->callbacks.begin(s->callbacks.arg, req, &p->resp, &p->body_max);
    if (p->how == HTTP_RUN_REFUSE)
        return answer_send(p);
    if (body_too_large(p)) {
        plain_response(&p->resp, 413,
                       "413 Request Entity Too Large: http: request body too large\n", true);
        return answer_send(p);
    }
    return MHD_YES;
}

static enum MHD_Result
answer_body(struct pending *p, const char *data, size_t *n)
{
    size_t room = p->body.n < p->body_max + 1 ? p->body_max + 1 - p->body.n : 0;

    /* One byte more than the limit is kept, which is how the end knows. */
    size_t more = p->no_room ? 0 : MIN(*n, room);
    if (atomic_fetch_add(&p->server->bodies_bytes, more) + more > p->server->bodies_max) {
        atomic_fetch_sub(&p->server->bodies_bytes, more + p->body.n);
        buf_fini(&p->body);
        p->no_room = true;
    } else {
        buf_add(&p->body, data, more);
    }
    p->body_seen += *n;
    if (p->body_seen > p->body_max + DRAIN_BYTES_MAX)
        return MHD_NO;
    *n = 0;
    return MHD_YES;
}

/* ---- running */

static void
run_on_worker(void *arg)
{
    struct pending *p = arg;
    struct http_server *s = p->server;
    struct MHD_Connection *mhd = p->mhd;

    if (s->callbacks.run(s->callbacks.arg, &p->req, &p->resp) == HTTP_RUN_WORKER &&
        p->how == HTTP_RUN_SERVICE) {
        p->how = HTTP_RUN_WORKER;
        pool_submit(s->pool, run_on_worker, p);
        return;
    }
    connection_unwatch(&s->connections, p->req.connection);
    /* Once resumed the connection, and p with it, may go at any time; the server stays until the
     * last line. */
    MHD_resume_connection(mhd);
    connections_run_end(&s->connections);
}

/* Without a pool a request comes back from `run` for the worker that it is on already. */
static void
run_inline(struct pending *p)
{
    struct http_callbacks *c = &p->server->callbacks;

    if (c->run(c->arg, &p->req, &p->resp) == HTTP_RUN_WORKER)
        c->run(c->arg, &p->req, &p->resp);
}

static enum MHD_Result
answer_run(struct pending *p)
{
    struct http_server *s = p->server;
    struct http_request *req = &p->req;

    if (p->no_room) {
        plain_response(&p->resp, 503, "Service Unavailable: too many request bodies\n", true);
        return answer_send(p);
    }
    if (p->body.n > p->body_max) {
        plain_response(&p->resp, 413,
                       "413 Request Entity Too Large: http: request body too large\n", true);
        return answer_send(p);
    }
    req->body = buf_as_str(&p->body);
    connection_move(&s->connections, req->connection, CONNECTION_BUSY);
    bool here = p->how == HTTP_RUN_INLINE || s->pool == NULL ||
                (p->how == HTTP_RUN_WORKER && s->callbacks.cheap != NULL &&
                 s->callbacks.cheap(s->callbacks.arg, req));
    if (here) {
        run_inline(p);
        return answer_send(p);
    }
    if (!connection_suspend(&s->connections, req->connection, req)) {
        plain_response(&p->resp, 503, "Service Unavailable", true);
        return answer_send(p);
    }
    p->state = PENDING_RUNNING;
    MHD_suspend_connection(p->mhd);
    pool_submit(p->how == HTTP_RUN_SERVICE ? s->service : s->pool, run_on_worker, p);
    return MHD_YES;
}

static enum MHD_Result
on_access(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
          const char *version, const char *data, size_t *data_n, void **context)
{
    struct pending *p = *context;

    (void)arg;
    (void)url;
    (void)version;
    switch (p->state) {
    case PENDING_HEADERS:
        p->mhd = mhd;
        p->req.connection =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        return answer_headers(p, method);
    case PENDING_BODY:
        return *data_n != 0 ? answer_body(p, data, data_n) : answer_run(p);
    case PENDING_RUNNING:
        return answer_send(p);
    case PENDING_ANSWERED:
        break;
    }
    *data_n = 0;
    return MHD_YES;
}

static void *
on_first_line(void *arg, const char *target, struct MHD_Connection *mhd)
{
    (void)mhd;
    return pending_new(arg, target);
}

static void
on_completed(void *arg, struct MHD_Connection *mhd, void **context,
             enum MHD_RequestTerminationCode code)
{
    struct http_server *s = arg;
    struct pending *p = *context;

    (void)mhd;
    if (p == NULL)
        return;
    struct http_connection *conn = p->req.connection;
    pending_free(p);
    *context = NULL;
    if (conn != NULL && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        connection_move(&s->connections, conn, CONNECTION_KEPT);
}

static void
on_connection(void *arg, struct MHD_Connection *mhd, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = arg;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *context = connection_open(
            &s->connections,
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    else if (*context != NULL)
        connection_close(&s->connections, *context);
}

static void
on_log(void *arg, const char *fmt, va_list ap)
{
    struct http_server *s = arg;
    char text[256];

    vsnprintf(text, sizeof text, fmt, ap);
    log_debug(&s->log, "libmicrohttpd", LOG_S("text", str_trim(str_c(text))));
}

/* ---- starting and stopping */

static unsigned
io_threads(const struct http_server_options *o)
{
    return o->io_threads != 0 ? o->io_threads : MIN(pool_cpus(), 4u);
}

static size_t
tls_options(const struct http_tls *tls, struct MHD_OptionItem *items)
{
    size_t nr = 0;

    if (tls->certificate_pem == NULL)
        return 0;
    items[nr++] =
        (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)tls->certificate_pem };
    items[nr++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)tls->key_pem };
    if (tls->client_ca_pem != NULL)
        items[nr++] =
            (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)tls->client_ca_pem };
    if (tls->priorities != NULL)
        items[nr++] =
            (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)tls->priorities };
    return nr;
}

static struct MHD_Daemon *
daemon_start(struct http_server *s, const struct http_server_options *o, int fd)
{
    unsigned threads = io_threads(o),
             flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem items[8];
    size_t nr = tls_options(&o->tls, items);

    if (o->tls.certificate_pem != NULL)
        flags |= MHD_USE_TLS;
    if (threads > 1)
        items[nr++] =
            (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL };
    items[nr] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_first_line, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        s, MHD_OPTION_CONNECTION_LIMIT, o->connections_max + SPARE_CONNECTIONS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(o->idle_timeout_ms / 1000), MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY,
        items, MHD_OPTION_END);
}

static bool
listen_on(struct http_server *s, const struct http_server_options *o, struct str address,
          struct error *err)
{
    uint16_t port = 0;

    if (s->daemons_nr == HTTP_DAEMONS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d addresses to listen on", HTTP_DAEMONS_MAX);
    int fd = listen_open(address, &port, err);
    if (fd < 0)
        return false;
    struct MHD_Daemon *daemon = daemon_start(s, o, fd);
    if (daemon == NULL) {
        close(fd);
        return error_set(err, ERR_INTERNAL, "cannot start the HTTP server on %.*s",
                         STR_ARG(address));
    }
    s->daemons[s->daemons_nr++] = daemon;
    if (s->port == 0)
        s->port = port;
    return true;
}

bool
http_server_start(const struct http_server_options *options, const struct http_callbacks *callbacks,
                  struct http_server **server, struct error *err)
{
    struct http_server *s = MEM_NEW(struct http_server);

    s->callbacks = *callbacks;
    s->pool = options->pool;
    s->clock = options->clock;
    s->log = options->log;
    s->client_auth = options->tls.client_auth;
    s->body_max = options->body_max != 0 ? options->body_max : BODY_BYTES_MAX;
    s->bodies_max = options->bodies_max != 0 ? options->bodies_max : BODIES_BYTES_MAX;
    if (!connections_init(&s->connections, options, err)) {
        mem_free(s);
        return false;
    }
    if (s->pool != NULL)
        s->service = pool_new(SERVICE_THREADS, "http");
    for (size_t i = 0; i < options->listen_nr; i++) {
        if (!listen_on(s, options, options->listen[i], err)) {
            http_server_stop(s);
            return false;
        }
    }
    *server = s;
    return true;
}

void
http_server_stop(struct http_server *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->daemons_nr; i++) {
        int fd = MHD_quiesce_daemon(s->daemons[i]);
        if (fd >= 0)
            close(fd);
    }
    connections_drain(&s->connections);
    for (size_t i = 0; i < s->daemons_nr; i++)
        MHD_stop_daemon(s->daemons[i]);
    connections_fini(&s->connections);
    pool_free(s->service);
    mem_free(s);
}

uint16_t
http_server_port(const struct http_server *s)
{
    return s->port;
}

void
http_server_stats(struct http_server *s, struct http_server_stats *st)
{
    struct connections *c = &s->connections;

    lock_take(&c->lock);
    *st = (struct http_server_stats){
        .connections = c->nr,
        .waiting = c->waiting_nr,
        .accepted = c->accepted,
        .closed = c->accepted - c->nr,
        .evicted = c->evicted,
        .late = c->late,
        .canceled = c->canceled,
        .bodies_bytes = atomic_load(&s->bodies_bytes),
    };
    lock_release(&c->lock);
}
