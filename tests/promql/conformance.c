#include "conformance.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
conformance_path(const char *path, char *out, size_t out_bytes)
{
    const char *dir = getenv("NARTHEX_CONFORMANCE");

    if (dir != NULL)
        snprintf(out, out_bytes, "%s/%s", dir, path);
    else
        snprintf(out, out_bytes, "%s/../shared/conformance/%s", SOURCE_DIR, path);
    return access(out, R_OK) == 0;
}

FILE *
conformance_open(const char *path)
{
    char full[4096];

    return conformance_path(path, full, sizeof full) ? fopen(full, "r") : NULL;
}

json_t *
conformance_next(FILE *f)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n = getline(&line, &cap, f);
    json_error_t err;
    json_t *row = n <= 0 ? NULL : json_loadb(line, (size_t)n, JSON_ALLOW_NUL, &err);

    if (n > 0 && row == NULL)
        fprintf(stderr, "bad line: %s\n", err.text);
    free(line);
    return row;
}

static int
base64_value(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);

    return at == NULL ? -1 : (int)(at - alphabet);
}

static void
base64_decode(const char *text, struct buf *out)
{
    uint32_t bits = 0;
    int nr = 0;

    for (; base64_value(*text) >= 0; text++) {
        bits = bits << 6 | (uint32_t)base64_value(*text);
        nr += 6;
        if (nr >= 8) {
            nr -= 8;
            buf_byte(out, (uint8_t)(bits >> nr));
        }
    }
}

bool
conformance_text(const json_t *row, const char *key, struct buf *out)
{
    char b64[64];
    const json_t *v = json_object_get(row, key);

    if (json_is_string(v)) {
        buf_add(out, json_string_value(v), json_string_length(v));
        return true;
    }
    snprintf(b64, sizeof b64, "%s_b64", key);
    v = json_object_get(row, b64);
    if (!json_is_string(v))
        return false;
    base64_decode(json_string_value(v), out);
    return true;
}

bool
read_file(const char *path, struct buf *out, struct error *err)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (f == NULL)
        return error_sys(err, "open '%s'", path);
    while ((n = fread(buf_reserve(out, 65536), 1, 65536, f)) > 0)
        out->n += n;
    fclose(f);
    return true;
}
