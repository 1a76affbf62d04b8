/* The browser UI: one page for every view, and its files. */
#include "http/http_priv.h"

/* The path of the external URL, without a slash at its end. */
static struct str
external_path(struct call *c)
{
    struct str url = c->h->deps.external_url;
    size_t colon = str_find(url, ':', 0);

    if (colon + 3 > url.n)
        return STR("");
    url = str_skip(url, colon + 3);
    url = str_skip(url, str_find(url, '/', 0));
    while (url.n > 0 && url.p[url.n - 1] == '/')
        url.n--;
    return url;
}

void
raw_home(struct call *c)
{
    call_redirect(c, 302, "Found",
                  arena_printf(call_arena(c), "%.*s%s", STR_ARG(external_path(c)),
                               c->h->deps.agent ? "/agent" : "/query"));
}

void
raw_graph(struct call *c)
{
    call_redirect(c, 302, "Found",
                  arena_printf(call_arena(c), "%.*s/query?%.*s", STR_ARG(external_path(c)),
                               STR_ARG(c->req->query)));
}

/* No page of ours is framed, and nothing but our own files runs in it. */
static void
serve(struct call *c, const struct web_file *file)
{
    if (file == NULL) {
        call_error_text(c, 404, STR("404 page not found"));
        return;
    }
    c->resp->status = 200;
    c->resp->static_body = file->bytes;
    http_response_header(c->resp, STR("Content-Type"), str_c(file->type));
    http_response_header(c->resp, STR("X-Content-Type-Options"), STR("nosniff"));
    http_response_header(c->resp, STR("Cache-Control"), STR("no-cache"));
    http_response_header(c->resp, STR("Content-Security-Policy"),
                         STR("default-src 'none'; script-src 'self'; style-src 'self'; img-src "
                             "'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; "
                             "frame-ancestors 'self'"));
}

/* One place of the page names where it is mounted, so that it works behind any prefix. */
void
raw_page(struct call *c)
{
    static const char mark[] = "BASE_PATH/";
    const struct web_file *file = web_file_find(STR("index.html"));

    serve(c, file);
    if (file == NULL)
        return;
    const char *at = memmem(file->bytes.p, file->bytes.n, mark, sizeof mark - 1);
    if (at == NULL)
        return;
    struct buf *out = &c->resp->body;
    struct str base = external_path(c);
    buf_add(out, file->bytes.p, (size_t)(at - file->bytes.p));
    for (size_t i = 0; i < base.n; i++)
        if (base.p[i] != '"' && base.p[i] != '<' && base.p[i] != '&')
            buf_byte(out, (uint8_t)base.p[i]);
    buf_byte(out, '/');
    size_t done = (size_t)(at - file->bytes.p) + sizeof mark - 1;
    buf_add(out, file->bytes.p + done, file->bytes.n - done);
    c->resp->static_body = STR_NONE;
}

void
raw_asset(struct call *c)
{
    struct str path = c->req->path;

    if (str_is(path, "/favicon.ico"))
        path = STR("/favicon.svg");
    path = str_starts(path, STR("/assets/")) ? str_skip(path, 8) : str_skip(path, 1);
    serve(c, web_file_find(path));
}
