/* base/error.h: what went wrong, for code and for people.
 *
 * A call that can fail returns bool and fills the caller's `struct error`; err is never NULL.
 * Outputs are written only on success. Each function here returns false, so that failing is one
 * line:
 *
 *     if (seg->bytes > SEGMENT_BYTES_MAX)
 *         return error_set(err, ERR_CORRUPT, "segment has %" PRIu64 " bytes", seg->bytes);
 *
 * Lifetime: an error starts as `struct error err = { 0 };` and owns `more` once a text was too long
 * for `msg`. error_clear() releases it; setting an error again releases the old text. Not
 * thread-safe. */
#pragma once
#include "base/util.h"

enum err_kind {
    ERR_NONE = 0,
    ERR_INVALID,     /* input that a person or client must correct: configuration, query, request
                        (bad_data) */
    ERR_NOT_FOUND,   /* a named thing is not there */
    ERR_IO,          /* the kernel or a peer refused; sys holds errno when there is one */
    ERR_FULL,        /* no space left on the device, or a quota is used up */
    ERR_CORRUPT,     /* bytes that do not decode: damaged file, malformed page or body */
    ERR_LIMIT,       /* over a limit that protects the server */
    ERR_TIMEOUT,     /* a deadline passed */
    ERR_CANCELED,    /* the caller gave up: client gone, shutdown */
    ERR_EXECUTION,   /* a well-formed query that cannot be evaluated on this data */
    ERR_UNAVAILABLE, /* not now: starting, stopping, or a part that is switched off */
    ERR_CONFLICT,    /* out of order, duplicate, already there */
    ERR_INTERNAL     /* our own bug that could be contained */
};

struct error {
    enum err_kind kind; /* what code may branch on; http/ maps it to status and errorType */
    int sys;            /* errno if the kernel refused, else 0 */
    char msg[512];      /* for people; the start of the text when `more` is set */
    char *more; /* the whole text when it is longer than msg: owned, at most ERROR_MORE_MAX bytes */
};

#define ERROR_MORE_MAX (16 * 1024)

bool error_set(struct error *err, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);

/* Keeps errno and adds its text: "open '/x': No such file or directory". ENOSPC and EDQUOT give
 * ERR_FULL. */
bool error_sys(struct error *err, const char *fmt, ...) PRINTF(2, 3);

/* Puts context in front: "wal segment '00000003': " + what was said. Keeps kind and sys. */
bool error_wrap(struct error *err, const char *fmt, ...) PRINTF(2, 3);

/* The whole text, never NULL. Borrowed until err is changed or cleared. */
const char *error_text(const struct error *err);

/* Deep copy; dst is overwritten, its old text released. */
void error_copy(struct error *dst, const struct error *src);

/* Releases and resets to "no error". Accepts a zeroed error. */
void error_clear(struct error *err);

/* Makes ignoring visible: error_ignored(f(x, &err)); */
static inline void
error_ignored(bool ok)
{
    (void)ok;
}
