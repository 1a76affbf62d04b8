/* Commands that ask a running server. */
#include <math.h>
#include <stdio.h>

#include "base/decimal.h"
#include "cmd/tool.h"
#include "cmd/tool_http.h"

#define NS_PER_S         INT64_C(1000000000)
#define CHECK_TIMEOUT_MS 10000
/* A range query without a step has about so many points. */
#define RANGE_POINTS_NR  250
#define RANGE_DEFAULT_NS (300 * NS_PER_S)
/* How far a call without bounds looks in both directions. */
#define FAR_NS           (9999 * 3600 * NS_PER_S)

/* ---- healthy, ready ---- */

static int
check_server(struct tool *t, const char *path)
{
    struct tool_http h;
    struct error err = { 0 };
    bool ok = tool_http_open(&h, t, tool_str(&t->line, "url"), &err) &&
              tool_http_get(&h, path, CHECK_TIMEOUT_MS, &err);

    if (ok && h.status != 200)
        ok = error_set(&err, ERR_UNAVAILABLE, "check failed: URL=%s, status=%ld", buf_z(&h.base),
                       h.status);
    if (ok)
        fprintf(stderr, "  SUCCESS:  %s\n", buf_z(&h.body));
    tool_http_close(&h);
    return ok ? TOOL_OK : tool_fail(&err);
}

int
tool_check_healthy(struct tool *t)
{
    return check_server(t, "/-/healthy");
}

int
tool_check_ready(struct tool *t)
{
    return check_server(t, "/-/ready");
}

/* ---- queries ---- */

typedef void (*print_fn)(json_t *data, bool as_json, struct buf *out);

static int
call_and_print(struct tool *t, const char *path, struct buf *params, bool get, print_fn print)
{
    bool as_json = str_is(tool_str(&t->line, "format"), "json");
    struct tool_http h;
    struct error err = { 0 };
    struct buf out = { 0 };
    json_t *root = NULL, *data = NULL;
    bool ok = tool_http_open(&h, t, tool_str(&t->line, "server"), &err) &&
              tool_http_call(&h, path, params, get, &root, &data, &err);

    if (ok) {
        print(data, as_json, &out);
        tool_put(&out, stdout);
        json_decref(root);
    } else {
        error_wrap(&err, "query error");
    }
    buf_fini(&out);
    tool_http_close(&h);
    return ok ? TOOL_OK : tool_fail(&err);
}

/* A time flag; dflt_ns when it is not given. */
static bool
time_flag(struct tool *t, const char *name, const char *said, int64_t dflt_ns, int64_t *ns,
          struct error *err)
{
    *ns = dflt_ns;
    return tool_str(&t->line, name).n == 0 || tool_parse_time(tool_str(&t->line, name), ns, err) ||
           error_wrap(err, "error parsing %s time", said);
}

int
tool_query_instant(struct tool *t)
{
    struct buf params = { 0 };
    struct error err = { 0 };
    int64_t at_ns;

    if (!time_flag(t, "time", "evaluation", clock_now_ns(t->clock), &at_ns, &err))
        return tool_fail(&err);
    tool_http_param(&params, "query", tool_str(&t->line, "expr"));
    tool_http_time(&params, "time", at_ns);
    int status = call_and_print(t, "/api/v1/query", &params, false, tool_print_value);
    buf_fini(&params);
    return status;
}

int
tool_query_range(struct tool *t)
{
    struct buf params = { 0 };
    struct error err = { 0 };
    int64_t start_ns, end_ns, step_ns = tool_duration_ns(&t->line, "step");
    char text[DECIMAL_BYTES_MAX];

    if (!time_flag(t, "end", "end", clock_now_ns(t->clock), &end_ns, &err) ||
        !time_flag(t, "start", "start", end_ns - RANGE_DEFAULT_NS, &start_ns, &err))
        return tool_fail(&err);
    if (start_ns >= end_ns) {
        error_set(&err, ERR_INVALID, "start time is not before end time");
        return tool_fail(&err);
    }
    if (step_ns == 0) {
        double s = floor((double)(end_ns - start_ns) / 1e9 / RANGE_POINTS_NR);
        step_ns = (int64_t)fmax(s, 1) * NS_PER_S;
    }
    tool_http_param(&params, "query", tool_str(&t->line, "expr"));
    tool_http_time(&params, "start", start_ns);
    tool_http_time(&params, "end", end_ns);
    size_t n = decimal_format_fixed((double)step_ns / 1e9, text);
    tool_http_param(&params, "step", (struct str){ text, n });
    int status = call_and_print(t, "/api/v1/query_range", &params, false, tool_print_value);
    buf_fini(&params);
    return status;
}

/* match[], start and end. */
static bool
selection_params(struct tool *t, struct buf *params, struct error *err)
{
    int64_t now_ns = clock_now_ns(t->clock), start_ns, end_ns;
    size_t nr;
    const struct str *match = tool_strs(&t->line, "match", &nr);

    if (!time_flag(t, "start", "start", now_ns - FAR_NS, &start_ns, err) ||
        !time_flag(t, "end", "end", now_ns + FAR_NS, &end_ns, err))
        return false;
    for (size_t i = 0; i < nr; i++)
        tool_http_param(params, "match[]", match[i]);
    tool_http_time(params, "start", start_ns);
    tool_http_time(params, "end", end_ns);
    return true;
}

int
tool_query_series(struct tool *t)
{
    struct buf params = { 0 };
    struct error err = { 0 };
    int status = selection_params(t, &params, &err)
                     ? call_and_print(t, "/api/v1/series", &params, false, tool_print_series)
                     : tool_fail(&err);

    buf_fini(&params);
    return status;
}

int
tool_query_labels(struct tool *t)
{
    struct buf params = { 0 }, path = { 0 };
    struct error err = { 0 };
    int status;

    /* The name is a part of the path: escaped as one. */
    buf_c(&path, "/api/v1/label/");
    struct str name = tool_str(&t->line, "name");
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c > ' ' && c < 0x7f && strchr("/?#%", c) == NULL)
            buf_byte(&path, c);
        else
            buf_printf(&path, "%%%02X", c);
    }
    buf_c(&path, "/values");
    status = selection_params(t, &params, &err)
                 ? call_and_print(t, buf_z(&path), &params, true, tool_print_strings)
                 : tool_fail(&err);
    buf_fini(&path);
    buf_fini(&params);
    return status;
}
