/* base/json.h: writes JSON text into a buf. Commas are put where they belong; nesting is the
 * caller's business.
 *
 *     struct json j = json_to(&buf);
 *     json_open(&j, '{');
 *     json_key(&j, "status"); json_str(&j, STR("success"));
 *     json_key(&j, "data");   json_open(&j, '['); json_int(&j, 1); json_close(&j, ']');
 *     json_close(&j, '}');
 *
 * Strings as Go's API encoder has them: two-letter escapes for quote, backslash, \n, \r, \t, \u00XX
 * for other control bytes, and \ufffd for each byte that is not UTF-8. Not thread-safe. */
#pragma once
#include "base/buf.h"

struct json {
    struct buf *out;
    bool comma; /* a value stands before */
};

static inline struct json
json_to(struct buf *out)
{
    return (struct json){ .out = out };
}

void json_open(struct json *j, char bracket);   /* '{' or '[' */
void json_close(struct json *j, char bracket);  /* '}' or ']' */
void json_key(struct json *j, const char *key); /* plain ASCII: not escaped */
void json_key_str(struct json *j, struct str key);

void json_str(struct json *j, struct str s);
/* As encoding/json does by default: also < > & as \u003c \u003e \u0026. */
void json_str_html(struct json *j, struct str s);
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
/* As Go prints a float64: shortest, exponent below 1e-6 and from 1e21 on (1e-7, not 1e-07). NaN and
 * infinities, which JSON does not have, become null. */
void json_float(struct json *j, double v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* A value that is JSON already. */
void json_raw(struct json *j, struct str s);

/* Only the quoted string, without a writer. */
void json_quote(struct buf *out, struct str s, bool html);
