#include "http/auth.h"

#include <strings.h>

static int
base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool
base64_decode(struct arena *a, struct str in, struct str *out)
{
    char *text = arena_alloc(a, in.n + 1);
    uint32_t bits = 0;
    unsigned bits_nr = 0;
    size_t n = 0;

    while (in.n > 0 && in.p[in.n - 1] == '=')
        in.n--;
    for (size_t i = 0; i < in.n; i++) {
        int digit = base64_digit(in.p[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        bits_nr += 6;
        if (bits_nr >= 8) {
            bits_nr -= 8;
            text[n++] = (char)(bits >> bits_nr);
        }
    }
    *out = (struct str){ text, n };
    return true;
}

static bool
let_in(const struct http_deps *deps, struct http_request *req)
{
    struct str header = http_request_header(req, "Authorization"), pair;

    if (header.n < 6 || strncasecmp(header.p, "Basic ", 6) != 0 ||
        !base64_decode(&req->arena, str_skip(header, 6), &pair))
        return false;
    size_t colon = str_find(pair, ':', 0);
    if (colon == pair.n)
        return false;
    return deps->authorize(deps->arg, (struct str){ pair.p, colon }, str_skip(pair, colon + 1));
}

bool
auth_check(const struct http_deps *deps, struct http_request *req, struct http_response *resp)
{
    if (deps->authorize == NULL || let_in(deps, req))
        return true;
    resp->status = 401;
    http_response_header(resp, STR("WWW-Authenticate"), STR("Basic"));
    http_response_header(resp, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    http_response_header(resp, STR("X-Content-Type-Options"), STR("nosniff"));
    buf_c(&resp->body, "Unauthorized\n");
    return false;
}
