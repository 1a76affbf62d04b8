/* cmd/tool_http.h: asking a server's HTTP API. One owner thread; each call waits for its answer. */
#pragma once
#include <jansson.h>

#include "base/buf.h"
#include "base/http_client.h"

struct tool;

struct tool_http {
    struct tool *t;
    struct conf_pool *pool; /* of --http.config.file */
    struct http_client *client;
    struct buf base;            /* the server's URL without a slash at its end */
    struct buf body, body_type; /* the last answer */
    long status;
};

/* url as given on the command line; credentials and TLS as --http.config.file says. */
MUST_CHECK bool
tool_http_open(struct tool_http *h, struct tool *t, struct str url, struct error *err);
void tool_http_close(struct tool_http *h);

/* GET of a path; true when the server answered anything, which is in status and body. */
MUST_CHECK bool
tool_http_get(struct tool_http *h, const char *path, int64_t timeout_ms, struct error *err);

/* Parameters of a call, URL-encoded. */
void tool_http_param(struct buf *params, const char *name, struct str value);
/* A time as seconds. */
void tool_http_time(struct buf *params, const char *name, int64_t ns);

/* Calls an endpoint of the API (by POST, or by GET where that is refused or not wanted) and gives
 * the answer's `data`, to be released by json_decref(*root). The error is in promtool's words. */
MUST_CHECK bool tool_http_call(struct tool_http *h, const char *path, struct buf *params, bool get,
                               json_t **root, json_t **data, struct error *err);

/* tool_query_print.c: what came, as promtool prints it. */
void tool_print_value(json_t *data, bool as_json, struct buf *out);
void tool_print_series(json_t *data, bool as_json, struct buf *out);
void tool_print_strings(json_t *data, bool as_json, struct buf *out);
