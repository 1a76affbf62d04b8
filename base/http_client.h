/* base/http_client.h: every outgoing HTTP request: scrapes, Alertmanager, http_sd, remote write;
 * over libcurl's multi.
 *
 * An http_client is the reusable part of one configuration block (TLS, credentials, proxy, headers,
 * redirects): immutable after http_client_new(), reference counted, shared by all targets of a job;
 * files with credentials are re-read when they change, OAuth 2 tokens are fetched and kept until
 * they expire. An http_loop is one event loop on one owner thread: requests are started on it and
 * their done() runs on it. The connection cache is sized above the number of targets. Bodies are
 * not decoded by curl: gzip is inflated here under the caller's limit (a bomb stops at bytes_max).
 */
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

struct http_client_config; /* base/http_client_config.h */
struct http_client;
struct http_loop;
struct http_request;

MUST_CHECK bool http_client_new(const struct http_client_config *config, const char *name,
                                struct http_client **client, struct error *err);
struct http_client *http_client_ref(struct http_client *c);
void http_client_unref(struct http_client *c);

/* What to send. Strings are borrowed until done() or http_request_cancel() returns. */
struct http_send {
    const char *method; /* "GET", "POST" */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct bytes body;          /* for POST */
    int64_t timeout_ms;         /* whole exchange */
    uint64_t bytes_max; /* decoded body limit, 0: none; over it the exchange fails with ERR_LIMIT */
    struct buf *body_into; /* where the decoded body goes (reset first); owned by the caller */
};

struct http_reply {
    bool ok; /* a response was read to its end; else err says why not */
    long status;
    char status_text[128]; /* "404 Not Found", as the server said it */
    char content_type[256];
    char retry_after[64];
    uint64_t wire_bytes; /* body bytes as received */
    bool gzipped;        /* the body had Content-Encoding: gzip (decoded all the same) */
    int64_t duration_ns;
    struct error *err; /* borrowed during done() */
};

typedef void (*http_done_fn)(void *arg, const struct http_reply *reply);

/* The loop's thread calls tick() when the time asked for has come; it returns the monotonic time in
 * ns at which it wants to run next (INT64_MAX: only on wake-up). */
typedef int64_t (*http_tick_fn)(void *arg, int64_t monotonic_ns);

/* Starts a thread. tick may be NULL. connections_max: size of the connection cache, 0: curl's
 * default. */
struct http_loop *
http_loop_new(const char *name, const struct clock *clock, http_tick_fn tick, void *arg);
/* Cancels what runs (done() is called with ERR_CANCELED), joins the thread. */
void http_loop_free(struct http_loop *loop);
void http_loop_set_connections(struct http_loop *loop,
                               unsigned connections_max); /* on the loop's thread */
/* From any thread: makes tick() run soon. */
void http_loop_wake(struct http_loop *loop);
/* From any thread: runs fn(arg) on the loop's thread soon, in order. */
void http_loop_call(struct http_loop *loop, void (*fn)(void *arg), void *arg);

/* On the loop's thread only. done() is called exactly once, later, on that thread. */
struct http_request *http_request_start(struct http_loop *loop, struct http_client *client,
                                        const struct http_send *send, http_done_fn done, void *arg);
/* On the loop's thread: stops it; done() is called with ERR_CANCELED before this returns. */
void http_request_cancel(struct http_request *r);

/* Bodies without a limit of the caller's end here. */
#define HTTP_BODY_BYTES_MAX (512u << 20)

/* For threads that may wait (notifier, http_sd, OAuth 2): one exchange, blocking. */
MUST_CHECK bool http_exchange(struct http_client *client, const struct http_send *send,
                              struct http_reply *reply, struct error *err);
