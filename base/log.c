/* Lines as Prometheus's slog handlers write them: time, level, source, msg, component, then the
 * fields. One line is built in a buffer and written with one write(), so that lines of several
 * threads do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/json.h"
#include "base/mem.h"

struct log_sink {
    int fd;
    enum log_level level;
    enum log_format format;
};

const struct log log_none = { NULL, NULL };

static const char *const level_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

struct log_sink *
log_sink_new(int fd, enum log_level level, enum log_format format)
{
    struct log_sink *sink = MEM_NEW(struct log_sink);

    *sink = (struct log_sink){ fd, level, format };
    return sink;
}

void
log_sink_free(struct log_sink *sink)
{
    mem_free(sink);
}

bool
log_enabled(const struct log *log, enum log_level level)
{
    return log->sink != NULL && level >= log->sink->level;
}

/* Go's slog quotes what is empty or holds a space, a quote, an equals sign, or something that does
 * not print. */
static bool
needs_quotes(struct str s)
{
    if (s.n == 0 || !str_utf8_valid(s))
        return true;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return true;
    }
    return false;
}

static void
put_quoted(struct buf *line, struct str s)
{
    buf_byte(line, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t rune;
        uint8_t c = (uint8_t)s.p[i];
        size_t n = str_rune(str_skip(s, i), &rune);
        if (c == '"' || c == '\\')
            buf_printf(line, "\\%c", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_printf(line, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c < ' ' || c == 0x7f || (n == 1 && c >= 0x80))
            buf_printf(line, "\\x%02x", c);
        else
            buf_add(line, s.p + i, n);
        i += n;
    }
    buf_byte(line, '"');
}

static void
put_text(struct buf *line, enum log_format format, const char *key, struct str value)
{
    if (format == LOG_JSON) {
        buf_printf(line, "%s\"%s\":", line->n == 0 ? "{" : ",", key);
        json_quote(line, value, false);
        return;
    }
    buf_printf(line, "%s%s=", line->n == 0 ? "" : " ", key);
    if (needs_quotes(value))
        put_quoted(line, value);
    else
        buf_str(line, value);
}

static void
put_bare(struct buf *line, enum log_format format, const char *key, struct str value)
{
    if (format == LOG_JSON)
        buf_printf(line, ",\"%s\":%.*s", key, STR_ARG(value));
    else
        buf_printf(line, " %s=%.*s", key, STR_ARG(value));
}

static void
put_field(struct buf *line, enum log_format format, const struct log_field *f)
{
    char text[DECIMAL_BYTES_MAX];
    size_t n;

    switch (f->type) {
    case LOG_FIELD_STR:
        put_text(line, format, f->key, f->s);
        return;
    case LOG_FIELD_INT:
        n = (size_t)snprintf(text, sizeof text, "%lld", (long long)f->i);
        break;
    case LOG_FIELD_FLOAT:
        n = decimal_format_general(f->f, text);
        if (format == LOG_JSON && (text[n - 1] == 'f' || text[n - 1] == 'N')) {
            put_text(line, format, f->key, (struct str){ text, n }); /* JSON has no NaN, Inf */
            return;
        }
        break;
    default:
        n = (size_t)snprintf(text, sizeof text, "%s", f->b ? "true" : "false");
        break;
    }
    put_bare(line, format, f->key, (struct str){ text, n });
}

static void
put_head(struct buf *line, enum log_format format, enum log_level level, const char *file, int at)
{
    struct timespec now;
    struct tm tm;
    char text[64];
    const char *base = strrchr(file, '/');

    clock_gettime(CLOCK_REALTIME, &now); /* a line's time is for people: not the simulated clock */
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03ldZ", now.tv_nsec / 1000000);
    put_text(line, format, "time", str_c(text));
    put_text(line, format, "level", str_c(level_names[level]));
    snprintf(text, sizeof text, "%s:%d", base == NULL ? file : base + 1, at);
    put_text(line, format, "source", str_c(text));
}

static void
write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return; /* nowhere to complain to */
        p += put;
        n -= (size_t)put;
    }
}

void
log_write(const struct log *log, enum log_level level, const char *file, int line_nr,
          const char *msg, const struct log_field *fields, size_t fields_nr)
{
    enum log_format format = log->sink->format;
    struct buf line = { 0 };

    put_head(&line, format, level, file, line_nr);
    put_text(&line, format, "msg", str_c(msg));
    if (log->component != NULL)
        put_text(&line, format, "component", str_c(log->component));
    for (size_t i = 0; i < fields_nr; i++)
        put_field(&line, format, &fields[i]);
    buf_c(&line, format == LOG_JSON ? "}\n" : "\n");
    write_all(log->sink->fd, line.p, line.n);
    buf_fini(&line);
}

bool
log_throttle_pass(struct log_throttle *t, int64_t monotonic_ns, int64_t interval_ms,
                  uint64_t *held_nr)
{
    int64_t next = atomic_load(&t->next_ns);

    if (monotonic_ns < next ||
        !atomic_compare_exchange_strong(&t->next_ns, &next, monotonic_ns + interval_ms * 1000000)) {
        atomic_fetch_add(&t->held_nr, 1);
        return false;
    }
    *held_nr = atomic_exchange(&t->held_nr, 0);
    return true;
}
