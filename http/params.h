/* http/params.h: the parameters of a request: finding them, and reading times, durations and
 * numbers as Prometheus's API does.
 *
 * Errors are ERR_INVALID with Prometheus's texts: `invalid parameter "limit": limit must be
 * non-negative`. Pure. */
#pragma once
#include "base/error.h"
#include "http/server.h"

/* Pairs after this many are not looked at. */
#define HTTP_PARAMS_MAX 10000

/* Fills req->params from the form in the body (when content_type says so) and the URL, in that
 * order, and req->params_error. */
void http_request_params(struct http_request *req, struct str content_type);
/* The first value of that name, or "". */
struct str http_param(const struct http_request *req, const char *name);
/* Every value: size_t at = 0; while (http_param_each(req, "match[]", &at, &value)) */
bool
http_param_each(const struct http_request *req, const char *name, size_t *at, struct str *value);
/* The first value in the URL alone. */
struct str http_query_param(const struct http_request *req, const char *name);

/* What the API takes for a time: seconds as a float, or RFC 3339. In ms, rounded as Prometheus
 * does. */
MUST_CHECK bool param_time(struct str text, int64_t *t_ms);
/* Seconds as a float, or a Prometheus duration (5m), in ns; "invalid ..." texts in err. */
MUST_CHECK bool param_duration(struct str text, int64_t *ns, struct error *err);
/* Go's strconv.Atoi for 64 bits: err is its text. */
MUST_CHECK bool param_int(struct str text, const char *go_function, int64_t *v, struct error *err);
MUST_CHECK bool param_bool(struct str text, bool *v);

/* start and end of label calls where the client gave none: Prometheus's MinTime and MaxTime. */
#define PARAM_TIME_MIN INT64_C(-9223309901257974000)
#define PARAM_TIME_MAX INT64_C(9223309901257974999)

/* The parameter `name` of the request, dflt when it is empty or missing. */
MUST_CHECK bool request_time(const struct http_request *req, const char *name, int64_t dflt,
                             int64_t *t_ms, struct error *err);
MUST_CHECK bool request_limit(const struct http_request *req, size_t *limit, struct error *err);
