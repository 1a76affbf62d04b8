#include "http/paths.h"

#include <string.h>

struct str
path_clean(struct arena *a, struct str path)
{
    char *out = arena_alloc(a, path.n + 2);
    size_t n = 0;

    for (size_t i = 0; i < path.n;) {
        size_t end = str_find(path, '/', i);
        struct str part = { path.p + i, end - i };
        if (str_is(part, "..")) {
            while (n > 0 && out[--n] != '/')
                ;
        } else if (part.n != 0 && !str_is(part, ".")) {
            out[n++] = '/';
            memcpy(out + n, part.p, part.n);
            n += part.n;
        }
        i = end + 1;
    }
    if (n == 0 || (path.n > 0 && path.p[path.n - 1] == '/'))
        out[n++] = '/';
    return (struct str){ out, n };
}

struct str
path_escape(struct arena *a, struct str path)
{
    static const char plain[] = "/-._~!$&'()*+,;=:@", hex[] = "0123456789ABCDEF";
    char *out = arena_alloc(a, path.n * 3 + 1);
    size_t n = 0;

    for (size_t i = 0; i < path.n; i++) {
        unsigned char ch = (unsigned char)path.p[i];
        bool letter =
            (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
        if (letter || (ch != '\0' && strchr(plain, ch) != NULL)) {
            out[n++] = (char)ch;
            continue;
        }
        out[n++] = '%';
        out[n++] = hex[ch >> 4];
        out[n++] = hex[ch & 15];
    }
    return (struct str){ out, n };
}
