#include "cmd/external_url.h"

#include "base/buf.h"
#include "base/mem.h"

static struct str
trim_slashes(struct str s)
{
    while (s.n > 0 && s.p[0] == '/')
        s = str_skip(s, 1);
    while (s.n > 0 && s.p[s.n - 1] == '/')
        s.n--;
    return s;
}

static char *
to_text(struct buf *b)
{
    size_t n;

    buf_byte(b, '\0');
    return (char *)buf_take(b, &n);
}

/* Where the path starts in scheme://host/path, or n. */
static size_t
path_start(struct str url)
{
    const char *sep = memmem(url.p, url.n, "://", 3);

    return sep == NULL ? url.n : str_find(url, '/', (size_t)(sep - url.p) + 3);
}

static bool
check(struct str url, struct error *err)
{
    if (url.n > 0 && (url.p[0] == '"' || url.p[0] == '\'' || url.p[url.n - 1] == '"' ||
                      url.p[url.n - 1] == '\''))
        return error_set(err, ERR_INVALID, "URL must not begin or end with quotes");
    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return error_set(err, ERR_INVALID, "invalid URL \"%.*s\": expected http:// or https://",
                         STR_ARG(url));
    return true;
}

bool
external_url_make(struct str flag, struct str prefix, struct str hostname, struct str listen,
                  struct external_url *out, struct error *err)
{
    struct buf url = { 0 }, route = { 0 };

    if (flag.n == 0) {
        size_t colon = listen.n;
        while (colon > 0 && listen.p[colon - 1] != ':')
            colon--;
        buf_printf(&url, "http://%.*s:%.*s", STR_ARG(hostname), (int)(listen.n - colon),
                   listen.p + colon);
    } else if (check(flag, err)) {
        size_t path = path_start(flag);
        buf_add(&url, flag.p, path);
        struct str rest = trim_slashes((struct str){ flag.p + path, flag.n - path });
        if (rest.n != 0)
            buf_printf(&url, "/%.*s", STR_ARG(rest));
    } else {
        return false;
    }
    size_t path = path_start(buf_as_str(&url));
    struct str routes = prefix.n != 0 ? prefix : (struct str){ (char *)url.p + path, url.n - path };
    routes = trim_slashes(routes);
    buf_printf(&route, "/%.*s", STR_ARG(routes));
    out->url = to_text(&url);
    out->route_prefix = to_text(&route);
    return true;
}

void
external_url_fini(struct external_url *u)
{
    mem_free(u->url);
    mem_free(u->route_prefix);
    *u = (struct external_url){ 0 };
}
