/* base/http_priv.h: what the files of the HTTP client share: http_client.c (configuration as curl
 * options, credentials, tokens), http_request.c (one exchange, its callbacks and error texts),
 * http_loop.c (threads). */
#pragma once
#include <curl/curl.h>

#include "base/arena.h"
#include "base/http_client.h"
#include "base/http_client_config.h"
#include "base/lock.h"

/* TLS and proxy as curl takes them. Strings are in the client's arena. */
struct http_route {
    const char *ca, *cert, *key; /* paths; inline PEM is in memfds, named /proc/self/fd/N */
    int memfds[3];
    const char *server_name; /* NULL: the URL's host */
    bool insecure;
    long versions; /* CURLOPT_SSLVERSION */
    bool use_proxy, from_environment;
    const char *proxy, *no_proxy;
    struct curl_slist *connect_headers;
};

enum http_scheme { HTTP_AUTH_NONE, HTTP_AUTH_BASIC, HTTP_AUTH_HEADER, HTTP_AUTH_OAUTH2 };

struct http_client {
    _Atomic unsigned refs;
    struct arena arena;
    const char *name;
    struct http_route route;
    bool follow_redirects, http2;
    enum http_scheme auth;
    struct http_basic_auth basic;
    struct http_authorization authorization;
    struct http_oauth2 oauth2; /* claims are not kept */
    struct http_route oauth2_route;
    size_t headers_nr;
    struct http_header_config *headers;

    struct lock lock;          /* guards the token */
    char *token;               /* "Bearer ..."; NULL: none yet */
    int64_t token_until_ns;    /* monotonic */
    bool token_secret_in_body; /* the server refused the header form once */
};

/* Sets what stays the same for all requests of a client. */
void http_route_apply(const struct http_route *route, CURL *easy);
void http_client_apply(const struct http_client *c, CURL *easy);

/* Appends the headers of the configuration and the Authorization header, files read anew. False
 * with Go's words when a file cannot be read. */
MUST_CHECK bool
http_client_headers(struct http_client *c, struct curl_slist **list, struct error *err);

/* True when a token must be fetched before a request. */
bool http_client_wants_token(struct http_client *c, int64_t now_ns);
/* The form to post for a token, and the Authorization header that goes with it. */
MUST_CHECK bool http_token_form(struct http_client *c, struct buf *form,
                                struct curl_slist **headers, struct error *err);
/* Takes the token server's answer. *again: ask once more, in the other form. */
MUST_CHECK bool http_token_take(struct http_client *c, long status, const char *status_text,
                                struct str body, int64_t now_ns, bool *again, struct error *err);

struct curl_slist *http_slist(struct curl_slist *list, const char *line);
int64_t http_now_ns(void); /* HTTP keeps real time, whatever the loop's clock says */

/* One exchange. Owned by its loop, or by http_exchange(). */
struct http_request {
    struct http_request *next, **link; /* the loop's list */
    struct http_loop *loop;            /* NULL: blocking */
    struct http_client *client;        /* a reference */
    struct http_send send;
    http_done_fn done;
    void *arg;

    CURL *easy;       /* carries the client's options; goes back to the loop */
    CURL *token_easy; /* while a token is fetched */
    struct curl_slist *headers, *connect_to;
    struct buf wire; /* compressed body, or the token's answer */
    struct buf form;
    struct http_reply reply;
    struct error err;
    int64_t started_ns;
    char curl_error[CURL_ERROR_SIZE];
    char dialed[80]; /* the first address tried */
    bool in_body;    /* a final response's header was read to its end */
    bool over_limit, failed;
};

void
http_request_init(struct http_request *r, struct http_client *client, const struct http_send *send);
/* Prepares the transfer to run next and returns its handle; NULL when the request failed before
 * (r->err says why). */
CURL *http_request_prepare(struct http_request *r);
/* The transfer ended. True: prepare and run again (the token came); false: r->reply is final. */
bool http_request_ended(struct http_request *r, CURLcode code);
void http_request_fini(struct http_request *r);

/* The loop's store of handles with their client's options set. */
CURL *http_loop_handle(struct http_loop *loop, struct http_client *client);
void http_loop_give_back(struct http_loop *loop, struct http_client *client, CURL *easy);
