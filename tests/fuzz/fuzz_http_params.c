/* Parameters of requests: a form as it comes in a body or URL, and every value read as each kind of
 * number and time. */
#include <stdint.h>
#include <stdlib.h>

#include "http/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
read_value(struct str value)
{
    struct error err = { 0 };
    int64_t v;
    bool flag;

    error_ignored(param_time(value, &v));
    error_ignored(param_duration(value, &v, &err));
    error_ignored(param_int(value, "Atoi", &v, &err));
    error_ignored(param_bool(value, &flag));
    error_clear(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t half = n / 2;
    struct http_request req = { .method = HTTP_POST };
    struct error err = { 0 };
    int64_t t_ms;
    size_t limit;

    req.body = (struct str){ (const char *)data, half };
    req.query = (struct str){ (const char *)data + half, n - half };
    arena_init(&req.arena, 256 << 20);
    http_request_params(&req, STR("application/x-www-form-urlencoded"));
    for (size_t i = 0; i < req.params_nr; i++)
        read_value(req.params[i].value);
    error_ignored(request_time(&req, "start", PARAM_TIME_MIN, &t_ms, &err));
    error_ignored(request_limit(&req, &limit, &err));
    ASSERT(http_query_param(&req, "limit").n <= n);
    error_clear(&err);
    arena_fini(&req.arena);
    return 0;
}
