#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Takes over `text` when it does not fit into msg. */
static void
error_store(struct error *err, char *text, size_t n)
{
    free(err->more);
    err->more = NULL;
    size_t head_n = MIN(n, sizeof err->msg - 1);
    memcpy(err->msg, text, head_n);
    err->msg[head_n] = '\0';
    if (n < sizeof err->msg)
        free(text);
    else
        err->more = text;
}

static char *
error_format(const char *fmt, va_list ap, size_t *n)
{
    char *text = NULL;
    int len = vasprintf(&text, fmt, ap);

    if (len < 0)
        mem_exhausted(0);
    *n = (size_t)len;
    if (*n > ERROR_MORE_MAX) {
        *n = ERROR_MORE_MAX;
        text[*n] = '\0';
    }
    return text;
}

bool
error_set(struct error *err, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    char *text = error_format(fmt, ap, &n);
    va_end(ap);
    err->kind = kind;
    err->sys = 0;
    error_store(err, text, n);
    return false;
}

bool
error_sys(struct error *err, const char *fmt, ...)
{
    int sys = errno;
    va_list ap;
    size_t n;
    char reason[128];

    va_start(ap, fmt);
    char *what = error_format(fmt, ap, &n);
    va_end(ap);
    enum err_kind kind = sys == ENOSPC || sys == EDQUOT ? ERR_FULL : ERR_IO;
    error_set(err, kind, "%s: %s", what, strerror_r(sys, reason, sizeof reason));
    err->sys = sys;
    free(what);
    return false;
}

bool
error_wrap(struct error *err, const char *fmt, ...)
{
    enum err_kind kind = err->kind;
    int sys = err->sys;
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    char *where = error_format(fmt, ap, &n);
    va_end(ap);
    /* error_set() releases `more` only after the new text is made, so the old one may be an
     * argument. */
    error_set(err, kind, "%s: %s", where, error_text(err));
    err->sys = sys;
    free(where);
    return false;
}

const char *
error_text(const struct error *err)
{
    return err->more != NULL ? err->more : err->msg;
}

void
error_copy(struct error *dst, const struct error *src)
{
    if (dst == src)
        return;
    free(dst->more);
    *dst = *src;
    if (src->more != NULL)
        dst->more = mem_dup(src->more, strlen(src->more) + 1);
}

void
error_clear(struct error *err)
{
    free(err->more);
    *err = (struct error){ 0 };
}

NORETURN void
assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, cond);
    abort();
}
