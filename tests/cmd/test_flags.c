/* cmd/flags.c: what the command line means, what is refused and with which status. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/flags.h"

enum { ARGS_MAX = 8 };

static int
parse(struct flags *flags, const char *const *args, struct buf *out, struct buf *err)
{
    char *argv[ARGS_MAX + 2] = { (char *)"narthex" };
    int argc = 1;

    for (; args[argc - 1] != NULL; argc++)
        argv[argc] = (char *)args[argc - 1];
    buf_reset(out);
    buf_reset(err);
    return flags_parse(flags, argc, argv, io_posix(), out, err);
}

/* As conformance/api has them for a server with these five flags, after main's adjustments. */
Test(flags, shows_what_prometheus_shows)
{
    static const char *const args[] = { "--config.file=self.yml", "--storage.tsdb.path=self-data",
                                        "--web.listen-address=127.0.0.1:19540", NULL };
    static const char *const want[] = {
        "agent=false\nalertmanager.drain-notification-queue-on-shutdown=true\n",
        "\nauto-gomemlimit.ratio=0.9\n",
        "\nconfig.file=self.yml\n",
        "\nenable-feature=\n",
        "\nquery.max-samples=50000000\n",
        "\nscrape.timestamp-tolerance=2ms\n",
        "\nstorage.agent.wal-truncate-frequency=0s\n",
        "\nstorage.remote.read-sample-limit=50000000\n",
        "\nstorage.tsdb.wal-segment-size=0B\n",
        "\nweb.listen-address=127.0.0.1:19540\n",
        "\nweb.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest,io."
        "prometheus.write.v2.Request\n",
        "\nwrite-documentation=false\n",
    };
    struct buf out = { 0 }, err = { 0 }, all = { 0 };
    struct arena arena;
    struct flags flags;
    size_t lines;

    cr_assert_eq(parse(&flags, args, &out, &err), -1, "%s", buf_z(&err));
    arena_init(&arena, 1 << 20);
    const struct flag_value *shown = flags_shown(&flags, &arena, &lines);
    for (size_t i = 0; i < lines; i++)
        buf_printf(&all, "%.*s=%.*s\n", STR_ARG(shown[i].name), STR_ARG(shown[i].value));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        cr_expect_not_null(strstr(buf_z(&all), want[i]), "%s", want[i]);
    cr_expect_eq(lines, 74, "%zu", lines);
    arena_fini(&arena);
    flags_fini(&flags);
    buf_fini(&out);
    buf_fini(&err);
    buf_fini(&all);
}

/* A NULL text: the line is fine. Otherwise what standard error holds. */
static const struct {
    const char *args[ARGS_MAX];
    int status;
    const char *text;
} lines[] = {
    { { "--query.timeout", "90s", "--no-storage.tsdb.wal-compression" }, -1, NULL },
    { {
          "--query.timeout=90s",
          "--",
      },
      -1,
      NULL },
    { { "--web.listen-address=a:1", "--web.listen-address", "b:2" }, -1, NULL },
    { { "--query.max-samples=-1" }, -1, NULL },
    { { "--nope" }, 1, "unknown long flag '--nope'" },
    { { "--no-config.file" }, 1, "unknown long flag '--no-config.file'" },
    { { "--config.file" }, 1, "expected argument for flag '--config.file'" },
    { { "--config.file", "--agent" }, 1, "expected argument for flag '--config.file'" },
    { { "--agent=true" }, 1, "unexpected true" },
    { { "word" }, 1, "unexpected word" },
    { { "--", "--agent" }, 1, "unexpected --agent" },
    { { "-x" }, 1, "unknown short flag '-x'" },
    { { "--agent", "--no-agent" }, 2, "flag 'agent' cannot be repeated" },
    { { "--log.level=info", "--log.level=info" }, 2, "flag 'log.level' cannot be repeated" },
    { { "--log.level=loud" }, 2, "unrecognized log level loud" },
    { { "--storage.tsdb.wal-compression-type=lz4" },
      2,
      "enum value must be one of snappy,zstd, got 'lz4'" },
    { { "--query.timeout=1x" }, 2, "unknown unit \"x\" in duration \"1x\"" },
    { { "--query.max-samples=many" }, 2, "strconv.ParseFloat: parsing \"many\": invalid syntax" },
    { { "--storage.tsdb.retention.size=1X" }, 2, "units: unknown unit X in 1X" },
    { { "--query.timeout=1x", "--nope" }, 1, "unknown long flag '--nope'" },
    { { "--storage.agent.path=x" },
      3,
      "The following flag(s) can only be used in agent mode: [\"--storage.agent.path\"]" },
    { { "--agent", "--query.timeout=1s" },
      3,
      "The following flag(s) can not be used in agent mode: [\"--query.timeout\"]" },
    { { "--auto-gomemlimit.ratio=2" }, 1, "--auto-gomemlimit.ratio must be greater than 0" },
    { { "--web.search.max-limit=-1" }, 1, "--web.search.max-limit must be non-negative; got -1" },
    { { "--web.cors.origin=(" }, 2, "could not compile CORS regex string \"(\"" },
    { { "--help", "--nope" }, 1, "unknown long flag '--nope'" },
    { { "--help" }, 0, "" },
    { { "-h" }, 0, "" },
    { { "--version", "--nope" }, 0, "" },
    { { "@/does/not/exist" }, 1, "/does/not/exist" },
};

Test(flags, ends_with_prometheus_texts_and_statuses)
{
    struct buf out = { 0 }, err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct flags flags;
        int status = parse(&flags, lines[i].args, &out, &err);
        cr_expect_eq(status, lines[i].status, "%s: %d", lines[i].args[0], status);
        cr_expect_eq(err.n == 0, lines[i].text == NULL || *lines[i].text == '\0', "%s: %s",
                     lines[i].args[0], buf_z(&err));
        if (lines[i].text != NULL)
            cr_expect_not_null(strstr(buf_z(&err), lines[i].text), "%s: %s", lines[i].args[0],
                               buf_z(&err));
        flags_fini(&flags);
    }
    buf_fini(&out);
    buf_fini(&err);
}

Test(flags, reads_arguments_from_files)
{
    char path[] = "/tmp/narthex-flags-XXXXXX", at[64];
    const char *text = "# comment\n\n--query.timeout\n7s\n--enable-feature=a b,c\n";
    struct buf out = { 0 }, err = { 0 };
    struct flags flags;
    int fd = mkstemp(path);

    cr_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    snprintf(at, sizeof at, "@%s", path);
    const char *const args[] = { at, "--web.page-title=x", NULL };
    cr_assert_eq(parse(&flags, args, &out, &err), -1, "%s", buf_z(&err));
    unlink(path);
    cr_expect_eq(flags.query_timeout_ms, 7000);
    cr_expect_eq(flags.enable_feature.nr, 1);
    cr_expect_str_eq(flags.web_page_title, "x");
    flags_fini(&flags);
    buf_fini(&out);
    buf_fini(&err);
}

static void
collect(void *arg, const char *name)
{
    buf_printf(arg, "%s;", name);
}

Test(flags, knows_features_and_what_has_no_effect)
{
    static const char *const args[] = {
        "--enable-feature=promql-experimental-functions,old-ui,unknown",
        "--enable-feature=auto-reload-config", "--web.enable-otlp-receiver", NULL
    };
    static const char *const both[] = {
        "--enable-feature=otlp-deltatocumulative,otlp-native-delta-ingestion", NULL
    };
    struct buf out = { 0 }, err = { 0 }, idle = { 0 };
    struct error why = { 0 };
    struct flags flags;

    cr_assert_eq(parse(&flags, args, &out, &err), -1);
    cr_assert(flags_features(&flags, &log_none, &why));
    cr_expect(flags.feature.promql_experimental_functions && flags.feature.old_ui &&
              !flags.feature.search_api);
    cr_expect(flags.config_auto_reload);
    flags_without_effect(&flags, collect, &idle);
    cr_expect_str_eq(buf_z(&idle), "web.enable-otlp-receiver;feature old-ui;");
    flags_fini(&flags);
    cr_assert_eq(parse(&flags, both, &out, &err), -1);
    cr_expect(!flags_features(&flags, &log_none, &why));
    flags_fini(&flags);
    error_clear(&why);
    buf_fini(&out);
    buf_fini(&err);
    buf_fini(&idle);
}
