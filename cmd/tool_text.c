#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "base/quote.h"
#include "cmd/tool.h"

#define NS_PER_S  INT64_C(1000000000)
#define STDIN_MAX (1u << 30)

void
tool_put(const struct buf *text, FILE *to)
{
    if (text->n > 0)
        fwrite(text->p, 1, text->n, to);
}

int
tool_fail(struct error *err)
{
    fprintf(stderr, "%s\n", error_text(err));
    error_clear(err);
    return TOOL_FAILED;
}

bool
tool_yaml_words(struct error *err)
{
    const char *text = error_text(err), *line = strstr(text, "line "),
               *field = strstr(text, ": field ");
    struct buf said = { 0 };

    if (line == NULL || field == NULL || line > field ||
        strstr(field, " not found in type ") == NULL)
        return false;
    const char *key = strstr(line, ": "); /* "line 3: key: field key not found ..." */
    buf_printf(&said, "%.*syaml: unmarshal errors:\n  %.*s%s", (int)(line - text), text,
               (int)(key - line), line, field);
    error_set(err, err->kind, "%s", buf_z(&said));
    buf_fini(&said);
    return false;
}

bool
tool_read_stdin(char **p, size_t *n, struct error *err)
{
    struct buf text = { 0 };
    ssize_t got;

    while ((got = read(STDIN_FILENO, buf_reserve(&text, 65536), 65536)) > 0) {
        text.n += (size_t)got;
        if (text.n > STDIN_MAX)
            break;
    }
    bool ok = got == 0;
    if (got < 0)
        error_sys(err, "read /dev/stdin");
    else if (!ok)
        error_set(err, ERR_LIMIT, "standard input has more than %u bytes", STDIN_MAX);
    if (ok) {
        (void)buf_z(&text);
        *p = (char *)buf_take(&text, n);
    }
    buf_fini(&text);
    return ok;
}

static bool
digits(struct str *s, size_t n, int *v)
{
    *v = 0;
    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        *v = *v * 10 + (s->p[i] - '0');
    }
    *s = str_skip(*s, n);
    return true;
}

static bool
take(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

/* Z or +hh:mm, in seconds. */
static bool
zone(struct str *s, int *offset_s)
{
    int h, m, sign;

    *offset_s = 0;
    if (take(s, 'Z'))
        return true;
    sign = take(s, '+') ? 1 : take(s, '-') ? -1 : 0;
    if (sign == 0 || !digits(s, 2, &h) || !take(s, ':') || !digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    *offset_s = sign * (h * 3600 + m * 60);
    return true;
}

static bool
fraction(struct str *s, int64_t *ns)
{
    int64_t unit = NS_PER_S / 10;

    *ns = 0;
    if (!take(s, '.') && !take(s, ','))
        return true;
    if (s->n == 0 || s->p[0] < '0' || s->p[0] > '9')
        return false;
    for (; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; unit /= 10, *s = str_skip(*s, 1))
        *ns += (s->p[0] - '0') * unit;
    return true;
}

static bool
rfc3339(struct str s, int64_t *ns)
{
    static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct tm tm = { 0 };
    int year, month, offset_s;
    int64_t part;

    if (!digits(&s, 4, &year) || !take(&s, '-') || !digits(&s, 2, &month) || !take(&s, '-') ||
        !digits(&s, 2, &tm.tm_mday) || !take(&s, 'T') || !digits(&s, 2, &tm.tm_hour) ||
        !take(&s, ':') || !digits(&s, 2, &tm.tm_min) || !take(&s, ':') ||
        !digits(&s, 2, &tm.tm_sec) || !fraction(&s, &part) || !zone(&s, &offset_s) || s.n != 0)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month < 1 || month > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > month_days[month - 1] + (month == 2 && leap) || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 59)
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    int64_t s_since = (int64_t)timegm(&tm) - offset_s;
    /* Nanoseconds end in 1677 and 2262. */
    if (s_since < INT64_MIN / NS_PER_S + 1 || s_since > INT64_MAX / NS_PER_S - 1)
        return false;
    *ns = s_since * NS_PER_S + part;
    return true;
}

bool
tool_parse_time(struct str text, int64_t *ns, struct error *err)
{
    struct buf quoted = { 0 };
    double v;

    if (decimal_parse_go(text, &v) && fabs(v) < 9.2e9) {
        double whole, part = modf(v, &whole);
        *ns = (int64_t)whole * NS_PER_S + (int64_t)(part * 1e9);
        return true;
    }
    if (rfc3339(text, ns))
        return true;
    quote_go(text, &quoted);
    error_set(err, ERR_INVALID, "cannot parse %s to a valid timestamp", buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

/* ---- columns ---- */

#define COLUMNS_MAX 16

static size_t
rune_count(struct str s)
{
    size_t nr = 0;
    uint32_t rune;

    for (; s.n > 0; nr++)
        s = str_skip(s, str_rune(s, &rune));
    return nr;
}

static struct str
next_cell(struct str *row)
{
    size_t end = str_find(*row, '\t', 0);
    struct str cell = { row->p, end };

    *row = str_skip(*row, MIN(end + 1, row->n));
    return cell;
}

static void
measure(const struct tool_table *t, struct str row, size_t widths[COLUMNS_MAX])
{
    for (size_t i = 0; row.n > 0 && i < COLUMNS_MAX; i++) {
        size_t width = rune_count(next_cell(&row)) + t->padding;
        widths[i] = MAX(widths[i], width);
    }
}

static void
print_row(const struct tool_table *t, struct str row, const size_t widths[COLUMNS_MAX],
          struct buf *out)
{
    for (size_t i = 0; row.n > 0 && i < COLUMNS_MAX; i++) {
        struct str cell = next_cell(&row);
        buf_str(out, cell);
        if (row.n > 0 || t->pad_last)
            for (size_t k = rune_count(cell); k < widths[i]; k++)
                buf_byte(out, ' ');
    }
    buf_byte(out, '\n');
}

void
tool_table_print(struct tool_table *t, struct buf *out)
{
    size_t widths[COLUMNS_MAX];
    struct str text = buf_as_str(&t->text);

    for (size_t i = 0; i < COLUMNS_MAX; i++)
        widths[i] = t->width;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t from = 0; from < text.n;) {
            size_t end = str_find(text, '\n', from);
            struct str row = { text.p + from, end - from };
            if (pass == 0)
                measure(t, row, widths);
            else
                print_row(t, row, widths, out);
            from = end + 1;
        }
    }
    buf_fini(&t->text);
}
