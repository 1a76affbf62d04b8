/* http/server.h: the HTTP server: connections, requests, bodies, threads; knows nothing of what is
 * served.
 *
 * libmicrohttpd with epoll and a few I/O threads. The owner gives two callbacks: `begin` when a
 * request's headers are complete (route, authorise, or refuse before any body is read) and `run`,
 * which makes the response: on the I/O thread when begin said that it is cheap, else on the worker
 * pool while the connection is suspended. A watcher thread notices clients that hang up meanwhile
 * and raises request->canceled, closes connections whose first headers do not come in time, and,
 * when slots run short, the oldest connection without a complete request, so that slow sockets
 * never keep others out.
 *
 * http_server_start() binds; http_server_stop() refuses new requests, cancels running ones, waits
 * for them and closes. */
#pragma once
#include <stdatomic.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/pool.h"

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_DELETE = 16,
    HTTP_OPTIONS = 32,
    HTTP_OTHER = 64
};

struct http_param {
    struct str name, value; /* decoded */
};

struct http_connection; /* the server's own */

/* One request. The callbacks may use it until the response is made; everything is in its arena. */
struct http_request {
    enum http_method method;
    struct str path;           /* decoded, "/" first */
    struct str query;          /* behind the '?', as sent */
    struct str host;           /* header Host */
    struct str body;           /* complete, when run() is called */
    struct http_param *params; /* after http_request_params(): the form's, then the URL's */
    size_t params_nr;
    struct str params_error; /* what the first malformed pair was refused for; empty: none */
    const void *route;       /* free for begin(): what it found */
    struct str route_param;
    int64_t begin_ns;      /* monotonic, when the headers were complete */
    _Atomic bool canceled; /* the client has gone, or the server stops */
    struct arena arena;
    struct http_connection *connection;
};

struct http_header_line {
    struct str name, value;
};

#define HTTP_HEADERS_MAX 24

/* The answer. Strings of headers must be static or in the request's arena. */
struct http_response {
    unsigned status;
    struct http_header_line headers[HTTP_HEADERS_MAX];
    size_t headers_nr;
    struct buf body;
    struct str static_body; /* instead of body: lives as long as the server */
    bool close;             /* the connection is not used again */
};

void http_response_header(struct http_response *resp, struct str name, struct str value);

enum http_run {
    HTTP_RUN_INLINE,  /* cheap: on the I/O thread */
    HTTP_RUN_SERVICE, /* may wait for a lock or take some milliseconds: on two threads of the
                         server's own, so that queries which keep every worker busy do not keep
                         /metrics or the list of targets from answering */
    HTTP_RUN_WORKER,  /* may take long */
    HTTP_RUN_REFUSE   /* the response is ready: send it and do not read a body */
};

struct http_callbacks {
    /* body_max: in: the server's default; how many bytes of body to take. */
    enum http_run (*begin)(void *arg, struct http_request *req, struct http_response *resp,
                           size_t *body_max);
    /* Asked again when the body is complete and begin() said HTTP_RUN_WORKER: true makes it inline.
     * May be NULL. */
    bool (*cheap)(void *arg, struct http_request *req);
    /* Makes the response. HTTP_RUN_WORKER, on a service thread only: call again on a worker;
     * anything else: it is made. */
    enum http_run (*run)(void *arg, struct http_request *req, struct http_response *resp);
    /* The response is about to be sent: metrics, common headers, compression is done already. May
     * be NULL. */
    void (*done)(void *arg, const struct http_request *req, const struct http_response *resp);
    void *arg;
};

/* Of clients over TLS. */
enum http_client_auth {
    HTTP_CLIENT_NONE,            /* not asked for */
    HTTP_CLIENT_REQUEST,         /* asked for, whatever comes is fine */
    HTTP_CLIENT_REQUIRE_ANY,     /* some certificate */
    HTTP_CLIENT_VERIFY_IF_GIVEN, /* none, or one of the client CA */
    HTTP_CLIENT_VERIFY           /* one of the client CA */
};

struct http_tls {
    const char *certificate_pem, *key_pem; /* NULL: plain HTTP */
    const char *client_ca_pem;             /* NULL: client certificates are not asked for */
    const char *priorities;                /* GnuTLS's priority string; NULL: its default */
    enum http_client_auth client_auth;
};

struct http_server_options {
    const struct str *listen; /* host:port, :port; every one is bound */
    size_t listen_nr;
    unsigned connections_max; /* over all addresses */
    unsigned io_threads;      /* 0: by CPUs, at most 4 */
    int64_t idle_timeout_ms; /* --web.read-timeout: for a whole request, and between two; 0: none */
    int64_t header_timeout_ms; /* 0: 10 s */
    size_t body_max;           /* 0: 10 MiB, the limit of Go's forms */
    size_t bodies_max;         /* of all requests together; 0: 256 MiB */
    struct http_tls tls;
    struct pool *pool; /* NULL: everything runs on the I/O threads */
    const struct clock *clock;
    struct log log;
};

struct http_server;

MUST_CHECK bool
http_server_start(const struct http_server_options *options, const struct http_callbacks *callbacks,
                  struct http_server **server, struct error *err);
/* Cancels what runs, waits for it, closes every connection. Accepts NULL. */
void http_server_stop(struct http_server *s);
/* The port of the first address: for tests that listen on port 0. */
uint16_t http_server_port(const struct http_server *s);

struct http_server_stats {
    unsigned connections, waiting; /* open; those without a complete request */
    uint64_t accepted, closed;
    uint64_t evicted, late,
        canceled; /* closed for room, for slowness; requests whose client went */
    size_t bodies_bytes;
};
void http_server_stats(struct http_server *s, struct http_server_stats *st);

/* ---- for callbacks ---- */

/* The first header of that name, any case; empty when there is none. Valid until the response is
 * made. */
struct str http_request_header(const struct http_request *req, const char *name);
/* Address of the client, "127.0.0.1:4711" in the arena. */
struct str http_request_client(struct http_request *req);
