/* Flags as text: their values, --help, the table of --help-man, --version. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/flags_table.h"
#include "cmd/version.h"

void
flag_show(const struct flag_row *row, const struct flags *flags, struct buf *out)
{
    const void *at = (const char *)flags + row->offset;
    char text[DECIMAL_BYTES_MAX];

    switch (row->type) {
    case FLAG_BOOL:
        buf_c(out, *(const bool *)at ? "true" : "false");
        break;
    case FLAG_STR:
    case FLAG_ENUM:
        buf_c(out, *(const char *const *)at);
        break;
    case FLAG_STRS:
    case FLAG_MESSAGES: {
        const struct flags_strs *list = at;
        for (size_t i = 0; i < list->nr; i++)
            buf_printf(out, "%s%.*s", i == 0 ? "" : ",", STR_ARG(list->items[i]));
        break;
    }
    case FLAG_INT:
    case FLAG_INT64:
        buf_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case FLAG_FLOAT:
        buf_add(out, text, decimal_format_general(*(const double *)at, text));
        break;
    case FLAG_DURATION:
        buf_c(out, duration_text(*(const int64_t *)at, text));
        break;
    case FLAG_GO_DURATION:
        buf_c(out, duration_go_text(*(const int64_t *)at, text));
        break;
    case FLAG_BYTES:
        buf_c(out, units_bytes_text(*(const int64_t *)at, text));
        break;
    case FLAG_ACTION:
        break;
    }
}

static int
row_cmp(const void *a, const void *b)
{
    return strcmp((*(const struct flag_row *const *)a)->name,
                  (*(const struct flag_row *const *)b)->name);
}

const struct flag_value *
flags_shown(const struct flags *flags, struct arena *arena, size_t *nr)
{
    const struct flag_row **sorted = MEM_NEW_ARRAY(const struct flag_row *, flag_rows_nr);
    struct buf value = { 0 };

    *nr = 0;
    for (size_t i = 0; i < flag_rows_nr; i++)
        if (flag_rows[i].type != FLAG_ACTION && flag_rows[i].mode != MODE_OURS)
            sorted[(*nr)++] = &flag_rows[i];
    qsort(sorted, *nr, sizeof *sorted, row_cmp);
    struct flag_value *shown = ARENA_NEW_ARRAY(arena, struct flag_value, *nr);
    for (size_t i = 0; i < *nr; i++) {
        buf_reset(&value);
        flag_show(sorted[i], flags, &value);
        shown[i] =
            (struct flag_value){ str_c(sorted[i]->name), arena_str(arena, buf_as_str(&value)) };
    }
    buf_fini(&value);
    mem_free(sorted);
    return shown;
}

void
flags_without_effect(const struct flags *flags, void (*fn)(void *arg, const char *name), void *arg)
{
    struct buf name = { 0 };

    for (size_t i = 0; i < flag_rows_nr; i++)
        if (flag_rows[i].idle && flag_given(flags, i))
            fn(arg, flag_rows[i].name);
    for (size_t i = 0; i < feature_rows_nr; i++) {
        const struct feature_row *row = &feature_rows[i];
        if (!row->idle || row->offset == SIZE_MAX ||
            !*((const bool *)&flags->feature + row->offset))
            continue;
        buf_reset(&name);
        buf_printf(&name, "feature %s", row->name);
        fn(arg, buf_z(&name));
    }
    buf_fini(&name);
}

static const char *
placeholder(const struct flag_row *row)
{
    static const char *const names[] = {
        [FLAG_STR] = "TEXT",    [FLAG_STRS] = "TEXT ...",
        [FLAG_ENUM] = "NAME",   [FLAG_MESSAGES] = "NAMES",
        [FLAG_INT] = "N",       [FLAG_INT64] = "N",
        [FLAG_FLOAT] = "X",     [FLAG_DURATION] = "DURATION",
        [FLAG_BYTES] = "BYTES", [FLAG_GO_DURATION] = "DURATION",
    };

    return names[row->type];
}

static const char *
mode_note(const struct flag_row *row)
{
    return row->mode == MODE_SERVER  ? " Server mode only."
           : row->mode == MODE_AGENT ? " Agent mode only."
                                     : "";
}

void
flags_help(struct buf *out)
{
    buf_c(
        out,
        "usage: prometheus [<flags>]\n\nThe Prometheus monitoring server, as Narthex.\n\nFlags:\n");
    for (size_t i = 0; i < flag_rows_nr; i++) {
        const struct flag_row *row = &flag_rows[i];
        bool plain = row->type == FLAG_BOOL || row->type == FLAG_ACTION;
        if (row->hidden)
            continue;
        buf_c(out, row->action == ACTION_HELP ? "  -h, " : "      ");
        if (plain)
            buf_printf(out, "--[no-]%s\n", row->name);
        else if (row->dflt != NULL && *row->dflt != '\0')
            buf_printf(out, "--%s=%s\n", row->name, row->dflt);
        else
            buf_printf(out, "--%s=<%s>\n", row->name, placeholder(row));
        buf_printf(out, "          %s%s%s\n", row->help, mode_note(row),
                   row->idle ? " (no effect yet)" : "");
    }
}

void
flags_markdown(struct buf *out)
{
    buf_c(out, "| Flag | Description | Default |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < flag_rows_nr; i++) {
        const struct flag_row *row = &flag_rows[i];
        if (row->hidden)
            continue;
        buf_printf(out, "| <code class=\"text-nowrap\">--%s</code> | %s%s | ", row->name, row->help,
                   mode_note(row));
        if (row->dflt != NULL && *row->dflt != '\0')
            buf_printf(out, "`%s` ", row->dflt);
        buf_c(out, "|\n");
    }
}

void
flags_version(struct buf *out)
{
#if defined(__x86_64__)
    const char *cpu = "amd64";
#elif defined(__aarch64__)
    const char *cpu = "arm64";
#else
    const char *cpu = "unknown";
#endif
    buf_printf(out,
               "prometheus, version %s (branch: %s, revision: %s)\n"
               "  build user:       %s\n"
               "  build date:       %s\n"
               "  go version:       %s\n"
               "  platform:         linux/%s\n"
               "  tags:             unknown\n",
               PROMETHEUS_VERSION, BUILD_BRANCH, BUILD_REVISION, BUILD_USER, BUILD_DATE,
               BUILD_COMPILER, cpu);
}
