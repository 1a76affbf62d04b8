#include "cmd/flag_line.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "base/quote.h"

#define AT_FILE_BYTES_MAX (1u << 20)
#define AT_FILES_MAX      100 /* a file that names itself ends here */

void
flag_line_push(struct flag_line *l, struct str arg)
{
    MEM_GROW(l->args, l->args_nr + 1, &l->args_cap);
    l->args[l->args_nr++] = arg;
}

void
flag_line_init(struct flag_line *l, struct arena *arena, const struct io *io, int argc,
               char *const *argv)
{
    *l = (struct flag_line){ .arena = arena, .io = io };
    for (int i = argc; i-- > 1;)
        flag_line_push(l, str_c(argv[i]));
}

void
flag_line_fini(struct flag_line *l)
{
    mem_free(l->args);
    l->args = NULL;
}

/* The lines of a file become arguments, in place of @file. */
static bool
push_file(struct flag_line *l, struct str path, struct error *err)
{
    char *text = NULL;
    size_t n = 0, first = l->args_nr;

    if (++l->files_nr > AT_FILES_MAX)
        return error_set(err, ERR_LIMIT, "more than %d @files", AT_FILES_MAX);
    if (!io_read_file(l->io, arena_str(l->arena, path).p, AT_FILE_BYTES_MAX, &text, &n, err))
        return error_wrap(err, "failed to open arguments file \"%.*s\"", STR_ARG(path));
    struct str all = arena_str(l->arena, (struct str){ text, n });
    mem_free(text);
    for (size_t from = 0; from < all.n;) {
        size_t end = str_find(all, '\n', from);
        struct str one = { all.p + from, end - from };
        if (str_ends(one, STR("\r")))
            one.n--;
        if (one.n > 0 && one.p[0] != '#')
            flag_line_push(l, one);
        from = end + 1;
    }
    for (size_t i = first, k = l->args_nr; i + 1 < k; i++, k--) {
        struct str swap = l->args[i];
        l->args[i] = l->args[k - 1];
        l->args[k - 1] = swap;
    }
    return true;
}

bool
flag_line_next(struct flag_line *l, enum flag_token_kind *kind, struct str *text, struct error *err)
{
    *kind = TOKEN_VALUE;
    if (l->has_pushed) {
        l->has_pushed = false;
        *text = l->pushed;
        return true;
    }
    if (l->args_nr == 0) {
        *kind = TOKEN_END;
        *text = STR_NONE;
        return true;
    }
    struct str arg = *text = l->args[--l->args_nr];
    if (l->flags_over)
        return true;
    if (str_is(arg, "--")) {
        l->flags_over = true;
        return flag_line_next(l, kind, text, err);
    }
    if (str_starts(arg, STR("--"))) {
        size_t equals = str_find(arg, '=', 2);
        *kind = TOKEN_LONG;
        *text = (struct str){ arg.p + 2, equals - 2 };
        l->has_pushed = equals < arg.n;
        if (l->has_pushed)
            l->pushed = str_skip(arg, equals + 1);
        return true;
    }
    if (str_starts(arg, STR("-")) && arg.n > 1) {
        *kind = TOKEN_SHORT;
        *text = str_skip(arg, 1);
        return true;
    }
    if (str_is(arg, "-"))
        *text = STR("");
    if (str_starts(arg, STR("@")))
        return push_file(l, str_skip(arg, 1), err) && flag_line_next(l, kind, text, err);
    return true;
}

bool
flag_in_choices(const char *choices, struct str value)
{
    struct str all = str_c(choices);

    for (size_t from = 0; from < all.n;) {
        size_t end = str_find(all, ',', from);
        if (str_eq(value, (struct str){ all.p + from, end - from }))
            return true;
        from = end + 1;
    }
    return false;
}

bool
flag_enum(const char *choices, struct str text, struct error *err)
{
    return flag_in_choices(choices, text) ||
           error_set(err, ERR_INVALID, "enum value must be one of %s, got '%.*s'", choices,
                     STR_ARG(text));
}

bool
flag_float(struct str text, double *v, struct error *err)
{
    struct buf quoted = { 0 };

    if (decimal_parse(text, v))
        return true;
    quote_go(text, &quoted);
    error_set(err, ERR_INVALID, "strconv.ParseFloat: parsing %s: %s", buf_z(&quoted),
              decimal_refusal(text));
    buf_fini(&quoted);
    return false;
}

bool
flag_int(struct str text, int64_t *v, struct error *err)
{
    double f;

    if (!flag_float(text, &f, err))
        return false;
    *v = isnan(f) || f < -0x1p63 || f >= 0x1p63 ? INT64_MIN : (int64_t)f;
    return true;
}

bool
flag_int64(struct arena *arena, struct str text, int64_t *v, struct error *err)
{
    const char *z = arena_str(arena, text).p;
    struct buf quoted = { 0 };
    char *end;

    errno = 0;
    long long parsed = strtoll(z, &end, 0);
    if (text.n > 0 && *end == '\0' && errno == 0) {
        *v = parsed;
        return true;
    }
    quote_go(text, &quoted);
    error_set(err, ERR_INVALID, "strconv.ParseInt: parsing %s: %s", buf_z(&quoted),
              errno == ERANGE ? "value out of range" : "invalid syntax");
    buf_fini(&quoted);
    return false;
}
