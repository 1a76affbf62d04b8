/* http/server_priv.h: what the server's files share: connections, the watcher, requests under way.
 */
#pragma once
#include <microhttpd.h>
#include "base/lock.h"
#include "http/server.h"

/* One TCP connection, from accept to close. Everything is guarded by the registry's lock. */
struct http_connection {
    int fd;
    int64_t since_ns; /* in its list: since when */
    enum connection_state {
        CONNECTION_FRESH,   /* headers of the first request have not come */
        CONNECTION_KEPT,    /* between requests */
        CONNECTION_SENDING, /* a body is on its way */
        CONNECTION_BUSY     /* a complete request is being answered; in no list */
    } state;
    bool evicted;
    struct http_request *running;        /* suspended for this request */
    struct http_connection *prev, *next; /* of the list of its state, oldest first */
};

struct waiting_list {
    struct http_connection *first, *last;
};

/* All connections of a server and the thread that watches them. */
struct connections {
    struct lock lock; /* LOCK_HTTP; guards everything but the constants */
    struct cond idle; /* running_nr came to 0 */
    struct waiting_list waiting[CONNECTION_BUSY]; /* by state */
    struct http_connection **by_fd;
    size_t by_fd_cap;
    unsigned nr, running_nr, waiting_nr;
    uint64_t accepted, evicted, late, canceled;
    bool stopping;
    /* constant */
    unsigned max;
    int64_t header_timeout_ns, body_timeout_ns; /* 0: none */
    const struct clock *clock;
    int epoll_fd, wake_fd;
    pthread_t thread;
};

MUST_CHECK bool connections_init(struct connections *c, const struct http_server_options *options,
                                 struct error *err);
/* Joins the watcher; all connections are closed. */
void connections_fini(struct connections *c);
/* Cancels what runs and waits until nothing is suspended. */
void connections_drain(struct connections *c);

struct http_connection *connection_open(struct connections *c, int fd);
void connection_close(struct connections *c, struct http_connection *conn);
/* The headers of a request are complete (SENDING, or BUSY when it has no body), the body is (BUSY),
 * the response was sent (KEPT). An evicted connection stays where it is. */
void
connection_move(struct connections *c, struct http_connection *conn, enum connection_state state);
/* Between these two the request is on the worker pool and its socket is watched. False: the server
 * stops. */
bool
connection_suspend(struct connections *c, struct http_connection *conn, struct http_request *req);
void connection_unwatch(struct connections *c, struct http_connection *conn);
void connections_run_end(struct connections *c);

/* One request under way: made when its first line is read, gone when the response is sent. */
struct pending {
    struct http_request req;
    struct http_response resp;
    struct http_server *server;
    struct MHD_Connection *mhd;
    char *target; /* as in the request line */
    struct buf body;
    size_t body_max, body_seen;
    bool no_room; /* all bodies together were too much: this one is dropped */
    enum http_run how;
    enum { PENDING_HEADERS, PENDING_BODY, PENDING_RUNNING, PENDING_ANSWERED } state;
};

#define HTTP_DAEMONS_MAX 16

struct http_server {
    struct http_callbacks callbacks;
    struct connections connections;
    struct pool *pool;    /* borrowed; NULL: everything runs on the I/O threads */
    struct pool *service; /* owned; for what queries must not delay */
    const struct clock *clock;
    struct log log;
    size_t body_max, bodies_max;
    _Atomic size_t bodies_bytes; /* of all requests that are under way */
    enum http_client_auth client_auth;
    struct MHD_Daemon *daemons[HTTP_DAEMONS_MAX];
    size_t daemons_nr;
    uint16_t port;
};

/* http/listen.c: a bound, listening socket for "host:port"; -1 and err. *port: the one it got. */
int listen_open(struct str address, uint16_t *port, struct error *err);
/* http/tls.c: true when the client's certificate is what the server asks for. */
bool tls_client_ok(struct MHD_Connection *mhd, enum http_client_auth want);
/* http/request.c: splits the target, decodes the path. False: malformed. */
MUST_CHECK bool request_target(struct http_request *req, const char *target);
