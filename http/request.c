/* What came from the client: target, headers, parameters. Go's net/http and net/url decide what is
 * well-formed. */
#include <arpa/inet.h>
#include <strings.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/quote.h"
#include "http/params.h"
#include "http/server_priv.h"

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: *bad is the escape that is none, "%zz". */
static bool
unescape(struct arena *a, struct str in, bool plus, struct str *out, struct str *bad)
{
    char *text = arena_alloc(a, in.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] != '%') {
            text[n++] = plus && in.p[i] == '+' ? ' ' : in.p[i];
            continue;
        }
        int high = i + 2 < in.n ? hex_digit(in.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(in.p[i + 2]) : -1;
        if (low < 0) {
            *bad = (struct str){ in.p + i, MIN(in.n - i, (size_t)3) };
            return false;
        }
        text[n++] = (char)(high << 4 | low);
        i += 2;
    }
    text[n] = '\0';
    *out = (struct str){ text, n };
    return true;
}

bool
request_target(struct http_request *req, const char *target)
{
    struct str rest = str_c(target), bad;

    /* The absolute form, which proxies send. */
    if (str_starts(rest, STR("http://")) || str_starts(rest, STR("https://"))) {
        rest = str_skip(rest, str_starts(rest, STR("https")) ? 8 : 7);
        rest = str_skip(rest, str_find(rest, '/', 0));
    }
    size_t mark = str_find(rest, '?', 0);
    struct str path = { rest.p, mark };
    req->query = str_skip(rest, mark < rest.n ? mark + 1 : mark);
    if (path.n == 0)
        path = STR("/");
    return unescape(&req->arena, path, false, &req->path, &bad);
}

struct str
http_request_header(const struct http_request *req, const char *name)
{
    const struct pending *p = CONTAINER_OF(req, struct pending, req);

    if (p->mhd == NULL)
        return STR("");
    const char *value = MHD_lookup_connection_value(p->mhd, MHD_HEADER_KIND, name);
    return value == NULL ? STR("") : str_c(value);
}

struct str
http_request_client(struct http_request *req)
{
    const struct pending *p = CONTAINER_OF(req, struct pending, req);
    const union MHD_ConnectionInfo *info =
        p->mhd == NULL ? NULL : MHD_get_connection_info(p->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "";

    if (info == NULL || info->client_addr == NULL)
        return STR("");
    if (info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *sa = (const struct sockaddr_in6 *)(void *)info->client_addr;
        inet_ntop(AF_INET6, &sa->sin6_addr, text, sizeof text);
        return arena_printf(&req->arena, "[%s]:%u", text, ntohs(sa->sin6_port));
    }
    const struct sockaddr_in *sa = (const struct sockaddr_in *)(void *)info->client_addr;
    inet_ntop(AF_INET, &sa->sin_addr, text, sizeof text);
    return arena_printf(&req->arena, "%s:%u", text, ntohs(sa->sin_port));
}

/* ---- parameters */

struct param_list {
    struct http_param *v;
    size_t nr, cap;
};

static void
refuse(struct http_request *req, const char *what, struct str which)
{
    struct buf text = { 0 };

    if (req->params_error.n != 0)
        return;
    buf_c(&text, what);
    if (which.n != 0)
        quote_go(which, &text);
    req->params_error = arena_str(&req->arena, buf_as_str(&text));
    buf_fini(&text);
}

static void
pair_add(struct http_request *req, struct param_list *list, struct str pair)
{
    struct http_param param;
    struct str bad;
    size_t eq = str_find(pair, '=', 0);
    struct str value = str_skip(pair, eq < pair.n ? eq + 1 : eq);

    if (pair.n == 0)
        return;
    if (str_find(pair, ';', 0) < pair.n) {
        refuse(req, "invalid semicolon separator in query", STR_NONE);
        return;
    }
    if (!unescape(&req->arena, (struct str){ pair.p, eq }, true, &param.name, &bad) ||
        !unescape(&req->arena, value, true, &param.value, &bad)) {
        refuse(req, "invalid URL escape ", bad);
        return;
    }
    ARENA_GROW(&req->arena, list->v, list->nr, list->nr + 1, &list->cap);
    list->v[list->nr++] = param;
}

static void
pairs_add(struct http_request *req, struct param_list *list, struct str text)
{
    while (text.n > 0 && list->nr < HTTP_PARAMS_MAX) {
        size_t end = str_find(text, '&', 0);
        pair_add(req, list, (struct str){ text.p, end });
        text = str_skip(text, end < text.n ? end + 1 : end);
    }
}

void
http_request_params(struct http_request *req, struct str content_type)
{
    struct param_list list = { 0 };

    struct str type = str_trim((struct str){ content_type.p, str_find(content_type, ';', 0) });
    bool form = (req->method & (HTTP_POST | HTTP_PUT)) != 0 &&
                type.n == strlen("application/x-www-form-urlencoded") &&
                strncasecmp(type.p, "application/x-www-form-urlencoded", type.n) == 0;
    if (form)
        pairs_add(req, &list, req->body);
    pairs_add(req, &list, req->query);
    req->params = list.v;
    req->params_nr = list.nr;
}

struct str
http_param(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->params_nr; i++)
        if (str_is(req->params[i].name, name))
            return req->params[i].value;
    return STR("");
}

bool
http_param_each(const struct http_request *req, const char *name, size_t *at, struct str *value)
{
    for (; *at < req->params_nr; (*at)++) {
        if (str_is(req->params[*at].name, name)) {
            *value = req->params[(*at)++].value;
            return true;
        }
    }
    return false;
}

struct str
http_query_param(const struct http_request *req, const char *name)
{
    struct http_request copy = { .method = HTTP_GET, .query = req->query };
    struct str value;

    arena_init_shared(&copy.arena, req->arena.budget);
    http_request_params(&copy, STR_NONE);
    value = arena_str((struct arena *)&req->arena, http_param(&copy, name));
    arena_fini(&copy.arena);
    return value;
}
