#include "cmd/tool_http.h"

#include <stdio.h>

#include "base/decimal.h"
#include "base/http_client_config.h"
#include "base/mem.h"
#include "cmd/tool.h"

#define API_TIMEOUT_MS 120000
#define HEADERS_MAX    64

/* ---- the client ---- */

struct http_file {
    struct http_client_config http;
};

static bool
check_http(struct conf *c, void *obj, struct error *err)
{
    return http_client_config_check(c, &((struct http_file *)obj)->http, err);
}

static const struct conf_row http_rows[] = {
    { .type = CONF_INLINE,
      .offset = offsetof(struct http_file, http),
      .table = &http_client_config_table },
};
static const struct conf_table http_table = { .type = "config.plain",
                                              .bytes = sizeof(struct http_file),
                                              CONF_ROWS(http_rows),
                                              .check = check_http };

static bool
load_file(struct tool_http *h, const char *path, struct http_file *file, struct error *err)
{
    char *text = NULL;
    size_t n = 0;
    bool ok = io_read_file(h->t->io, path, CONF_FILE_BYTES_MAX, &text, &n, err) &&
              conf_load(h->pool, (struct str){ text, n }, &http_table, file, NULL, err);

    mem_free(text);
    if (!ok)
        return error_wrap(err, "Failed to load HTTP config file");
    conf_relocate(h->pool, &http_table, file, conf_dir(str_c(path)));
    return true;
}

bool
tool_http_open(struct tool_http *h, struct tool *t, struct str url, struct error *err)
{
    struct http_file file;

    *h = (struct tool_http){ .t = t, .pool = conf_pool_new() };
    http_client_config_init(&file.http);
    const char *path = tool_z(&t->line, "http.config.file");
    if (*path != '\0' && !load_file(h, path, &file, err))
        return false;
    if (str_starts(url, STR("//")))
        buf_c(&h->base, "http:");
    while (str_ends(url, STR("/")))
        url.n--;
    buf_str(&h->base, url);
    return http_client_new(&file.http, "narthextool", &h->client, err);
}

void
tool_http_close(struct tool_http *h)
{
    http_client_unref(h->client);
    conf_pool_unref(h->pool);
    buf_fini(&h->base);
    buf_fini(&h->body);
}

/* ---- one exchange ---- */

static bool
has_header_flag(struct tool *t)
{
    const struct tool_command *c = t->line.command;

    for (size_t i = 0; i < c->flags_nr; i++)
        if (strcmp(c->flags[i].name, "header") == 0)
            return true;
    return false;
}

/* The headers of --header, and the form's content type; NULL-terminated, in the line's arena. */
static const char *const *
headers_of(struct tool_http *h, bool form)
{
    struct arena *arena = &h->t->line.arena;
    const char **v = ARENA_NEW_ARRAY(arena, const char *, HEADERS_MAX + 2);
    const struct str *given = NULL;
    size_t given_nr = 0, nr = 0;

    if (has_header_flag(h->t))
        given = tool_strs(&h->t->line, "header", &given_nr);
    for (size_t i = 0; i < given_nr && nr < HEADERS_MAX; i++) {
        size_t equals = str_find(given[i], '=', 0);
        v[nr++] = arena_printf(arena, "%.*s: %.*s", (int)equals, given[i].p,
                               STR_ARG(str_skip(given[i], equals + 1)))
                      .p;
    }
    if (form)
        v[nr++] = "Content-Type: application/x-www-form-urlencoded";
    return v;
}

static bool
exchange(struct tool_http *h, const char *method, const char *url, struct bytes body,
         int64_t timeout_ms, struct error *err)
{
    struct http_send send = { .method = method,
                              .url = url,
                              .headers = headers_of(h, body.n > 0),
                              .body = body,
                              .timeout_ms = timeout_ms,
                              .body_into = &h->body };
    struct http_reply reply;

    if (!http_exchange(h->client, &send, &reply, err))
        return false;
    h->status = reply.status;
    return true;
}

bool
tool_http_get(struct tool_http *h, const char *path, int64_t timeout_ms, struct error *err)
{
    struct buf url = { 0 };

    buf_printf(&url, "%s%s", buf_z(&h->base), path);
    bool ok = exchange(h, "GET", buf_z(&url), (struct bytes){ 0 }, timeout_ms, err);
    buf_fini(&url);
    return ok;
}

/* ---- the API ---- */

static void
url_escaped(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain)
            buf_byte(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

void
tool_http_param(struct buf *params, const char *name, struct str value)
{
    if (params->n > 0)
        buf_byte(params, '&');
    url_escaped(str_c(name), params);
    buf_byte(params, '=');
    url_escaped(value, params);
}

void
tool_http_time(struct buf *params, const char *name, int64_t ns)
{
    char text[DECIMAL_BYTES_MAX];
    int64_t s = ns / 1000000000, rest = ns % 1000000000;
    size_t n = decimal_format_fixed((double)s + (double)rest / 1e9, text);

    tool_http_param(params, name, (struct str){ text, n });
}

static bool
post_or_get(struct tool_http *h, const char *path, struct buf *params, bool get, struct error *err)
{
    struct buf url = { 0 };
    bool ok = true;

    buf_printf(&url, "%s%s", buf_z(&h->base), path);
    if (!get)
        ok = exchange(h, "POST", buf_z(&url), buf_as_bytes(params), API_TIMEOUT_MS, err);
    /* Proxies that allow reading only refuse POST. */
    if (ok && (get || h->status == 403 || h->status == 405 || h->status == 501)) {
        buf_printf(&url, "?%s", buf_z(params));
        ok = exchange(h, "GET", buf_z(&url), (struct bytes){ 0 }, API_TIMEOUT_MS, err);
    }
    buf_fini(&url);
    return ok;
}

static bool
refused(struct tool_http *h, struct error *err)
{
    struct str detail = str_trim(buf_as_str(&h->body));
    struct buf said = { 0 };
    long kind = h->status / 100;

    if (kind == 4)
        buf_printf(&said, "client_error: client error: %ld", h->status);
    else if (kind == 5)
        buf_printf(&said, "server_error: server error: %ld", h->status);
    else
        buf_printf(&said, "bad_response: bad response code %ld", h->status);
    if (detail.n > 0)
        buf_printf(&said, " (detail: %.*s)", STR_ARG(detail));
    error_set(err, ERR_IO, "%s", buf_z(&said));
    buf_fini(&said);
    return false;
}

bool
tool_http_call(struct tool_http *h, const char *path, struct buf *params, bool get, json_t **root,
               json_t **data, struct error *err)
{
    json_error_t why;

    if (!post_or_get(h, path, params, get, err))
        return false;
    if (h->status / 100 != 2 && h->status != 400 && h->status != 422)
        return refused(h, err);
    *root = json_loadb((const char *)h->body.p, h->body.n, JSON_ALLOW_NUL, &why);
    if (*root == NULL)
        return error_set(err, ERR_CORRUPT, "bad_response: %s", why.text);
    const char *type = json_string_value(json_object_get(*root, "errorType")),
               *text = json_string_value(json_object_get(*root, "error")),
               *state = json_string_value(json_object_get(*root, "status"));
    *data = json_object_get(*root, "data");
    if (state != NULL && strcmp(state, "error") == 0) {
        error_set(err, ERR_INVALID, "%s: %s", type == NULL ? "" : type, text == NULL ? "" : text);
    } else if (h->status / 100 != 2) {
        error_set(err, ERR_CORRUPT, "bad_response: inconsistent body for response code");
    } else {
        return true;
    }
    json_decref(*root);
    *root = NULL;
    return false;
}
